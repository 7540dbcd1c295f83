package parallel

import (
	"math/bits"
	"runtime"
	"sync/atomic"
	"time"
)

// Parallel loops of some tens of microseconds do not bear the start of a goroutine, or of its thread, each. So helpers stay: one
// that has nothing to do looks for a loop for a while, then sleeps until it is woken.

const (
	maxLoops = 16 // that run at the same time with helpers; further ones run on their caller alone

	// patience is how long an idle helper looks for a loop before it sleeps, and the owner of a loop for the last helper's end.
	// Waking a thread takes some 50 microseconds; between two loops of a training step there are rarely more than 100.
	patience = 200 * time.Microsecond
)

// team is the process's helpers. They hold no state of any computation.
var team = newHelpers()

// helpers are goroutines that take pieces of open loops.
type helpers struct {
	active atomic.Uint32 // bit i: loops[i] is open and may have pieces
	taken  atomic.Uint32 // bit i: loops[i] has an owner
	loops  [maxLoops]loop
	count  atomic.Int32 // helpers that were started
	asleep atomic.Int32
	wake   chan struct{} // wakes one of them
}

func newHelpers() *helpers {
	t := &helpers{wake: make(chan struct{}, 1024)}
	for i := range t.loops {
		t.loops[i].empty = make(chan struct{}, 1)
		t.loops[i].bit = 1 << i
	}
	return t
}

// loop is a call of For that several goroutines work on. It is reused, never freed, so a helper that comes too late finds it
// closed or finds the next loop, and does no harm.
type loop struct {
	body      Body
	n, pieces int
	next      atomic.Int64 // piece to be taken
	seats     atomic.Int32 // helpers that may still join
	inside    atomic.Int32 // helpers that look at the fields above
	isOpen    atomic.Bool
	waiting   atomic.Bool         // the owner sleeps until inside is 0
	empty     chan struct{}       // wakes the owner
	bit       uint32              // in active and taken
	fault     atomic.Pointer[any] // what body panicked with on a helper
	_         [64]byte            // two loops share no cache line
}

// open offers a loop to at most that many helpers. Nil if there are too many loops already.
func (t *helpers) open(b Body, n, pieces, help int) *loop {
	l := t.reserve()
	if l == nil {
		return nil
	}
	l.body, l.n, l.pieces = b, n, pieces
	l.next.Store(0)
	l.seats.Store(int32(help))
	l.isOpen.Store(true)
	t.active.Or(l.bit)
	t.call(help)
	return l
}

// reserve finds a loop that has no owner.
func (t *helpers) reserve() *loop {
	for {
		taken := t.taken.Load()
		i := bits.TrailingZeros32(^taken)
		if i >= maxLoops {
			return nil
		}
		if t.taken.CompareAndSwap(taken, taken|1<<i) {
			return &t.loops[i]
		}
	}
}

// call starts helpers up to that number, and wakes sleeping ones.
func (t *helpers) call(help int) {
	for n := t.count.Load(); int(n) < help; n = t.count.Load() {
		if t.count.CompareAndSwap(n, n+1) {
			go t.help()
		}
	}
	for range min(help, int(t.asleep.Load())) {
		select {
		case t.wake <- struct{}{}:
		default:
		}
	}
}

// close waits for the helpers, also while the caller panics: then nobody may go on writing. What a helper panicked with is
// passed on to the caller.
func (t *helpers) close(l *loop) {
	l.next.Store(int64(l.pieces)) // matters only if the caller panics
	t.active.And(^l.bit)
	l.isOpen.Store(false)
	if !await(func() bool { return l.inside.Load() == 0 }) {
		l.waiting.Store(true)
		for l.inside.Load() != 0 {
			<-l.empty
		}
		l.waiting.Store(false)
	}
	fault := l.fault.Swap(nil)
	l.body = nil
	t.taken.And(^l.bit)
	if fault != nil {
		panic(*fault)
	}
}

// await looks at a condition again and again until it is true, or patience ends. It lets other goroutines run.
func await(is func() bool) bool {
	var start time.Time
	for look := 1; !is(); look++ {
		if look%256 != 0 {
			continue
		}
		runtime.Gosched()
		switch {
		case start.IsZero():
			start = time.Now()
		case time.Since(start) > patience:
			return false
		}
	}
	return true
}

// help is the life of a helper.
func (t *helpers) help() {
	join := func() bool { return t.active.Load() != 0 && t.join() }
	for {
		for await(join) {
		}
		t.asleep.Add(1)
		if !t.wanted() {
			<-t.wake
		}
		t.asleep.Add(-1)
	}
}

// wanted reports whether a loop has a free seat.
func (t *helpers) wanted() bool {
	for i := range t.loops {
		if t.loops[i].free() {
			return true
		}
	}
	return false
}

func (l *loop) free() bool { return l.isOpen.Load() && l.seats.Load() > 0 }

// join works on every open loop with a free seat, and reports whether there was one.
func (t *helpers) join() (worked bool) {
	for i := range t.loops {
		l := &t.loops[i]
		if !l.free() {
			continue
		}
		l.inside.Add(1)
		if l.isOpen.Load() && l.seats.Add(-1) >= 0 {
			l.help()
			worked = true
		}
		if l.inside.Add(-1) == 0 && l.waiting.Load() {
			select {
			case l.empty <- struct{}{}:
			default:
			}
		}
	}
	return worked
}

// help takes pieces on a helper.
func (l *loop) help() {
	defer func() {
		if r := recover(); r != nil {
			fault := r // escapes; r itself would at every call
			l.fault.CompareAndSwap(nil, &fault)
		}
	}()
	l.work()
}

// work takes pieces until there are none left.
func (l *loop) work() {
	for {
		i := int(l.next.Add(1)) - 1
		if i >= l.pieces {
			return
		}
		l.body.Piece(i*l.n/l.pieces, (i+1)*l.n/l.pieces)
	}
}
