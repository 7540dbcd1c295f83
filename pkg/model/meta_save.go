package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tame-rlhf/tame/internal/pth"
)

// SaveMeta writes the weights as Meta shipped Llama 2: a folder with params.json and consolidated.00.pth, which must not be there yet or
// be empty. dtype is F32, F16 or BF16. extras, if not nil, writes further files such as a tokenizer into the folder whose path it gets. The
// folder is complete or not there.
//
// The format cannot say everything: a scalar head, a missing output projection, heads that do not divide the width, and other ids than
// BOS 1 and EOS 2 are errors. MaxSeqLen is not kept, since params.json of Llama 2 has no place for it: such a model is read back with 4096.
// An output projection that is the embedding is stored once, under both names.
func SaveMeta(dir string, p *Params, dtype string, extras func(tmpdir string) error) (err error) {
	if err := errors.Join(p.validate(), p.fitFloat32()); err != nil {
		return err
	}
	c := p.cfg
	if p.HasHead() || p.Output() == nil || c.NumHeads*c.HeadDim != c.Dim || c.BOS != 1 || c.EOS != 2 {
		return errors.New("model: consolidated.pth: the format holds language models with NumHeads*HeadDim = Dim, BOS 1, EOS 2, with an output and without a scalar head")
	}
	if _, known := dtypeSize(dtype); !known {
		return fmt.Errorf("model: consolidated.pth: the type is %q, want F32, F16 or BF16", dtype)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return fmt.Errorf("model: save: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if len(entries) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("model: save: %s is there already: give another name", dir), err)
	}
	return saveDir(dir, func(tmp string) error { return writeMeta(tmp, p, dtype) }, extras)
}

// writeMeta writes the model's own files into a folder.
func writeMeta(dir string, p *Params, dtype string) error {
	params, err := json.Marshal(metaOf(p.cfg))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, metaParams), append(params, '\n'), 0o666); err != nil {
		return err
	}
	var sources []pth.Source
	for _, t := range pairedTensors(p.cfg) {
		sources = append(sources, pthSource(t, p, dtype))
	}
	if p.cfg.TieEmbeddings {
		embed := sources[0]
		sources = append(sources, pth.Source{Name: "output.weight", DType: embed.DType, Shape: embed.Shape, SameAs: embed.Name})
	}
	return saveFile(filepath.Join(dir, metaFirst), func(w io.Writer) error { return pth.Write(w, sources) })
}

func pthSource(t pairedTensor, p *Params, dtype string) pth.Source {
	return pth.Source{Name: t.meta, DType: dtype, Shape: t.shape, Write: func(w io.Writer) error {
		rows, _ := t.size()
		row := t.readRow(p)
		buf := make([]byte, 0, ioChunk)
		for r := range rows {
			var err error
			if buf, err = encodeFloats(buf, row(r), dtype); err != nil {
				return fmt.Errorf("row %d: %w", r, err)
			}
			if len(buf) < ioChunk/2 && r < rows-1 {
				continue
			}
			if _, err := w.Write(buf); err != nil {
				return err
			}
			buf = buf[:0]
		}
		return nil
	}}
}

// metaOf describes a model in the words of params.json. The hidden width follows there from multiple_of and ffn_dim_multiplier.
func metaOf(c Config) metaConfig {
	m := metaConfig{Dim: &c.Dim, NumLayers: &c.NumLayers, NumHeads: &c.NumHeads, VocabSize: &c.VocabSize, NormEps: &c.NormEps}
	if c.NumKVHeads != c.NumHeads {
		m.NumKVHeads = &c.NumKVHeads
	}
	if c.RopeTheta != 1e4 { // Llama 2 has no such field
		m.RopeTheta = &c.RopeTheta
	}
	multiple := 256
	if FFNHidden(c.Dim, 1, multiple) != c.HiddenDim {
		multiple = c.HiddenDim
		if usual := 8 * c.Dim / 3; usual > c.HiddenDim {
			mult := float64(c.HiddenDim) / float64(usual)
			m.FFNMult = &mult
		}
	}
	m.MultipleOf = &multiple
	return m
}
