package kern

import (
	"math"
	"sync"

	"github.com/tame-rlhf/tame/internal/parallel"
)

// LogSumExp returns log(sum of exp(x)), -Inf for an empty slice: the maximum, the exponentials of the differences to it, their
// Sum. Decoding and training both use it, so they give one token's log-probability the same bits.
func LogSumExp[T Float](x []T) T {
	scr := take[T](len(x))
	defer give(scr)
	m, sum := softmax(*scr, x)
	return m + logOf(sum)
}

// Temper divides logits by the sampling temperature, as TokenLogProbs does: by a multiplication with 1/temp, rounded once.
func Temper[T Float](logits []T, temp T) {
	if temp != 1 {
		scale(logits, 1/temp)
	}
}

// softmax sets e = exp(x - max(x)) and returns the maximum and the sum of e. e may be x.
func softmax[T Float](e, x []T) (m, sum T) {
	m = Max(x)
	if math.IsInf(float64(m), -1) { // no element, or all -Inf: their differences would be NaN
		clear(e)
		return m, 0
	}
	addConst(e, x, -m)
	Exp(e, e)
	return m, Sum(e)
}

func logOf[T Float](x T) T { return T(math.Log(float64(x))) }

// TokenLogProbs gives the log-probability of each counted row's target, the entropy of its distribution, and whether the target
// is the most probable token:
//
//	z = (h wᵀ) / temp,  lse = LogSumExp(z),  logp = z[target] - lse,  ent = lse - sum of p z  (p = softmax(z)),
//	hit = 1 where z[target] = max(z)
//
// h (rows, c) hidden states; w (v, c) output weights; targets (rows) in [0, v) where counted; counted (rows) selects the rows
// that are not 0; logp, lse, ent, hit (rows), any of them nil. Rows that are not counted are not read and give exactly 0.
//
// Logits exist for a block of rows at a time. Parallel over rows and, in the product, columns.
func TokenLogProbs[T Float](logp, lse, ent, hit, h, w []T, targets []int32, counted []T, temp T, rows, c, v int) {
	for _, dst := range [][]T{logp, lse, ent, hit} {
		if dst != nil {
			clear(dst[:rows])
		}
	}
	l := borrow[logProbLoop[T]](&logProbLoops)
	defer giveBack(&logProbLoops, l)
	*l = logProbLoop[T]{logitBlocks: newLogitBlocks(h, w, counted, temp, rows, c, v), logp: logp, lse: lse, ent: ent, hit: hit, targets: targets}
	defer l.free()
	for l.next() {
		parallel.Run(len(l.rows), rowGrain(4*v), l)
	}
}

var logProbLoops, logProbBackLoops sync.Pool

// logProbLoop is a loop over the rows of a block of logits.
type logProbLoop[T Float] struct {
	logitBlocks[T]
	logp, lse, ent, hit []T
	targets             []int32
}

func (l *logProbLoop[T]) Piece(lo, hi int) {
	v := l.v
	scr := take[T](v)
	defer give(scr)
	e := *scr
	for i := lo; i < hi; i++ {
		r, z := l.rows[i], l.logits[i*v:][:v]
		target := z[l.targets[r]]
		m, sum := softmax(e, z)
		logSum := logOf(sum)
		if l.lse != nil {
			l.lse[r] = m + logSum
		}
		if l.logp != nil {
			l.logp[r] = target - (m + logSum)
		}
		if l.hit != nil && target == m {
			l.hit[r] = 1
		}
		if l.ent != nil {
			addConst(z, z, -m)
			l.ent[r] = logSum - Dot(e, z)/sum
		}
	}
}

// TokenLogProbsBackward is the derivative of TokenLogProbs with respect to h and w, from the gradients of logp and of ent
// (either may be nil). Per counted row, with p = exp(z - lse):
//
//	dz = dlogp * (onehot(target) - p) - dent * p * (z - lse + ent),  dh = dz w / temp,  dw = sum of dzᵀ h / temp
//
// dh (rows, c), dw (v, c), either may be nil, add adds to dw instead of overwriting it; lse and ent (rows) as TokenLogProbs wrote them (nil: recomputed; ent matters with
// dent only). The gradients that arrive at rows not counted are not read; those rows of dh are exactly 0. dw sums over rows in
// row order, block after block.
func TokenLogProbsBackward[T Float](dh, dw, h, w []T, targets []int32, counted []T, temp T, lse, ent, dlogp, dent []T, rows, c, v int, add bool) {
	if dh != nil {
		clear(dh[:rows*c])
	}
	l := borrow[logProbBackLoop[T]](&logProbBackLoops)
	defer giveBack(&logProbBackLoops, l)
	*l = logProbBackLoop[T]{logitBlocks: newLogitBlocks(h, w, counted, temp, rows, c, v), lse: lse, ent: ent, dlogp: dlogp, dent: dent, targets: targets}
	defer l.free()
	var beta T
	if add {
		beta = 1
	}
	for l.next() {
		parallel.Run(len(l.rows), rowGrain(8*v), l)
		n := len(l.rows)
		if dw != nil {
			Gemm(true, false, v, c, n, 1, l.logits, v, l.hidden, c, beta, dw, c)
			beta = 1
		}
		if dh != nil {
			Gemm(false, false, n, c, v, 1, l.logits, v, w, c, 0, l.hidden, c)
			for i, r := range l.rows {
				copy(dh[r*c:][:c], l.hidden[i*c:][:c])
			}
		}
	}
	if dw != nil && beta == 0 { // no row is counted
		clearAll(dw[:v*c])
	}
}

// logProbBackLoop is a loop over the rows of a block of logits, which become their gradients.
type logProbBackLoop[T Float] struct {
	logitBlocks[T]
	lse, ent, dlogp, dent []T
	targets               []int32
}

func (l *logProbBackLoop[T]) Piece(lo, hi int) {
	v, temp := l.v, l.temp
	scr := take[T](v)
	defer give(scr)
	p := *scr
	for i := lo; i < hi; i++ {
		r, z := l.rows[i], l.logits[i*v:][:v] // z becomes dz / temp
		var lse, dl T
		if l.lse != nil {
			lse = l.lse[r]
		} else {
			m, sum := softmax(p, z)
			lse = m + logOf(sum)
		}
		if l.dlogp != nil {
			dl = l.dlogp[r]
		}
		addConst(z, z, -lse) // log p
		Exp(p, z)
		if l.dent != nil {
			var ent T
			if l.ent != nil {
				ent = l.ent[r]
			} else {
				ent = -Dot(p, z)
			}
			entropyBackward(z, p, -dl/temp, -l.dent[r]/temp, ent)
		} else {
			mulConst(z, p, -dl/temp)
		}
		z[l.targets[r]] += dl / temp
	}
}

// entropyBackward turns z = log p into p * (a + b*(z + h)).
func entropyBackward[T Float](z, p []T, a, b, h T) {
	p = p[:len(z)]
	n := vectorPart[T](len(z))
	if n > 0 {
		entropyBackwardAsm(n, ptr(z), ptr(p), float32(a), float32(b), float32(h))
	}
	for i := n; i < len(z); i++ {
		z[i] = p[i] * (a + T(b*(z[i]+h)))
	}
}

// logitBlocks walks the counted rows in blocks, in row order, and computes each block's logits.
type logitBlocks[T Float] struct {
	rows   []int // the block's rows, as indices into the batch
	hidden []T   // (len(rows), c) their hidden states
	logits []T   // (len(rows), v) h wᵀ / temp

	h, w, counted []T
	temp          T
	c, v          int
	todo, end     int // the rows not yet looked at
	index         *[]int
	buf           *[]T
}

// logitRows is the greatest number of rows whose logits exist at one time: 256, or fewer, at least 64, where they would be more
// than 16 MB in float32. Each block reads all of w, and backwards all of dw. It depends on v only, as the sums of dw do on it.
func logitRows(v int) int { return min(max((1<<22)/max(v, 1)&^63, 64), 256) }

func newLogitBlocks[T Float](h, w, counted []T, temp T, rows, c, v int) logitBlocks[T] {
	block := min(logitRows(v), rows)
	buf := take[T](block * (c + v))
	rest := *buf
	return logitBlocks[T]{
		h: h, w: w, counted: counted, temp: temp, c: c, v: v, end: rows, buf: buf,
		hidden: carve(&rest, block*c),
		logits: carve(&rest, block*v),
		index:  takeInts(block),
	}
}

func (b *logitBlocks[T]) free() {
	give(b.buf)
	intBuffers.Put(b.index)
}

// intBuffers keep the lists of rows.
var intBuffers sync.Pool

func takeInts(n int) *[]int {
	if p, ok := intBuffers.Get().(*[]int); ok && cap(*p) >= n {
		*p = (*p)[:n]
		return p
	}
	s := make([]int, n)
	return &s
}

// next computes the next block; false when there is none.
func (b *logitBlocks[T]) next() bool {
	b.rows = (*b.index)[:0]
	for ; b.todo < b.end && len(b.rows) < len(*b.index); b.todo++ {
		if b.counted[b.todo] != 0 {
			copy(b.hidden[len(b.rows)*b.c:][:b.c], b.h[b.todo*b.c:])
			b.rows = append(b.rows, b.todo)
		}
	}
	n := len(b.rows)
	if n == 0 {
		return false
	}
	Gemm(false, true, n, b.v, b.c, 1, b.hidden, b.c, b.w, b.c, 0, b.logits, b.v)
	Temper(b.logits[:n*b.v], b.temp)
	return true
}
