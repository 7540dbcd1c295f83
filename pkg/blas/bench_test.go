package blas_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	gblas "gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/gonum"

	"github.com/tame-rlhf/tame/pkg/blas"
)

// All names are SHAPE/.../THREADS/LIBRARY. Threads of OpenBLAS, and goroutines here, look for work for a while after a call: a
// library that is timed just after another one on the same cores waits until they sleep.

// peer is a BLAS to be timed.
type peer struct {
	name       string
	blas       gblas.Float32
	setThreads func(n int)
}

// peers are timed in turn. With the build tag openblas, OpenBLAS takes the place of gonum.
var peers = []peer{
	{"tame", blas.Float32{}, func(n int) { runtime.GOMAXPROCS(n) }},
	{"gonum", gonum.Implementation{}, func(n int) { runtime.GOMAXPROCS(n) }},
}

// eachPeer runs a benchmark of all peers on each number of threads. It reports what they do in a second, a call does amount, in
// billions of unit.
func eachPeer(b *testing.B, name string, amount float64, unit string, threads []int, call func(p peer)) {
	for _, n := range threads {
		for _, p := range peers {
			b.Run(fmt.Sprintf("%s/%d/%s", name, n, p.name), func(b *testing.B) {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
				p.setThreads(n)
				call(p)
				time.Sleep(50 * time.Millisecond)
				for b.Loop() {
					call(p)
				}
				b.ReportMetric(amount*float64(b.N)/b.Elapsed().Seconds()/1e9, unit)
			})
		}
	}
}

// shape is a product of m by k and k by n.
type shape struct{ m, n, k int }

func (s shape) String() string { return fmt.Sprintf("%dx%dx%d", s.m, s.n, s.k) }

// flops is the number of additions and multiplications.
func (s shape) flops() float64 { return 2 * float64(s.m) * float64(s.n) * float64(s.k) }

// layerShapes are squares and the products of small Llamas' layers, M x N x K.
var layerShapes = []shape{
	{512, 512, 512}, {1024, 768, 768}, {1024, 2048, 768}, {2048, 2048, 2048}, {256, 288, 288}, {64, 288, 768}, {256, 768, 32000},
}

// BenchmarkSgemm is C = A B, A Bᵀ and Aᵀ B: SHAPE/TRANSPOSES/THREADS/LIBRARY.
func BenchmarkSgemm(b *testing.B) {
	flags := map[byte]gblas.Transpose{'N': gblas.NoTrans, 'T': gblas.Trans}
	for _, s := range layerShapes {
		for _, trans := range []string{"NN", "NT", "TN"} {
			x, y, z := benchMatrix(s.m, s.k, trans[0] == 'T'), benchMatrix(s.k, s.n, trans[1] == 'T'), benchMatrix(s.m, s.n, false)
			eachPeer(b, fmt.Sprintf("%v/%s", s, trans), s.flops(), "GFLOP/s", []int{1, 2}, func(p peer) {
				p.blas.Sgemm(flags[trans[0]], flags[trans[1]], s.m, s.n, s.k, 1, x.Data, x.Stride, y.Data, y.Stride, 0, z.Data, z.Stride)
			})
		}
	}
}

// decodeShapes are the products of a few rows with weights, M x N x K.
var decodeShapes = []shape{
	{1, 768, 768}, {4, 768, 768}, {8, 768, 768}, {16, 768, 768}, {1, 768, 2048}, {4, 768, 2048}, {8, 768, 2048}, {16, 768, 2048},
}

// BenchmarkPacked is C = A Bᵀ, B weights stored [out, in], packed once here and not by the peers: SHAPE/NT/THREADS/LIBRARY.
func BenchmarkPacked(b *testing.B) {
	for _, s := range decodeShapes {
		x, w, z := benchMatrix(s.m, s.k, false), benchMatrix(s.k, s.n, true), benchMatrix(s.m, s.n, false)
		packed := blas.Pack(gblas.Trans, s.k, s.n, w.Data, w.Stride)
		eachPeer(b, fmt.Sprintf("%v/NT", s), s.flops(), "GFLOP/s", []int{1, 2}, func(p peer) {
			if _, ok := p.blas.(blas.Float32); ok {
				packed.Sgemm(s.m, x.Data, x.Stride, 0, z.Data, z.Stride)
				return
			}
			p.blas.Sgemm(gblas.NoTrans, gblas.Trans, s.m, s.n, s.k, 1, x.Data, x.Stride, w.Data, w.Stride, 0, z.Data, z.Stride)
		})
	}
}

// BenchmarkPack is the packing of K x N weights: SHAPE/TRANSPOSE/THREADS/LIBRARY.
func BenchmarkPack(b *testing.B) {
	defer func(all []peer) { peers = all }(peers)
	peers = peers[:1]
	for _, s := range []shape{{0, 768, 768}, {0, 768, 2048}} {
		for name, tB := range map[string]gblas.Transpose{"N": gblas.NoTrans, "T": gblas.Trans} {
			w := benchMatrix(s.k, s.n, tB == gblas.Trans)
			eachPeer(b, fmt.Sprintf("%dx%d/%s", s.k, s.n, name), 4*float64(s.k)*float64(s.n), "GB/s", []int{1, 2}, func(peer) {
				blas.Pack(tB, s.k, s.n, w.Data, w.Stride)
			})
		}
	}
}

// BenchmarkSgemv is y = A x and y = Aᵀ x, A of M x N: SHAPE/TRANSPOSE/THREADS/LIBRARY.
func BenchmarkSgemv(b *testing.B) {
	for _, s := range []shape{{64, 64, 0}, {768, 768, 0}, {768, 2048, 0}, {4096, 4096, 0}} {
		a, x, y := benchMatrix(s.m, s.n, false), benchMatrix(1, max(s.m, s.n), false), benchMatrix(1, max(s.m, s.n), false)
		for _, trans := range []gblas.Transpose{gblas.NoTrans, gblas.Trans} {
			eachPeer(b, fmt.Sprintf("%dx%d/%c", s.m, s.n, trans), 4*float64(s.m)*float64(s.n), "GB/s", []int{1, 2}, func(p peer) {
				p.blas.Sgemv(trans, s.m, s.n, 1, a.Data, a.Stride, x.Data, 1, 0, y.Data, 1)
			})
		}
	}
}

var lengths = []int{100, 10_000, 1_000_000}

// BenchmarkSdot is x·y: LENGTH/THREADS/LIBRARY.
func BenchmarkSdot(b *testing.B) {
	for _, n := range lengths {
		x, y := benchMatrix(1, n, false), benchMatrix(1, n, false)
		eachPeer(b, fmt.Sprint(n), 8*float64(n), "GB/s", []int{1, 2}, func(p peer) { p.blas.Sdot(n, x.Data, 1, y.Data, 1) })
	}
}

// BenchmarkSaxpy is y = y + alpha x: LENGTH/THREADS/LIBRARY.
func BenchmarkSaxpy(b *testing.B) {
	for _, n := range lengths {
		x, y := benchMatrix(1, n, false), benchMatrix(1, n, false)
		eachPeer(b, fmt.Sprint(n), 12*float64(n), "GB/s", []int{1, 2}, func(p peer) { p.blas.Saxpy(n, 1e-9, x.Data, 1, y.Data, 1) })
	}
}

// benchMatrix is a rows by cols matrix of random numbers, or the matrix whose transpose it is.
func benchMatrix(rows, cols int, trans bool) blas32.General {
	if trans {
		rows, cols = cols, rows
	}
	rng := rand.New(rand.NewPCG(uint64(rows), uint64(cols)))
	return blas32.General{Rows: rows, Cols: cols, Stride: cols, Data: normal(rng, rows*cols)}
}
