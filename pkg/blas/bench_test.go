package blas_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	gblas "gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/gonum"

	"github.com/tame-rlhf/tame/pkg/blas"
)

// peer is a BLAS to be timed.
type peer struct {
	name       string
	blas       interface{ gblas.Float32Level3 }
	setThreads func(n int)
}

// peers are timed in turn. The build tag openblas adds OpenBLAS.
var peers = []peer{
	{"tame", blas.Float32{}, func(n int) { runtime.GOMAXPROCS(n) }},
	{"gonum", gonum.Implementation{}, func(n int) { runtime.GOMAXPROCS(n) }},
}

// shape is a product of m by k and k by n.
type shape struct{ m, n, k int }

func (s shape) String() string { return fmt.Sprintf("%dx%dx%d", s.m, s.n, s.k) }

// layerShapes are squares and the products of small Llamas' layers, M x N x K.
var layerShapes = []shape{
	{512, 512, 512}, {1024, 768, 768}, {1024, 2048, 768}, {2048, 2048, 2048}, {256, 288, 288}, {64, 288, 768}, {256, 768, 32000},
}

// BenchmarkSgemm is C = A B, A Bᵀ and Aᵀ B: SHAPE/TRANSPOSES/THREADS/LIBRARY.
func BenchmarkSgemm(b *testing.B) {
	for _, s := range layerShapes {
		for _, trans := range []string{"NN", "NT", "TN"} {
			for _, threads := range []int{1, 2} {
				for _, p := range peers {
					b.Run(fmt.Sprintf("%v/%s/%d/%s", s, trans, threads, p.name), func(b *testing.B) {
						benchSgemm(b, p, s, trans, threads)
					})
				}
			}
		}
	}
}

func benchSgemm(b *testing.B, p peer, s shape, trans string, threads int) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	p.setThreads(threads)
	x, y, z := benchMatrix(s.m, s.k, trans[0] == 'T'), benchMatrix(s.k, s.n, trans[1] == 'T'), benchMatrix(s.m, s.n, false)
	flags := map[byte]gblas.Transpose{'N': gblas.NoTrans, 'T': gblas.Trans}
	for b.Loop() {
		p.blas.Sgemm(flags[trans[0]], flags[trans[1]], s.m, s.n, s.k, 1, x.Data, x.Stride, y.Data, y.Stride, 0, z.Data, z.Stride)
	}
	b.ReportMetric(2*float64(s.m)*float64(s.n)*float64(s.k)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}

// benchMatrix is a rows by cols matrix of random numbers, or the matrix whose transpose it is.
func benchMatrix(rows, cols int, trans bool) blas32.General {
	if trans {
		rows, cols = cols, rows
	}
	rng := rand.New(rand.NewPCG(uint64(rows), uint64(cols)))
	x := make([]float32, rows*cols)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return blas32.General{Rows: rows, Cols: cols, Stride: cols, Data: x}
}
