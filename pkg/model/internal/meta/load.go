package meta

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tame-rlhf/tame/internal/bounded"
	"github.com/tame-rlhf/tame/internal/pth"
	"github.com/tame-rlhf/tame/pkg/model/arch"
	"github.com/tame-rlhf/tame/pkg/model/internal/file"
)

// Files of a folder.
const (
	ParamsFile = "params.json"
	FirstFile  = "consolidated.00.pth"
)

// ropeFreqs is a tensor that follows from the head width.
const ropeFreqs = "rope.freqs"

// IsShard says whether a file's name is that of one of Meta's.
func IsShard(name string) bool {
	return strings.HasPrefix(name, "consolidated.") && strings.HasSuffix(name, ".pth")
}

// Model is an open folder.
type Model struct {
	file.Contents
	shards shards
}

// Open reads params.json, and compares names and shapes of the tensors with it.
func Open(dir string, table arch.Table) (*Model, error) {
	files, err := openShards(dir)
	if err != nil {
		return nil, err
	}
	m := &Model{shards: files}
	if err := m.open(dir, table); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

func (m *Model) open(dir string, table arch.Table) (err error) {
	decode := func(raw []byte) (arch.Config, error) { return decodeConfig(raw, m.shards.seen) }
	if m.Config, err = file.Parse(filepath.Join(dir, ParamsFile), file.MaxConfigBytes, decode); err != nil {
		return err
	}
	m.Form, m.Files = "meta", []string{ParamsFile}
	for i := range m.shards {
		m.Files = append(m.Files, shardName(i))
	}
	m.Tensors = file.Tensors(table, m.Config, arch.Meta)
	if err := m.shards.check(m.Tensors); err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	if _, ok := m.shards[0].Tensor(ropeFreqs); ok {
		m.UnusedTensors = []string{ropeFreqs}
	}
	return nil
}

// Close closes the files.
func (m *Model) Close() error { return file.Close(m.shards) }

// Read fills the weights.
func (m *Model) Read(weight func(name string) []float32) error {
	for _, t := range m.Tensors {
		if err := m.shards.read(t, t.Rows(weight(t.Weight))); err != nil {
			return err
		}
	}
	return nil
}

// shards are the files of a model: each has some heads, some of the hidden width, some of the columns of the embedding.
type shards []*pth.File

func openShards(dir string) (shards, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries { // sorted
		if !IsShard(e.Name()) {
			continue
		}
		if want := shardName(len(names)); e.Name() != want {
			return nil, fmt.Errorf("%s: %s is there, but %s is missing", dir, e.Name(), want)
		}
		names = append(names, e.Name())
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s has no %s", dir, FirstFile)
	}
	return file.OpenAll(dir, names, pth.Open)
}

func shardName(i int) string { return fmt.Sprintf("consolidated.%02d.pth", i) }

// seen gives what the tensors tell of a model of that width.
func (m shards) seen(dim int) seen {
	var s seen
	// However the embedding was shared out; if it is damaged, check says what is wrong.
	if e, ok := m[0].Tensor("tok_embeddings.weight"); ok && len(e.Shape) == 2 {
		s.vocab = e.Shape[0]
		if e.Shape[1] == dim {
			s.vocab *= len(m)
		}
	}
	if w1, ok := m[0].Tensor("layers.0.feed_forward.w1.weight"); ok && len(w1.Shape) == 2 {
		s.hidden = w1.Shape[0] * len(m)
	}
	s.tied = m.tied()
	return s
}

// tied says whether the output projection is the embedding: not there, or the same numbers of the file.
func (m shards) tied() bool {
	output, ok := m[0].Tensor("output.weight")
	embed, _ := m[0].Tensor("tok_embeddings.weight")
	return !ok || len(m) == 1 && output.Shares(embed)
}

// shape is that of a file's part of a tensor. Llama 3 shares the embedding out by rows, Llama 2 by columns.
func (m shards) shape(t file.Tensor) (shape []int, split arch.Split) {
	shape, split = slices.Clone(t.Shape), t.Split
	if split == arch.Whole || len(m) == 1 {
		return shape, arch.Whole
	}
	if t.Weight == "embed" {
		if e, ok := m[0].Tensor(t.Name); ok && len(e.Shape) == 2 && e.Shape[1] == t.Shape[1] {
			split = arch.ByRows
		}
	}
	shape[split] /= len(m) // ByRows and ByColumns are the dimensions
	return shape, split
}

// check compares names and shapes before anything of the model's size is allocated.
func (m shards) check(wanted []file.Tensor) error {
	var errs []error
	known := map[string]bool{ropeFreqs: true}
	for _, w := range wanted {
		known[w.Name] = true
		shape, split := m.shape(w)
		if split != arch.Whole && w.Shape[split]%len(m) != 0 {
			errs = append(errs, fmt.Errorf("tensor %q of shape %v cannot be shared out among %d files", w.Name, w.Shape, len(m)))
			continue
		}
		for _, f := range m {
			t, ok := f.Tensor(w.Name)
			if !ok {
				errs = append(errs, fmt.Errorf("%s: tensor %q of shape %v is missing", f.Path(), w.Name, shape))
			} else if !slices.Equal(t.Shape, shape) {
				errs = append(errs, fmt.Errorf("%s: tensor %q has shape %v, %s wants %v", f.Path(), w.Name, t.Shape, ParamsFile, shape))
			}
		}
	}
	if len(wanted) > 0 && !slices.ContainsFunc(wanted, func(t file.Tensor) bool { return t.Weight == "output" }) {
		known["output.weight"] = true // the embedding
	}
	for _, f := range m {
		for _, t := range f.Tensors {
			if !known[t.Name] {
				errs = append(errs, fmt.Errorf("%s: tensor %q of shape %v belongs to no Llama of this %s", f.Path(), t.Name, t.Shape, ParamsFile))
			}
		}
	}
	return bounded.Few(errs)
}

// read fills some rows of a weight from all files.
func (m shards) read(t file.Tensor, place func(r int) []float32) error {
	shape, split := m.shape(t)
	for i, f := range m {
		at := place
		if split == arch.Whole && i > 0 { // norms: every file has them
			copied := make([]float32, shape[0])
			if err := readPth(f, t.Name, 1, shape[0], func(int) []float32 { return copied }); err != nil {
				return err
			}
			if !slices.Equal(copied, place(0)) {
				return fmt.Errorf("%s: tensor %q differs from that of %s: the files are not of one model", f.Path(), t.Name, m[0].Path())
			}
			continue
		}
		switch split {
		case arch.ByRows:
			at = func(r int) []float32 { return place(i*shape[0] + r) }
		case arch.ByColumns:
			at = func(r int) []float32 { return place(r)[i*shape[1]:][:shape[1]] }
		}
		rows, cols := file.Tensor{Shape: shape}.Size()
		if err := readPth(f, t.Name, rows, cols, at); err != nil {
			return err
		}
	}
	return nil
}

// readPth converts the rows of a tensor, each into the numbers that place gives for it.
func readPth(f *pth.File, name string, rows, cols int, place func(r int) []float32) error {
	t, _ := f.Tensor(name)
	r, err := f.Reader(t)
	if err != nil {
		return err
	}
	if err := file.ReadRows(bufio.NewReaderSize(r, file.ChunkBytes), rows, cols, t.DType, place); err != nil {
		return errors.Join(fmt.Errorf("%s: tensor %q: %w", f.Path(), name, err), r.Close())
	}
	return r.Close()
}
