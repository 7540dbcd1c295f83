package llamacpp

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/tame-rlhf/tame/internal/bounded"
	"github.com/tame-rlhf/tame/internal/gguf"
	"github.com/tame-rlhf/tame/internal/parallel"
	"github.com/tame-rlhf/tame/pkg/model/arch"
	"github.com/tame-rlhf/tame/pkg/model/internal/file"
)

// Model is an open file.
type Model struct {
	file.Contents
	f *gguf.File
}

// Open reads the metadata of a file, and compares names, shapes and types of its tensors with them.
func Open(path string, table arch.Table) (*Model, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	m := &Model{f: f}
	m.Form, m.Files = "gguf", []string{filepath.Base(path)}
	vocab := 0
	if embed, _ := f.Tensor(embedName); len(embed.Shape) == 2 {
		vocab = embed.Shape[0]
	}
	_, untied := f.Tensor(outputName)
	if m.Config, err = decodeConfig(f.Values, vocab, !untied); err == nil {
		m.Ends = ends(f.Values, m.Config)
		m.Tensors = file.Tensors(table, m.Config, arch.GGUF)
		err = m.check()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return m, nil
}

// Close closes the file.
func (m *Model) Close() error { return m.f.Close() }

// Read fills the weights. Each number is read once, to where it belongs.
func (m *Model) Read(weight func(name string) []float32) error {
	for _, t := range m.Tensors {
		if err := m.decode(t, t.Rows(weight(t.Weight))); err != nil {
			return err
		}
	}
	return nil
}

// decode fills the rows of a tensor, on all cores.
func (m *Model) decode(t file.Tensor, row func(r int) []float32) error {
	info, _ := m.f.Tensor(t.Name)
	rows, cols := t.Size()
	const grain = 1 << 18 // numbers that are worth another goroutine
	return parallel.Try(rows, max(1, grain/cols), func(lo, hi int) error { return m.f.Decode(info, lo, hi, row) })
}

// check compares names, shapes and types before anything of the model's size is allocated.
func (m *Model) check() error {
	var errs []error
	known := make(map[string]bool)
	for _, w := range m.Tensors {
		known[w.Name] = true
		t, ok := m.f.Tensor(w.Name)
		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("tensor %q of shape %v is missing", w.Name, w.Shape))
		case !slices.Equal(t.Shape, w.Shape):
			errs = append(errs, fmt.Errorf("tensor %q has shape %v, the metadata want %v", w.Name, t.Shape, w.Shape))
		case !t.Type.Readable():
			errs = append(errs, fmt.Errorf("tensor %q is %v, only %s are read", w.Name, t.Type, gguf.ReadableTypes))
		}
	}
	for _, t := range m.f.Tensors {
		if !known[t.Name] {
			errs = append(errs, fmt.Errorf("tensor %q of shape %v belongs to no Llama of these metadata", t.Name, t.Shape))
		}
	}
	return bounded.Few(errs)
}
