package model

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/backend"
)

// A llama2.c file of version 0 is a header of seven int32 (dim, hidden width, layers, heads, key/value heads, vocabulary, context; all
// little endian) and then the float32 weights, each kind for all layers:
//
//	token embedding, attention norms, wq, wk, wv, wo, FFN norms, w1 (gate), w2 (down), w3 (up), final norm, cosines, sines, [output]
//
// A vocabulary below 0 says that output weights of their own follow; otherwise the embedding is used. The tables of cosines and sines are
// not read: they follow from the header. Rows of wq and wk are in the order of pairedTensor.

const (
	llama2cHeader  = 7 * 4
	llama2cMagic   = 0x616b3432 // "ak42": versions 1 and 2
	llama2cEps     = 1e-5
	llama2cTheta   = 1e4
	llama2cBOS     = 1
	llama2cEOS     = 2
	llama2cHowTo   = "export it again with --version 0"
	llama2cSuffix  = ".bin"
	llama2cMissing = "the file is cut short, or not a llama2.c model of version 0"
)

// llama2cParts lists the tensors of the file in its order, with Meta's names. The one without a name is the tables of cosines and sines.
func llama2cParts(c Config) []pairedTensor {
	byName := make(map[string]pairedTensor)
	for _, t := range pairedTensors(c) {
		byName[t.meta] = t
	}
	parts := []pairedTensor{byName["tok_embeddings.weight"]}
	for _, kind := range []string{
		"attention_norm", "attention.wq", "attention.wk", "attention.wv", "attention.wo", "ffn_norm",
		"feed_forward.w1", "feed_forward.w2", "feed_forward.w3",
	} {
		for i := range c.NumLayers {
			parts = append(parts, byName[fmt.Sprintf("layers.%d.%s.weight", i, kind)])
		}
	}
	parts = append(parts, byName["norm.weight"], pairedTensor{shape: []int{2 * c.MaxSeqLen, c.HeadDim / 2}})
	if !c.TieEmbeddings {
		parts = append(parts, byName["output.weight"])
	}
	return parts
}

// loadLlama2C reads a llama2.c file.
func loadLlama2C(path string) (_ *Params, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	stat, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	p, err := readLlama2C(bufio.NewReaderSize(file, ioChunk), stat.Size())
	if err != nil {
		return nil, fmt.Errorf("model: %s: %w", path, err)
	}
	return p, nil
}

// readLlama2C reads a file of that size. The header is checked against the size before weights are allocated.
func readLlama2C(r io.Reader, size int64) (*Params, error) {
	cfg, err := readLlama2CHeader(r)
	if err != nil {
		return nil, err
	}
	parts := llama2cParts(cfg)
	want := int64(llama2cHeader)
	for _, t := range parts {
		rows, cols := t.size()
		want += 4 * int64(rows) * int64(cols)
	}
	if size != want {
		return nil, fmt.Errorf("%d bytes, want %d for %d layers of width %d: %s", size, want, cfg.NumLayers, cfg.Dim, llama2cMissing)
	}
	params := NewParams(cfg, tensor.Float32)
	for _, t := range parts {
		rows, cols := t.size()
		if t.param == "" {
			if _, err := io.CopyN(io.Discard, r, 4*int64(rows)*int64(cols)); err != nil {
				return nil, fmt.Errorf("rotary tables: %w", err)
			}
			continue
		}
		place, buf := t.rowOf(params), make([]byte, 4*cols)
		for row := range rows {
			if _, err := io.ReadFull(r, buf); err != nil {
				return nil, fmt.Errorf("%s: %w", t.meta, err)
			}
			decodeFloats(place(row), buf, F32)
		}
	}
	return params, nil
}

func readLlama2CHeader(r io.Reader) (Config, error) {
	var raw [llama2cHeader]byte
	if _, err := io.ReadFull(r, raw[:]); err != nil {
		return Config{}, fmt.Errorf("header: %w", err)
	}
	if binary.LittleEndian.Uint32(raw[:]) == llama2cMagic {
		return Config{}, fmt.Errorf("llama2.c file of version %d, only version 0 is read: %s", binary.LittleEndian.Uint32(raw[4:]), llama2cHowTo)
	}
	var h [7]int
	for i := range h {
		h[i] = int(int32(binary.LittleEndian.Uint32(raw[4*i:])))
	}
	c := Config{
		Dim: h[0], HiddenDim: h[1], NumLayers: h[2], NumHeads: h[3], NumKVHeads: h[4], VocabSize: h[5], MaxSeqLen: h[6],
		NormEps: llama2cEps, RopeTheta: llama2cTheta, TieEmbeddings: h[5] > 0, BOS: llama2cBOS, EOS: llama2cEOS,
	}
	c.VocabSize = max(c.VocabSize, -c.VocabSize)
	if c.NumHeads > 0 && c.Dim%c.NumHeads == 0 {
		c.HeadDim = c.Dim / c.NumHeads
	}
	if err := c.Validate(); err != nil {
		return Config{}, fmt.Errorf("header %v: not a llama2.c model of version 0: %w", h, err)
	}
	return c, nil
}

// SaveLlama2C writes the weights as a llama2.c file; see WriteLlama2C. It appears at once and whole, or not at all.
func SaveLlama2C(path string, p *Params) error {
	return saveFile(path, func(w io.Writer) error { return WriteLlama2C(w, p) })
}

// WriteLlama2C writes the weights as a llama2.c file of version 0. What that format cannot say is an error: a scalar head, no output
// projection, heads that do not divide the width, another RoPE base or norm eps than 1e4 and 1e-5, other ids than BOS 1 and EOS 2.
func WriteLlama2C(w io.Writer, p *Params) error {
	if err := errors.Join(p.validate(), p.fitFloat32()); err != nil {
		return err
	}
	c := p.cfg
	fits := c.NumHeads*c.HeadDim == c.Dim && c.RopeTheta == llama2cTheta && c.NormEps == llama2cEps && c.BOS == llama2cBOS && c.EOS == llama2cEOS
	if !fits || p.HasHead() || p.Output() == nil {
		return errors.New("model: llama2.c: the format holds language models with NumHeads*HeadDim = Dim, RopeTheta 1e4, NormEps 1e-5, BOS 1, EOS 2, with an output and without a scalar head")
	}
	vocab := c.VocabSize
	if !c.TieEmbeddings {
		vocab = -vocab
	}
	bw := bufio.NewWriterSize(w, ioChunk)
	for _, v := range []int{c.Dim, c.HiddenDim, c.NumLayers, c.NumHeads, c.NumKVHeads, vocab, c.MaxSeqLen} {
		_, _ = bw.Write(binary.LittleEndian.AppendUint32(nil, uint32(int32(v)))) // Flush tells
	}
	var buf []byte
	for _, t := range llama2cParts(c) {
		rows, _ := t.size()
		var row func(r int) []float32
		if t.param == "" {
			row = ropeTables(c)
		} else {
			row = t.readRow(p)
		}
		for r := range rows {
			var err error
			if buf, err = encodeFloats(buf[:0], row(r), F32); err != nil {
				return fmt.Errorf("model: llama2.c: %s: %w", t.meta, err)
			}
			_, _ = bw.Write(buf)
		}
	}
	if err := bw.Flush(); err != nil {
		return fmt.Errorf("model: llama2.c: %w", err)
	}
	return nil
}

// ropeTables gives the rows of the tables: the cosines of all positions, then the sines.
func ropeTables(c Config) func(r int) []float32 {
	table, half := backend.RoPETable[float32](c.MaxSeqLen, c.HeadDim, c.RopeTheta), c.HeadDim/2
	return func(r int) []float32 { return table[r%c.MaxSeqLen*c.HeadDim+r/c.MaxSeqLen*half:][:half] }
}
