// Package llama2c reads and writes files of llama2.c, version 0.
//
// Such a file is a header of seven int32 (dim, hidden width, layers, heads, key/value heads,
// vocabulary, context; all little endian) and then the float32 weights, each kind for all layers:
//
//	token embedding, attention norms, wq, wk, wv, wo, FFN norms, w1 (gate), w2 (down), w3 (up),
//	final norm, cosines, sines, [output]
//
// A vocabulary below 0 says that output weights of their own follow; otherwise the embedding is
// used. The tables of cosines and sines are not read: they follow from the header. Tensors are those
// of Meta, whose order of rows the file has.
package llama2c

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tame-rlhf/tame/pkg/backend"
	"github.com/tame-rlhf/tame/pkg/model/arch"
	"github.com/tame-rlhf/tame/pkg/model/internal/file"
)

// Suffix is how a file's name ends.
const Suffix = ".bin"

const (
	headerBytes = 7 * 4
	laterMagic  = 0x616b3432 // "ak42": versions 1 and 2
	howTo       = "export it again with --version 0"
	cutShort    = "the file is cut short, or not a llama2.c model of version 0"
)

// order is that of the kinds of tensors. The one without a name is the tables of cosines and sines.
var order = []string{
	"tok_embeddings.weight", "attention_norm.weight", "attention.wq.weight", "attention.wk.weight", "attention.wv.weight",
	"attention.wo.weight", "ffn_norm.weight", "feed_forward.w1.weight", "feed_forward.w2.weight", "feed_forward.w3.weight",
	"norm.weight", "", "output.weight",
}

// rank is the place of a tensor's kind in the order, -1 for none.
func rank(t file.Tensor) int {
	name := t.Name
	if inLayer, is := strings.CutPrefix(name, "layers."); is {
		_, name, _ = strings.Cut(inLayer, ".")
	}
	return slices.Index(order, name)
}

// inFileOrder sorts the tensors of a model and adds the tables. One that the file has no place for is an error.
func inFileOrder(c arch.Config, tensors []file.Tensor) ([]file.Tensor, error) {
	for _, t := range tensors {
		if rank(t) < 0 {
			return nil, fmt.Errorf("the format has no place for weight %q", t.Weight)
		}
	}
	list := append(slices.Clone(tensors), file.Tensor{Shape: []int{2 * c.MaxSeqLen, c.HeadDim / 2}})
	slices.SortStableFunc(list, func(a, b file.Tensor) int { return rank(a) - rank(b) })
	return list, nil
}

// Model is an open file.
type Model struct {
	file.Contents
	f *os.File
	r io.Reader
}

// Open reads the header of a file, and compares the file's size with it.
func Open(path string, table arch.Table) (*Model, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	m := &Model{f: f, r: bufio.NewReaderSize(f, file.ChunkBytes)}
	m.Form, m.Files = "llama2c", []string{filepath.Base(path)}
	if err := m.open(table); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return m, nil
}

func (m *Model) open(table arch.Table) error {
	stat, err := m.f.Stat()
	if err != nil {
		return err
	}
	var header [headerBytes]byte
	if _, err := io.ReadFull(m.r, header[:]); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	if m.Config, err = decodeHeader(header); err != nil {
		return err
	}
	if m.Tensors, err = inFileOrder(m.Config, file.Tensors(table, m.Config, arch.Meta)); err != nil {
		return err
	}
	want := int64(headerBytes)
	for _, t := range m.Tensors {
		rows, cols := t.Size()
		want += 4 * int64(rows) * int64(cols)
	}
	if size := stat.Size(); size != want {
		return fmt.Errorf("%d bytes, want %d for %d layers of width %d: %s", size, want, m.Config.NumLayers, m.Config.Dim, cutShort)
	}
	return nil
}

// Close closes the file.
func (m *Model) Close() error { return m.f.Close() }

// Read fills the weights.
func (m *Model) Read(weight func(name string) []float32) error {
	for _, t := range m.Tensors {
		rows, cols := t.Size()
		if t.Name == "" {
			if _, err := io.CopyN(io.Discard, m.r, 4*int64(rows)*int64(cols)); err != nil {
				return fmt.Errorf("%s: rotary tables: %w", m.f.Name(), err)
			}
			continue
		}
		if err := file.ReadRows(m.r, rows, cols, file.F32, t.Rows(weight(t.Weight))); err != nil {
			return fmt.Errorf("%s: %s: %w", m.f.Name(), t.Name, err)
		}
	}
	return nil
}

func decodeHeader(raw [headerBytes]byte) (arch.Config, error) {
	if binary.LittleEndian.Uint32(raw[:]) == laterMagic {
		return arch.Config{}, fmt.Errorf("llama2.c file of version %d, only version 0 is read: %s", binary.LittleEndian.Uint32(raw[4:]), howTo)
	}
	var h [7]int
	for i := range h {
		h[i] = int(int32(binary.LittleEndian.Uint32(raw[4*i:])))
	}
	c := arch.Config{
		Dim: h[0], HiddenDim: h[1], NumLayers: h[2], NumHeads: h[3], NumKVHeads: h[4], VocabSize: h[5], MaxSeqLen: h[6],
		NormEps: 1e-5, RopeTheta: 1e4, TieEmbeddings: h[5] > 0, BOS: 1, EOS: 2,
	}
	c.VocabSize = max(c.VocabSize, -c.VocabSize)
	if c.NumHeads > 0 && c.Dim%c.NumHeads == 0 {
		c.HeadDim = c.Dim / c.NumHeads
	}
	if err := c.Validate(); err != nil {
		return arch.Config{}, fmt.Errorf("header %v: not a llama2.c model of version 0: %w", h, err)
	}
	return c, nil
}

func encodeHeader(c arch.Config) (raw [headerBytes]byte, err error) {
	vocab := c.VocabSize
	if !c.TieEmbeddings {
		vocab = -vocab
	}
	for i, v := range []int{c.Dim, c.HiddenDim, c.NumLayers, c.NumHeads, c.NumKVHeads, vocab, c.MaxSeqLen} {
		binary.LittleEndian.PutUint32(raw[4*i:], uint32(int32(v)))
	}
	back, err := decodeHeader(raw)
	if err != nil {
		return raw, err
	}
	return raw, file.SameConfig(c, back)
}

// Write writes a model.
func Write(w io.Writer, c arch.Config, tensors []file.Tensor, weight func(name string) []float32) error {
	header, err := encodeHeader(c)
	if err != nil {
		return err
	}
	if tensors, err = inFileOrder(c, tensors); err != nil {
		return err
	}
	if _, err := w.Write(header[:]); err != nil {
		return err
	}
	for _, t := range tensors {
		var values []float32
		if t.Name == "" {
			values = ropeTables(c)
		} else {
			values = weight(t.Weight)
		}
		if err := t.Write(w, values, file.F32); err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
	}
	return nil
}

// ropeTables gives the cosines of all positions, then the sines.
func ropeTables(c arch.Config) []float32 {
	table, half := backend.RoPETable[float32](c.MaxSeqLen, c.HeadDim, c.RopeTheta), c.HeadDim/2
	var cosines, sines []float32
	for row := range slices.Chunk(table, c.HeadDim) {
		cosines, sines = append(cosines, row[:half]...), append(sines, row[half:]...)
	}
	return append(cosines, sines...)
}
