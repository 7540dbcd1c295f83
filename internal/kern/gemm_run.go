package kern

const (
	sliver = 32 // columns of B packed side by side; the assembly knows this number

	panelK    = 8 * KC  // most rows of a packed panel of B
	panelSize = 1 << 20 // most elements of a packed panel of B

	taskRows = 8 * 14  // rows of C in a task, at most
	taskCols = 512     // columns of C in a task: KC rows of B of this width stay in the L2 cache
	taskWork = 1 << 17 // multiplications that are worth a task of their own, at least

	nearLd = KC + 16 // elements between the rows of a copied strip of A
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
	if procs > 1 && p.m*p.n*p.k >= 4*taskWork { // some 10 microseconds on one core
		p.parallel(procs)
		return
	}
	for j := 0; j < p.n; j += taskCols {
		p.task(0, p.m, j, min(j+taskCols, p.n))
	}
}

// parallel cuts C into a grid of tasks of about the same size.
func (p *product[T]) parallel(procs int) {
	want := min(piecesPerWorker*procs, p.m*p.n*p.k/taskWork)
	cols := (p.n + taskCols - 1) / taskCols
	rows := (p.m + taskRows - 1) / taskRows
	if rows*cols < want { // rows first: tasks side by side in a row would each load its A
		rows = min((want+cols-1)/cols, (p.m+stripRows()-1)/stripRows())
	}
	slivers := (p.n + sliver - 1) / sliver
	if rows*cols < want {
		cols = min((want+rows-1)/rows, slivers)
	}
	q := *p
	For(rows*cols, 1, func(lo, hi int) {
		for t := lo; t < hi; t++ {
			r, c := t/cols, t%cols
			q.task(r*q.m/rows, (r+1)*q.m/rows, c*slivers/cols*sliver, min((c+1)*slivers/cols*sliver, q.n))
		}
	})
}

// task computes rows [i0, i1) and columns [j0, j1) of the product, strip by strip; j0 starts a sliver.
func (p *product[T]) task(i0, i1, j0, j1 int) {
	// All tiles of a strip read its rows of A, which should stay in the L1 cache together.
	var near []T
	if p.a.cs == 1 && crowded(p.a.rs) && j1-j0 > 2*sliver {
		buf := take[T](stripRows() * nearLd)
		defer give(buf)
		near = *buf
	}
	strips := (i1 - i0 + stripRows() - 1) / stripRows()
	for k0 := 0; k0 < p.k; k0 += KC {
		kc := min(KC, p.k-k0)
		b := p.b.data[j0/sliver*p.b.ss+k0*p.b.bs:]
		for s := range strips {
			i := i0 + s*(i1-i0)/strips
			rows := i0 + (s+1)*(i1-i0)/strips - i
			a, rs := p.a.from(i, k0), p.a.rs
			if near != nil {
				for r := range rows {
					copy(near[r*nearLd:r*nearLd+kc], a[r*rs:])
				}
				a, rs = near, nearLd
			}
			strip(rows, j1-j0, kc, p.alpha, a, rs, p.a.cs, b, p.b.bs, p.b.ss, p.acc || k0 > 0, p.c[i*p.ldc+j0:], p.ldc)
		}
	}
}

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

// strip computes rows by cols elements of C from kc terms each; see product for the arguments.
func strip[T Float](rows, cols, kc int, alpha T, a []T, rs, cs int, b []T, bs, ss int, acc bool, c []T, ldc int) {
	if a, ok := any(a).([]float32); ok && simd != portable {
		stripAsm(rows, cols, kc, float32(alpha), a, rs, cs, any(b).([]float32), bs, ss, acc, any(c).([]float32), ldc)
		return
	}
	stripGo(rows, cols, kc, alpha, a, rs, cs, b, bs, ss, acc, c, ldc)
}
