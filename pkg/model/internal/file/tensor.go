package file

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/tame-rlhf/tame/pkg/model/arch"
)

// Tensor is a tensor of a file: some rows of a weight, under the name that the format has for it.
//
// The rows of heads that rotary positions turn are in another order in the formats that turn
// neighbouring columns (2i, 2i+1) of a head: GGUF, Meta's and llama2.c. We and Hugging Face turn
// the columns (i, i+D/2).
type Tensor struct {
	Name     string // in the file
	Weight   string // name of the weight
	Shape    []int
	First    int // its first row in the weight
	HeadDim  int // > 0: rows of heads of that width, in the order of neighbouring columns
	Split    arch.Split
	Optional bool // a file may lack it
}

// Contents is what a file or folder has of a model; it is part of every format's Model.
type Contents struct {
	Config  arch.Config
	Tensors []Tensor
	Ends    []int32 // ids besides EOS that end an answer

	Generation map[string]json.RawMessage // how to sample, in the words of generation_config.json; nil for none

	Form          string   // hf, gguf, llama2c or meta
	Files         []string // that are read, by their names in the folder
	UnusedKeys    []string // fields of config.json that are not read
	UnusedTensors []string // that are not read, because others say the same
	LeftAside     []string // sentences for people about weights that are there a second time
}

// Has is the Contents.
func (c *Contents) Has() *Contents { return c }

// Tensors lists the tensors of a model in a format, in the order of the table. A weight that the
// format has no name for has none.
func Tensors(table arch.Table, c arch.Config, f arch.Format) []Tensor {
	var list []Tensor
	for _, w := range table.Weights(c) {
		unnamed := func(p arch.Piece) bool { return p.Names[f] == "" }
		if slices.ContainsFunc(w.Part.Files, unnamed) {
			continue
		}
		first := 0
		for _, p := range w.Part.Files {
			t := Tensor{
				Name: arch.Numbered(p.Names[f], w.Layer), Weight: w.Name, Shape: slices.Clone(w.Shape),
				First: first, Split: p.Split, Optional: p.Optional,
			}
			if p.Rows != nil {
				t.Shape[0] = p.Rows(c)
			}
			if p.Rotated && c.Neighbours(f) {
				t.HeadDim = c.HeadDim
			}
			first += t.Shape[0]
			list = append(list, t)
		}
	}
	return list
}

// Size gives the tensor as a matrix; a vector is one row.
func (t Tensor) Size() (rows, cols int) {
	if len(t.Shape) == 1 {
		return 1, t.Shape[0]
	}
	return t.Shape[0], t.Shape[1]
}

// Span gives the numbers of the tensor within its weight, if its rows are in our order.
func (t Tensor) Span() (lo, hi int) {
	rows, cols := t.Size()
	lo = t.start(0)
	return lo, lo + rows*cols
}

// start is the place of a row's first number in the weight.
func (t Tensor) start(r int) int {
	if len(t.Shape) == 1 {
		return t.First
	}
	return (t.First + t.turned(r)) * t.Shape[1]
}

// turned is the place in our order of row r, or of number r of a vector.
func (t Tensor) turned(r int) int {
	if t.HeadDim == 0 {
		return r
	}
	head, j := r/t.HeadDim, r%t.HeadDim
	return head*t.HeadDim + j/2 + j%2*(t.HeadDim/2)
}

// Fill gives memory to read the tensor's rows into. done puts what is not in place yet where it belongs: the numbers of a vector in
// another order.
func (t Tensor) Fill(weight []float32) (row func(r int) []float32, done func()) {
	if len(t.Shape) > 1 || t.HeadDim == 0 {
		return t.Rows(weight), func() {}
	}
	read := make([]float32, t.Shape[0])
	return func(int) []float32 { return read }, func() {
		for i, x := range read {
			weight[t.First+t.turned(i)] = x
		}
	}
}

// Rows gives the memory of the tensor's rows in the numbers of its weight; of a vector in another order, a copy in that order.
func (t Tensor) Rows(weight []float32) func(r int) []float32 {
	_, cols := t.Size()
	if len(t.Shape) == 1 && t.HeadDim > 0 {
		return func(int) []float32 {
			out := make([]float32, cols)
			for i := range out {
				out[i] = weight[t.First+t.turned(i)]
			}
			return out
		}
	}
	return func(r int) []float32 { return weight[t.start(r):][:cols] }
}

// Write writes the tensor's rows out of the numbers of its weight.
func (t Tensor) Write(w io.Writer, weight []float32, dtype string) error {
	rows, _ := t.Size()
	row := t.Rows(weight)
	var buf []byte
	for r := range rows {
		var err error
		if buf, err = Encode(buf[:0], row(r), dtype); err != nil {
			return fmt.Errorf("row %d: %w", r, err)
		}
		if _, err = w.Write(buf); err != nil {
			return err
		}
	}
	return nil
}

// ReadRows reads rows of cols numbers, each into the numbers that place gives for it.
func ReadRows(r io.Reader, rows, cols int, dtype string, place func(r int) []float32) error {
	size, _ := DTypeSize(dtype)
	buf := make([]byte, int(size)*cols)
	for i := range rows {
		if _, err := io.ReadFull(r, buf); err != nil {
			return err
		}
		Decode(place(i), buf, dtype)
	}
	return nil
}
