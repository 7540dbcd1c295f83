package backend_test

import (
	"sync"

	"github.com/tame-rlhf/tame/pkg/backend"
	"github.com/tame-rlhf/tame/pkg/backend/cpu"
)

// watched is the CPU with a look at every kernel after it ran: its name and the float32 results,
// which after may change. Kernels of graphs are named by their kind, others by their method.
type watched struct {
	cpu   cpu.Backend
	after func(kernel string, results ...[]float32)
}

// count is a backend that counts the kernels that ran.
func count() (*watched, map[string]int) {
	var mu sync.Mutex
	seen := map[string]int{}
	return &watched{after: func(kernel string, _ ...[]float32) {
		mu.Lock()
		defer mu.Unlock()
		seen[kernel]++
	}}, seen
}

func (w *watched) Kernel(op backend.Op) (backend.Kernel, error) {
	run, err := w.cpu.Kernel(op)
	if err != nil {
		return nil, err
	}
	return func(dst, in []backend.Buffer) {
		run(dst, in)
		var results [][]float32
		for _, d := range dst {
			results = append(results, d.F32)
		}
		w.after(string(op.Kind), results...)
	}, nil
}

type watchedTable struct {
	backend.Table
	w *watched
}

func (w *watched) Table(x []float32, v, c int) backend.Table {
	return watchedTable{w.cpu.Table(x, v, c), w}
}

func (t watchedTable) Lookup(out []float32, tokens []int32) {
	t.Table.Lookup(out, tokens)
	t.w.after("Table.Lookup", out)
}

// watchedRows is a Matrix or a Norm.
type watchedRows struct {
	inner backend.Matrix
	name  string
	w     *watched
}

func (w *watched) Matrix(x []float32, m, k int) backend.Matrix {
	return watchedRows{w.cpu.Matrix(x, m, k), "Matrix.Apply", w}
}

func (w *watched) Norm(x []float32, eps float64) backend.Norm {
	return watchedRows{w.cpu.Norm(x, eps), "Norm.Apply", w}
}

func (a watchedRows) Apply(out, x []float32, rows int) {
	a.inner.Apply(out, x, rows)
	a.w.after(a.name, out)
}

type watchedCache struct {
	backend.Cache
	w *watched
}

func (w *watched) HeadNorm(q, k []float32, heads backend.Heads, eps float64) backend.Norm {
	return watchedRows{w.cpu.HeadNorm(q, k, heads, eps), "HeadNorm.Apply", w}
}

func (w *watched) Caches(layers []backend.Heads, slots, maxLen int, rope []float32) []backend.Cache {
	list := w.cpu.Caches(layers, slots, maxLen, rope)
	for i := range list {
		list[i] = watchedCache{list[i], w}
	}
	return list
}

func (c watchedCache) Append(slot, pos int, qkv, q []float32, rows int) {
	c.Cache.Append(slot, pos, qkv, q, rows)
	c.w.after("Cache.Append", q)
}

func (c watchedCache) Attend(slot, length int, out, q []float32, rows int) {
	c.Cache.Attend(slot, length, out, q, rows)
	c.w.after("Cache.Attend", out)
}

func (c watchedCache) Copy(dst, src, n int) {
	c.Cache.Copy(dst, src, n)
	c.w.after("Cache.Copy")
}

func (w *watched) SwiGLU(out, gateUp []float32, rows, f int) {
	w.cpu.SwiGLU(out, gateUp, rows, f)
	w.after("SwiGLU", out)
}

func (w *watched) Add(dst, a, b []float32) {
	w.cpu.Add(dst, a, b)
	w.after("Add", dst)
}

func (w *watched) Float32() backend.Vectors[float32] { return watchedVectors{w.cpu.Float32(), w} }
func (w *watched) Float64() backend.Vectors[float64] { return w.cpu.Float64() }

type watchedVectors struct {
	backend.Vectors[float32]
	w *watched
}

func (v watchedVectors) AdamW(p, g, m, s []float32, step backend.AdamWStep) {
	v.Vectors.AdamW(p, g, m, s, step)
	v.w.after("AdamW", p)
}

func (v watchedVectors) SumSquares(x []float32) float64 {
	v.w.after("SumSquares")
	return v.Vectors.SumSquares(x)
}

func (v watchedVectors) Temper(logits []float32, temperature float32) {
	v.Vectors.Temper(logits, temperature)
	v.w.after("Temper", logits)
}

func (v watchedVectors) LogSumExp(x []float32) float32 {
	v.w.after("LogSumExp")
	return v.Vectors.LogSumExp(x)
}

func (v watchedVectors) Exp(dst, x []float32) {
	v.Vectors.Exp(dst, x)
	v.w.after("Exp", dst)
}

func (v watchedVectors) Max(x []float32) float32 {
	v.w.after("Max")
	return v.Vectors.Max(x)
}
