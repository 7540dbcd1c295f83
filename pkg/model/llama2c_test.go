package model

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/golden"
	"github.com/tame-rlhf/tame/pkg/model/arch"
	"github.com/tame-rlhf/tame/pkg/model/internal/llama2c"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// storiesDir is the folder of a small trained Llama with what llama2.c computed from it.
func storiesDir(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(golden.SharedDir(t), "stories260k")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("stories260k is not there")
	}
	return dir
}

// lines reads a JSON lines file.
func lines[T any](t testing.TB, path string) []T {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	var out []T
	for dec := json.NewDecoder(bufio.NewReader(f)); dec.More(); {
		var v T
		require.NoError(t, dec.Decode(&v))
		out = append(out, v)
	}
	return out
}

func argmax(x []float32) int32 {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return int32(best)
}

func TestStoriesGreedyText(t *testing.T) {
	dir := storiesDir(t)
	p, err := Load(filepath.Join(dir, "stories260K.bin"))
	require.NoError(t, err)
	tok, err := tokenizer.Load(filepath.Join(dir, "tok512.bin"))
	require.NoError(t, err)
	d, err := NewDecoder(p, 1, 256)
	require.NoError(t, err)
	cases := lines[struct {
		Prompt, Output string
		Steps          int
	}](t, filepath.Join(dir, "golden_greedy.jsonl"))
	require.Len(t, cases, 4)
	for _, c := range cases {
		ids := tok.Encode(c.Prompt)
		d.Reset(0)
		next := append([]int32{p.Config().BOS}, ids...)
		for len(ids) < c.Steps {
			logits, err := d.Forward([]Chunk{{Slot: 0, Tokens: next}})
			require.NoError(t, err)
			next = []int32{argmax(logits[0])}
			ids = append(ids, next...)
		}
		text, err := tok.Decode(ids)
		require.NoError(t, err)
		assert.Equal(t, c.Output, text)
	}
}

func TestStoriesLogProbs(t *testing.T) {
	dir := storiesDir(t)
	p, err := Load(filepath.Join(dir, "stories260K.bin"))
	require.NoError(t, err)
	cases := lines[struct {
		Tokens   []int32
		LogProbs []float64
		Top      [][][2]float64 `json:"top_logits"`
	}](t, filepath.Join(dir, "golden_logprobs.jsonl"))
	require.Len(t, cases, 30)
	const tol = 1e-3
	var logp *gorgonia.Node
	g := newGraph(t, p, 2048, 8, func(_ *Inputs, trunk *Trunk) []*gorgonia.Node {
		logp = node(t)(trunk.LogProbs())
		return []*gorgonia.Node{logp}
	})
	for i := 0; i < len(cases); i += 4 {
		var sequences [][]int32
		for _, c := range cases[i:min(i+4, len(cases))] {
			sequences = append(sequences, c.Tokens[:len(c.LogProbs)+1])
		}
		b := pack(t, 2048, 8, sequences...)
		got := g.run(t, b, logp)[0]
		for j := range sequences {
			lo, hi := b.Span(j)
			assert.InDeltaSlice(t, cases[i+j].LogProbs, got[lo:hi-1], tol)
		}
	}
	d, err := NewDecoder(p, 1, 512)
	require.NoError(t, err)
	for _, c := range cases[:3] {
		d.Reset(0)
		for pos, top := range c.Top {
			logits, err := d.Forward([]Chunk{{0, c.Tokens[pos : pos+1]}})
			require.NoError(t, err)
			for _, pair := range top {
				assert.InDelta(t, pair[1], logits[0][int(pair[0])], tol)
			}
		}
	}
}

// A model survives the way through llama2.c's layout; a second implementation of the format below reads the rows back.
func TestLlama2CRoundTrip(t *testing.T) {
	for _, tie := range []bool{false, true} {
		cfg := tiny()
		cfg.TieEmbeddings = tie
		p := randomParams(cfg, tensor.Float32, 21)
		p.DropHead()
		path := filepath.Join(t.TempDir(), "m.bin")
		require.NoError(t, SaveLlama2C(path, p))
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		got, err := Load(path)
		require.NoError(t, err)
		assertSame(t, p, got)

		// Row 1 of the second head's keys of layer 1 is the upper half's first row in our order.
		raw := make([]float32, len(content)/4)
		require.NoError(t, binary.Read(bytes.NewReader(content), binary.LittleEndian, raw))
		c, kv := cfg.Dim, cfg.NumKVHeads*cfg.HeadDim
		wk := raw[7+cfg.VocabSize*c+2*c+2*c*c:] // after header, embedding, two norms, two wq
		inFile := wk[(kv+cfg.HeadDim+1)*c:][:c]
		ours := floats[float32](p.Get("layers.1.qkv").Value)[(cfg.NumHeads*cfg.HeadDim+cfg.HeadDim+cfg.HeadDim/2)*c:][:c]
		assert.Equal(t, ours, inFile)
	}
}

func TestWriteLlama2CRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.bin")
	refused := func(want string, change func(*Config), head bool) {
		cfg := tiny()
		change(&cfg)
		p := randomParams(cfg, tensor.Float32, 1)
		if !head {
			p.DropHead()
		}
		assert.ErrorContains(t, SaveLlama2C(path, p), want)
	}
	refused(`no place for weight "score.weight": drop the scalar head`, func(*Config) {}, true)
	refused("Config.RopeTheta is 100000, want 10000: the format cannot express another value", func(c *Config) { c.RopeTheta = 1e5 }, false)
	refused("Config.NormEps is 1e-06, want 1e-05", func(c *Config) { c.NormEps = 1e-6 }, false)
	refused("Config.HeadDim is 8, want 6", func(c *Config) { c.HeadDim = 8 }, false)
	refused("Config.EOS is 3, want 2", func(c *Config) { c.EOS = 3 }, false)
	p := randomParams(tiny(), tensor.Float32, 1)
	p.DropHead()
	full := errors.New("no space left on device")
	tensors, err := p.tensors(arch.Meta, false)
	require.NoError(t, err)
	assert.ErrorIs(t, llama2c.Write(&failingFile{room: 1000, err: full}, p.cfg, tensors, p.numbers), full)
	p.DropOutput()
	assert.ErrorContains(t, SaveLlama2C(path, p), "keep the output projection")
}

func TestLlama2CDamaged(t *testing.T) {
	p := randomParams(tiny(), tensor.Float32, 22)
	p.DropHead()
	saved := filepath.Join(t.TempDir(), "m.bin")
	require.NoError(t, SaveLlama2C(saved, p))
	whole, err := os.ReadFile(saved)
	require.NoError(t, err)
	word := func(i int, v int32) []byte {
		b := bytes.Clone(whole)
		binary.LittleEndian.PutUint32(b[4*i:], uint32(v))
		return b
	}
	for _, c := range []struct {
		want string
		raw  []byte
	}{
		{"cut short", whole[:len(whole)-1]},
		{"cut short", append(bytes.Clone(whole), 0)},
		{"unexpected EOF", whole[:20]},
		{"EOF", nil},
		{"version 2", append(word(0, 0x616b3432)[:4], 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)},
		{"Dim is 2147483647", word(0, 1<<31-1)},
		{"cut short", word(2, 1<<12)},
		{"NumHeads is 0", word(3, 0)},
		{"want a multiple of NumKVHeads", word(4, 3)},
		{"cut short", word(5, int32(tiny().VocabSize))}, // shared output: then the last tensor is too much
		{"VocabSize", word(5, -1<<31)},
	} {
		path := filepath.Join(t.TempDir(), "m.bin")
		require.NoError(t, os.WriteFile(path, c.raw, 0o600))
		_, err := Load(path)
		if assert.ErrorContains(t, err, c.want) {
			assert.ErrorContains(t, err, path)
		}
	}
}

func TestSaveLlama2C(t *testing.T) {
	p := randomParams(tiny(), tensor.Float32, 23)
	dir := t.TempDir()
	path := filepath.Join(dir, "m.bin")
	assert.ErrorContains(t, SaveLlama2C(path, p), "score.weight")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, left, "no half file")
	p.DropHead()
	require.NoError(t, SaveLlama2C(path, p))
	got, err := Load(path)
	require.NoError(t, err)
	assertSame(t, p, got)
}
