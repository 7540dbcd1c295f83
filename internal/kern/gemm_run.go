package kern

import (
	"math"
	"sync"

	"github.com/tame-rlhf/tame/internal/parallel"
)

const (
	sliver = 32 // columns of B packed side by side; the assembly knows this number

	taskCols = 16      // most slivers of B in a task: KC rows of them stay in the L2 cache
	taskWork = 1 << 17 // multiplications that are worth a task of their own

	nearLd   = KC + 16 // elements between the rows of a copied strip of A
	nearSize = 16 * nearLd
)

// crowded tells whether rows this many elements apart share few places of the caches: those of
// float32 that are a multiple of 4 KiB apart share one.
func crowded(ld int) bool { return ld%1024 == 0 }

// inPlace tells whether m rows of A are too few for packing a B that is not transposed to pay.
func inPlace(m, ldb int) bool {
	if crowded(ldb) {
		return m <= 56
	}
	return m <= 256
}

// run computes the product on up to procs goroutines.
func (p *product[T]) run(procs int) {
	work := p.m * p.n * p.k
	if procs > 1 && work >= 4*taskWork { // some 10 microseconds on one core
		p.parallel(min(parallel.PiecesPerWorker*procs, work/taskWork))
		return
	}
	const cols = taskCols * sliver
	for j := 0; j < p.n; j += cols {
		p.task(0, p.m, j, min(j+cols, p.n))
	}
}

// parallel cuts C into a grid of at least want tasks, if there are that many.
func (p *product[T]) parallel(want int) {
	rows, cols := p.grid(want)
	run(&gridLoops, rows*cols, 1, gridLoop[T]{*p, rows, cols})
}

// grid chooses the rows and columns of tasks. Tasks over the same rows read, or copy, the same part of A, those over the same columns
// the same part of B; the grid is the one that moves least.
func (p *product[T]) grid(want int) (rows, cols int) {
	const read, copied = 1, 5
	moveA, moveB := read, read
	if p.copiesA() {
		moveA = copied
	}
	if p.loose.data != nil {
		moveB = copied
	}
	slivers := ceilDiv(p.n, sliver)
	least := math.MaxInt
	for r := 1; r <= min(want, ceilDiv(p.m, stripRows())); r++ {
		c := min(slivers, max(ceilDiv(want, r), ceilDiv(slivers, taskCols)))
		move := c*p.m*moveA + r*p.n*moveB
		move *= max(1, want/(r*c)) // too few tasks keep cores waiting
		if move < least {
			least, rows, cols = move, r, c
		}
	}
	return rows, cols
}

// copiesA tells whether tasks copy their strips of A together: where the elements of a strip lie far apart, or in few places of the
// caches.
func (p *product[T]) copiesA() bool { return p.a.cs != 1 || crowded(p.a.rs) }

var gridLoops sync.Pool

// gridLoop is a loop over the tasks of a product.
type gridLoop[T Float] struct {
	product[T]
	rows, cols int // of the grid
}

func (l *gridLoop[T]) Piece(lo, hi int) {
	slivers := ceilDiv(l.n, sliver)
	for t := lo; t < hi; t++ {
		r, c := t%l.rows, t/l.rows // cores that work at the same time read the same columns of B
		l.task(r*l.m/l.rows, (r+1)*l.m/l.rows, c*slivers/l.cols*sliver, min((c+1)*slivers/l.cols*sliver, l.n))
	}
}

// task computes rows [i0, i1) and columns [j0, j1) of the product; j0 starts a sliver. It takes one
// block of k after the other, and in it strip by strip, so that the block's part of B stays in the
// L2 cache and the strip's part of A in the L1 cache.
func (p *product[T]) task(i0, i1, j0, j1 int) {
	var packed, near []T
	if p.loose.data != nil {
		size := min(KC, p.k) * ceilDiv(j1-j0, sliver) * sliver
		buf := take[T](size + line[T]())
		defer give(buf)
		packed = align(*buf, size)
	}
	if p.copiesA() && j1-j0 > 2*sliver {
		buf := take[T](nearSize)
		defer give(buf)
		near = *buf
	}
	strips := ceilDiv(i1-i0, stripRows())
	if strips == 1 && packed == nil && p.b.bs == sliver {
		p.stream(i0, i1, j0, j1)
		return
	}
	for k0 := 0; k0 < p.k; k0 += KC {
		kc := min(KC, p.k-k0)
		var b panel[T]
		if packed != nil {
			pack(kc, j1-j0, view[T]{p.loose.from(k0, j0), p.loose.rs, p.loose.cs}, packed)
			b = panel[T]{packed, sliver, kc * sliver}
		} else {
			b = panel[T]{p.b.data[j0/sliver*p.b.ss+k0*p.b.bs:], p.b.bs, p.b.ss}
		}
		for s := range strips {
			i := i0 + s*(i1-i0)/strips
			rows := i0 + (s+1)*(i1-i0)/strips - i
			a := view[T]{p.a.from(i, k0), p.a.rs, p.a.cs}
			if near != nil {
				a = a.copyTo(near, rows, kc)
			}
			strip(rows, j1-j0, kc, p.alpha, a.data, a.rs, a.cs, b.data, b.bs, b.ss, p.acc || k0 > 0, p.c[i*p.ldc+j0:], p.ldc)
		}
	}
}

// stream is task for few rows and a packed B: sliver by sliver, or by as many as a tile has, so that B is read as it lies in memory.
func (p *product[T]) stream(i0, i1, j0, j1 int) {
	cols := sliver
	if i1-i0 == 1 && simd == avx512 {
		cols = 2 * sliver
	}
	for j := j0; j < j1; j += cols {
		tileRows(i1-i0, min(j1-j, cols), p.k, p.alpha, p.a.from(i0, 0), p.a.rs, p.a.cs, p.b.from(j), p.acc, p.c[i0*p.ldc+j:], p.ldc)
	}
}

// copyTo copies a strip of A to where its elements lie close together: a transposed strip, whose columns are as far apart as the
// rows of A in memory, column by column.
func (v view[T]) copyTo(near []T, rows, kc int) view[T] {
	if v.cs == 1 {
		for r := range rows {
			copy(near[r*nearLd:r*nearLd+kc], v.data[r*v.rs:])
		}
		return view[T]{near, nearLd, 1}
	}
	return view[T]{near, 1, narrow(kc, rows, near, v.data, v.cs)}
}

// narrow copies the first cols columns of a matrix of k rows of ld elements each to rows that lie close together, and returns how
// far apart those are.
func narrow[T Float](k, cols int, dst, src []T, ld int) int {
	if dst, ok := any(dst).([]float32); ok && simd != portable {
		return narrowAsm(k, cols, dst, any(src).([]float32), ld)
	}
	for p := range k {
		copy(dst[p*cols:(p+1)*cols], src[p*ld:])
	}
	return cols
}

func ceilDiv(n, unit int) int { return (n + unit - 1) / unit }

// stripRows is the most rows of C that one call of strip computes.
func stripRows() int {
	switch simd {
	case avx512:
		return 14
	case avx2:
		return 6
	}
	return stripGoRows
}

// tileRows is a strip of a product, at most stripRows() rows, with the arithmetic of Gemm.
func tileRows[T Float](rows, cols, k int, alpha T, a []T, rs, cs int, b panel[T], acc bool, c []T, ldc int) {
	for k0 := 0; k0 < k; k0 += KC {
		strip(rows, cols, min(KC, k-k0), alpha, a[k0*cs:], rs, cs, b.data[k0*b.bs:], b.bs, b.ss, acc || k0 > 0, c, ldc)
	}
}

// strip computes rows by cols elements of C from kc terms each; see product for the arguments.
func strip[T Float](rows, cols, kc int, alpha T, a []T, rs, cs int, b []T, bs, ss int, acc bool, c []T, ldc int) {
	if a, ok := any(a).([]float32); ok && simd != portable {
		stripAsm(rows, cols, kc, float32(alpha), a, rs, cs, any(b).([]float32), bs, ss, acc, any(c).([]float32), ldc)
		return
	}
	stripGo(rows, cols, kc, alpha, a, rs, cs, b, bs, ss, acc, c, ldc)
}
