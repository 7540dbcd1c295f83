package model

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/google/renameio/v2"

	"github.com/tame-rlhf/tame/internal/gguf"
)

// Q8_0 is the type of GGUF files that stores 32 numbers of a row as a float16 and 32 int8.
const Q8_0 = "Q8_0"

// ggufFileTypes are llama.cpp's numbers for the type of most tensors.
var ggufFileTypes = map[gguf.Type]uint32{gguf.F32: 0, gguf.F16: 1, gguf.Q8_0: 7}

// SaveGGUF writes the weights as a file that llama.cpp runs; see WriteGGUF. It appears at once and whole, or not at all.
func SaveGGUF(path string, p *Params, dtype string, vocab map[string]any) error {
	return saveFile(path, func(w io.Writer) error { return WriteGGUF(w, p, dtype, vocab) })
}

// WriteGGUF writes the weights in GGUF, version 3. dtype is that of the matrices: F32, F16 or Q8_0. Norms are F32. A matrix whose rows
// are no multiple of 32 numbers long is F16 where Q8_0 was asked for, as in llama.cpp's converter.
//
// F32 keeps float32 weights bit by bit. F16 rounds to the nearest number of 11 bits, which is off by at most 1/2048 of the weight (and
// 2^-25 below 2^-14). Q8_0 is off by at most 1/226 of the largest number of its 32. NormEps and RopeTheta are stored as float32.
//
// vocab are the metadata of the tokenizer, from tokenizer.GGUF with the model's VocabSize; without them llama.cpp knows ids only. A scalar
// head and a missing output projection cannot be written.
func WriteGGUF(w io.Writer, p *Params, dtype string, vocab map[string]any) error {
	if err := errors.Join(p.validate(), p.fitFloat32()); err != nil {
		return err
	}
	var typ gguf.Type
	switch dtype {
	case F32:
		typ = gguf.F32
	case F16:
		typ = gguf.F16
	case Q8_0:
		typ = gguf.Q8_0
	default:
		return fmt.Errorf("model: gguf: the type is %q, want F32, F16 or Q8_0", dtype)
	}
	if p.HasHead() || p.Output() == nil {
		return errors.New("model: gguf: llama.cpp runs language models: drop the scalar head (and keep the output projection)")
	}
	meta, err := ggufMetadata(p.cfg, typ, vocab)
	if err != nil {
		return fmt.Errorf("model: gguf: %w", err)
	}
	var sources []gguf.Source
	for _, t := range pairedTensors(p.cfg) {
		s := gguf.Source{Name: t.gguf, Shape: t.shape, Type: gguf.F32, Row: t.readRow(p)}
		if _, cols := t.size(); len(t.shape) == 2 {
			s.Type = typ
			if !typ.CanHold(cols) {
				s.Type = gguf.F16
			}
		}
		sources = append(sources, s)
	}
	bw := bufio.NewWriterSize(w, ioChunk)
	if err := gguf.Write(bw, sortedKeys(meta), sources); err != nil {
		return fmt.Errorf("model: %w", err)
	}
	if err := bw.Flush(); err != nil {
		return fmt.Errorf("model: gguf: %w", err)
	}
	return nil
}

// ggufMetadata describes a model.
func ggufMetadata(c Config, typ gguf.Type, vocab map[string]any) (map[string]any, error) {
	size := func(n int) uint32 { return uint32(n) } // Config.Validate keeps sizes below 2^20
	m := map[string]any{
		ggufArch:      "llama",
		ggufFileType:  ggufFileTypes[typ],
		ggufContext:   size(c.MaxSeqLen),
		ggufWidth:     size(c.Dim),
		ggufLayers:    size(c.NumLayers),
		ggufHidden:    size(c.HiddenDim),
		ggufHeads:     size(c.NumHeads),
		ggufKVHeads:   size(c.NumKVHeads),
		ggufRopeDims:  size(c.HeadDim),
		ggufVocabSize: size(c.VocabSize),
		ggufEps:       float32(c.NormEps),
		ggufRopeBase:  float32(c.RopeTheta),
		ggufBOS:       uint32(c.BOS), // -1 becomes an id outside of the vocabulary: see ggufReader.token
		ggufEOS:       uint32(c.EOS),
	}
	for _, key := range []string{ggufEps, ggufRopeBase} {
		if x := m[key].(float32); x == 0 || math.IsInf(float64(x), 0) {
			return nil, fmt.Errorf("%s does not fit a float32", key)
		}
	}
	if c.HeadDim*c.NumHeads != c.Dim {
		m[ggufKeyWidth], m[ggufValueWidth] = size(c.HeadDim), size(c.HeadDim)
	}
	if typ == gguf.Q8_0 {
		m[ggufQuantised] = uint32(2)
	}
	if vocab == nil {
		m[ggufTokenizer] = "none"
		return m, nil
	}
	if tokens, ok := vocab[ggufTokens].([]string); !ok || len(tokens) != c.VocabSize {
		return nil, fmt.Errorf("the vocabulary has %d tokens, the model %d", len(tokens), c.VocabSize)
	}
	for key, value := range vocab {
		if old, there := m[key]; there && old != value {
			return nil, fmt.Errorf("%s is %v in the vocabulary, %v in the model", key, value, old)
		}
		m[key] = value
	}
	return m, nil
}

// decimal is the shortest decimal number that is this float32: 1e-5 and not 9.999999747378752e-06.
func decimal(x float32) float64 {
	v, err := strconv.ParseFloat(strconv.FormatFloat(float64(x), 'g', -1, 32), 64)
	if err != nil {
		return float64(x) // not finite
	}
	return v
}

// saveFile writes a file that appears at once and whole, or not at all.
func saveFile(path string, write func(io.Writer) error) (err error) {
	f, err := renameio.NewPendingFile(path, renameio.WithPermissions(0o644))
	if err != nil {
		return fmt.Errorf("model: save: %w", err)
	}
	defer func() {
		if cleanupErr := f.Cleanup(); err == nil && cleanupErr != nil {
			err = fmt.Errorf("model: save %s: %w", path, cleanupErr)
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := f.CloseAtomicallyReplace(); err != nil {
		return fmt.Errorf("model: save %s: %w", path, err)
	}
	return nil
}
