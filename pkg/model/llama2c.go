package model

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/kern"
)

// A llama2.c file of version 0 is a header of seven int32 (dim, hidden width, layers, heads, key/value heads, vocabulary, context; all
// little endian) and then the float32 weights, each kind for all layers:
//
//	token embedding, attention norms, wq, wk, wv, wo, FFN norms, w1 (gate), w2 (down), w3 (up), final norm, cosines, sines, [output]
//
// A vocabulary below 0 says that output weights of their own follow; otherwise the embedding is used. The tables of cosines and sines are
// not read: they follow from the header. Its rotary positions turn neighbouring columns (2i, 2i+1) of a head, ours the columns
// (i, i+D/2), so the rows of wq and wk are put into another order.

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

// llama2cPart is one tensor of the file, in file order: rows of one of our weights. A part without param is skipped.
type llama2cPart struct {
	param string
	row   int // first row in param
	rows  int
	cols  int
	heads int // > 0: rows of that many heads in interleaved order
}

func llama2cParts(c Config) []llama2cPart {
	q, kv, f := c.NumHeads*c.HeadDim, c.NumKVHeads*c.HeadDim, c.HiddenDim
	parts := []llama2cPart{{param: "embed", rows: c.VocabSize, cols: c.Dim}}
	for _, p := range []llama2cPart{
		{param: "attn_norm", rows: 1, cols: c.Dim},
		{param: "qkv", rows: q, cols: c.Dim, heads: c.NumHeads},
		{param: "qkv", row: q, rows: kv, cols: c.Dim, heads: c.NumKVHeads},
		{param: "qkv", row: q + kv, rows: kv, cols: c.Dim},
		{param: "attn_out", rows: c.Dim, cols: q},
		{param: "ffn_norm", rows: 1, cols: c.Dim},
		{param: "gate_up", rows: f, cols: c.Dim},
		{param: "down", rows: c.Dim, cols: f},
		{param: "gate_up", row: f, rows: f, cols: c.Dim},
	} {
		for i := range c.NumLayers {
			part := p
			part.param = layerName(i, p.param)
			parts = append(parts, part)
		}
	}
	parts = append(parts,
		llama2cPart{param: "norm", rows: 1, cols: c.Dim},
		llama2cPart{rows: 2 * c.MaxSeqLen, cols: c.HeadDim / 2}, // cosines and sines
	)
	if !c.TieEmbeddings {
		parts = append(parts, llama2cPart{param: "output", rows: c.VocabSize, cols: c.Dim})
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
	for _, p := range parts {
		want += 4 * int64(p.rows) * int64(p.cols)
	}
	if size != want {
		return nil, fmt.Errorf("%d bytes, want %d for %d layers of width %d: %s", size, want, cfg.NumLayers, cfg.Dim, llama2cMissing)
	}
	params := NewParams(cfg, tensor.Float32)
	for _, p := range parts {
		if p.param == "" {
			if _, err := io.CopyN(io.Discard, r, 4*int64(p.rows)*int64(p.cols)); err != nil {
				return nil, fmt.Errorf("rotary tables: %w", err)
			}
			continue
		}
		dst := floats[float32](params.Get(p.param).Value)[p.row*p.cols:][:p.rows*p.cols]
		if err := readFloats(r, dst); err != nil {
			return nil, fmt.Errorf("%s: %w", p.param, err)
		}
		if p.heads > 0 {
			deinterleave(dst, p.heads, cfg.HeadDim, p.cols)
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

func readFloats(r io.Reader, dst []float32) error {
	var buf [1 << 12]byte
	for len(dst) > 0 {
		part := buf[:min(len(buf), 4*len(dst))]
		if _, err := io.ReadFull(r, part); err != nil {
			return err
		}
		dst = dst[decodeFloats(dst, part, "F32"):]
	}
	return nil
}

// deinterleave puts the rows of each head from the order of pairs (2i, 2i+1) into that of halves (i, i+d/2).
func deinterleave(w []float32, heads, d, cols int) {
	old := make([]float32, d*cols)
	for h := range heads {
		head := w[h*d*cols:][:d*cols]
		copy(old, head)
		for i := range d / 2 {
			copy(head[i*cols:][:cols], old[2*i*cols:])
			copy(head[(i+d/2)*cols:][:cols], old[(2*i+1)*cols:])
		}
	}
}

// interleave is the inverse of deinterleave.
func interleave(w []float32, heads, d, cols int) {
	old := make([]float32, d*cols)
	for h := range heads {
		head := w[h*d*cols:][:d*cols]
		copy(old, head)
		for i := range d / 2 {
			copy(head[2*i*cols:][:cols], old[i*cols:])
			copy(head[(2*i+1)*cols:][:cols], old[(i+d/2)*cols:])
		}
	}
}

// SaveLlama2C writes the weights as a llama2.c file; see WriteLlama2C. It appears at once and whole, or not at all.
func SaveLlama2C(path string, p *Params) error {
	return saveFile(path, func(w io.Writer) error { return WriteLlama2C(w, p) })
}

// WriteLlama2C writes the weights as a llama2.c file of version 0. What that format cannot say is an error: a scalar head, no output
// projection, heads that do not divide the width, another RoPE base or norm eps than 1e4 and 1e-5, other ids than BOS 1 and EOS 2.
func WriteLlama2C(w io.Writer, p *Params) error {
	if err := p.validate(); err != nil {
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
	for _, part := range llama2cParts(c) {
		for _, v := range part.numbers(p) {
			_, _ = bw.Write(binary.LittleEndian.AppendUint32(bw.AvailableBuffer(), math.Float32bits(v)))
		}
	}
	if err := bw.Flush(); err != nil {
		return fmt.Errorf("model: llama2.c: %w", err)
	}
	return nil
}

// numbers are the part's numbers in the order of the file.
func (part llama2cPart) numbers(p *Params) []float32 {
	c := p.cfg
	if part.param == "" {
		table, half := kern.RoPETable[float32](c.MaxSeqLen, c.HeadDim, c.RopeTheta), c.HeadDim/2
		out := make([]float32, 0, len(table))
		for _, from := range []int{0, half} {
			for t := range c.MaxSeqLen {
				out = append(out, table[t*c.HeadDim+from:][:half]...)
			}
		}
		return out
	}
	src := floats[float32](convert(p.Get(part.param).Value, tensor.Float32))[part.row*part.cols:][:part.rows*part.cols]
	if part.heads > 0 {
		interleave(src, part.heads, c.HeadDim, part.cols)
	}
	return src
}
