package model

import (
	"errors"
	"fmt"
	"io"

	"github.com/tame-rlhf/tame/pkg/model/arch"
	"github.com/tame-rlhf/tame/pkg/model/internal/hf"
	"github.com/tame-rlhf/tame/pkg/model/internal/safetensors"
)

// Tensor is a named float32 tensor of a safetensors file.
type Tensor struct {
	Name  string
	Shape []int
	Data  []float32 // row by row
}

// ReadSafetensors reads all tensors of a file in the order of their places in it. F32 is read as it is, F16 and BF16 are converted to
// float32 exactly; other dtypes are refused. A damaged file gives an error before anything of its size is allocated.
func ReadSafetensors(path string) ([]Tensor, error) {
	tensors, err := readSafetensors(path)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	return tensors, nil
}

func readSafetensors(path string) (_ []Tensor, err error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return readAll(f)
}

func readAll(f *safetensors.File) ([]Tensor, error) {
	var tensors []Tensor
	var reads []safetensors.Read
	for _, info := range f.Tensors {
		if err := f.Readable(info); err != nil {
			return nil, err
		}
		t := Tensor{Name: info.Name, Shape: info.Shape, Data: make([]float32, info.Len())}
		tensors = append(tensors, t)
		reads = append(reads, safetensors.Read{File: f, Info: info, Into: t.Data})
	}
	if err := safetensors.ReadAll(reads); err != nil {
		return nil, err
	}
	return tensors, nil
}

// WriteSafetensors writes tensors as F32, in their order. Metadata goes into the header; nil for none.
func WriteSafetensors(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	sources := make([]safetensors.Source, len(tensors))
	for i, t := range tensors {
		sources[i] = safetensors.Source(t)
	}
	return saving("write", safetensors.Write(w, sources, F32, metadata))
}

// WriteWeights writes all weights in safetensors form, the same bytes for the same weights: a hash of it names a model.
func (p *Params) WriteWeights(w io.Writer) error {
	p, err := p.float32s()
	if err != nil {
		return saving("write", err)
	}
	tensors, err := p.tensors(arch.HF, true)
	if err != nil {
		return saving("write", err)
	}
	sources := hf.Sources(tensors, p.numbers)
	further, _ := p.further()
	for _, s := range further {
		s.Name = "further/" + s.Name // apart from the names of Hugging Face
		sources = append(sources, s)
	}
	return saving("write", safetensors.Write(w, sources, F32, nil))
}
