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
	has, err := m.seen()
	if err == nil {
		m.Config, err = decodeConfig(f.Values, has)
	}
	if err == nil {
		m.Ends = ends(f.Values, m.Config)
		m.Tensors = file.Tensors(table, m.Config, arch.GGUF)
		err = m.check()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return m, nil
}

// seen looks at the tensors that tell something about the model's shape.
func (m *Model) seen() (seen, error) {
	var s seen
	if embed, _ := m.f.Tensor(embedName); len(embed.Shape) == 2 {
		s.vocab = embed.Shape[0]
	}
	_, untied := m.f.Tensor(outputName)
	_, s.biased = m.f.Tensor(biasName)
	s.tied = !untied
	const longest = 1 << 16 // more pairs of columns than a head has
	if freqs, ok := m.f.Tensor(freqsName); ok && len(freqs.Shape) == 1 && freqs.Shape[0] <= longest {
		s.freqs = make([]float32, freqs.Shape[0])
		if err := m.f.Decode(freqs, 0, 1, func(int) []float32 { return s.freqs }); err != nil {
			return s, err
		}
	}
	return s, nil
}

// Close closes the file.
func (m *Model) Close() error { return m.f.Close() }

// Read fills the weights. Each number is read once, to where it belongs.
func (m *Model) Read(weight func(name string) []float32) error {
	for _, t := range m.Tensors {
		into, done := t.Fill(weight(t.Weight))
		if err := m.decode(t, into); err != nil {
			return err
		}
		done()
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
	known := map[string]bool{freqsName: m.Config.Rope.Type == arch.RopeLlama3}
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
			errs = append(errs, fmt.Errorf("tensor %q of shape %v belongs to no model of architecture %v with these metadata", t.Name, t.Shape, m.Config.Family))
		}
	}
	return bounded.Few(errs)
}
