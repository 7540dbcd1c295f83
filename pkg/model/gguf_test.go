package model

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/gguf"
	"github.com/tame-rlhf/tame/pkg/model/arch"
	"github.com/tame-rlhf/tame/pkg/model/internal/llamacpp"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// withoutHead is a random language model.
func withoutHead(cfg Config, seed uint64) *Params {
	p := randomParams(cfg, tensor.Float32, seed)
	p.DropHead()
	return p
}

func saveGGUF(t testing.TB, p *Params, dtype string, vocab map[string]any) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m.gguf")
	require.NoError(t, SaveGGUF(path, p, dtype, vocab))
	return path
}

// Our file has the same tensors as that of llama.cpp's own converter, byte for byte: names, order of rows, rounding.
func TestGGUFAsLlamaCpp(t *testing.T) {
	raw, err := os.ReadFile("testdata/llamacpp.json")
	require.NoError(t, err)
	var want struct {
		Sums map[string]map[string][2]string // type of file, tensor: type, SHA-256
	}
	require.NoError(t, json.Unmarshal(raw, &want))
	require.Len(t, want.Sums, 3)
	p := goldenModel(t, "llama-gqa")
	for dtype, sums := range want.Sums {
		path := saveGGUF(t, p, strings.ToUpper(dtype), nil)
		raw, err := os.ReadFile(path)
		require.NoError(t, err)
		f, err := gguf.Open(path)
		require.NoError(t, err)
		require.Len(t, f.Tensors, len(sums))
		for _, info := range f.Tensors {
			data := raw[info.Begin():info.End()]
			assert.Equal(t, sums[info.Name], [2]string{info.Type.String(), fmt.Sprintf("%x", sha256.Sum256(data))}, "%s %s", dtype, info.Name)
		}
		require.NoError(t, f.Close())
	}
}

func TestGGUFRoundTripF32(t *testing.T) {
	for name, cfg := range shapes() {
		if cfg.BOS < 0 {
			continue // one token: see TestGGUFSpecialTokens
		}
		p := withoutHead(cfg, 31)
		got, err := Load(saveGGUF(t, p, F32, nil))
		require.NoError(t, err, name)
		assertSame(t, p, got)
	}
	// Numbers of float64 are rounded to float32.
	p := withoutHead(tiny(), 32)
	got, err := Load(saveGGUF(t, p.As(tensor.Float64), F32, nil))
	require.NoError(t, err)
	assertSame(t, p, got)
}

// What a type of 16 or 8 bits loses is what the documentation says, and no more.
func TestGGUFRoundTripRounded(t *testing.T) {
	for _, tie := range []bool{false, true} {
		cfg := tiny()
		cfg.Dim, cfg.HiddenDim, cfg.HeadDim, cfg.TieEmbeddings = 64, 96, 8, tie
		p := withoutHead(cfg, 33)
		for _, dtype := range []string{F16, Q8_0} {
			got, err := Load(saveGGUF(t, p, dtype, nil))
			require.NoError(t, err)
			assert.Equal(t, p.Config(), got.Config())
			for _, q := range p.All() {
				want, have := floats[float32](q.Value), floats[float32](got.Get(q.Name).Value)
				if q.Value.Dims() == 1 {
					assert.Equal(t, want, have, q.Name)
					continue
				}
				for i, x := range want {
					bound := math.Abs(float64(x))/2048 + 0x1p-25
					if dtype == Q8_0 {
						amax := 0.0
						for _, y := range want[i/32*32:][:32] { // rows are multiples of 32
							amax = max(amax, math.Abs(float64(y)))
						}
						bound = amax / 226 * (1 + 1e-5)
					}
					if e := math.Abs(float64(x) - float64(have[i])); e > bound {
						t.Fatalf("%s %s: number %d is %v, comes back as %v", dtype, q.Name, i, x, have[i])
					}
				}
				assert.NotEqual(t, want, have, "%s %s: it is not F32", dtype, q.Name)
			}
			// What is rounded already stays as it is.
			again, err := Load(saveGGUF(t, got, dtype, nil))
			require.NoError(t, err)
			if dtype == F16 {
				assertSame(t, got, again)
			}
		}
	}
}

// Rows that are no multiple of 32 long are F16 in a file of Q8_0.
func TestGGUFShortRows(t *testing.T) {
	f, err := gguf.Open(saveGGUF(t, withoutHead(tiny(), 34), Q8_0, nil))
	require.NoError(t, err)
	for _, info := range f.Tensors {
		if len(info.Shape) == 2 {
			assert.Equal(t, gguf.F16, info.Type, info.Name)
		} else {
			assert.Equal(t, gguf.F32, info.Type, info.Name)
		}
	}
	require.NoError(t, f.Close())
}

// toyVocab is a vocabulary of that many tokens.
func toyVocab(t testing.TB, n int, parts tokenizer.Parts) (map[string]any, *tokenizer.Tokenizer) {
	t.Helper()
	pieces := []tokenizer.Piece{{Text: "<unk>", Type: tokenizer.Unknown}, {Text: "<s>", Type: tokenizer.Control}, {Text: "</s>", Type: tokenizer.Control}}
	for i := len(pieces); i < 20; i++ {
		pieces = append(pieces, tokenizer.Piece{Text: string(rune('a' + i)), Score: -float32(i), Type: tokenizer.Normal})
	}
	tok, err := tokenizer.FromPieces(pieces, parts)
	require.NoError(t, err)
	vocab, err := tok.GGUF(n)
	require.NoError(t, err)
	return vocab, tok
}

func TestGGUFSpecialTokens(t *testing.T) {
	for _, ids := range [][2]int32{{1, 2}, {2, 1}, {-1, 2}, {1, -1}, {-1, -1}} {
		cfg := tiny()
		cfg.BOS, cfg.EOS = ids[0], ids[1]
		p := withoutHead(cfg, 35)
		parts := tokenizer.DefaultParts()
		parts.BOS, parts.EOS = ids[0], ids[1]
		vocab, tok := toyVocab(t, cfg.VocabSize, parts)
		for _, v := range []map[string]any{nil, vocab} {
			path := saveGGUF(t, p, F32, v)
			got, err := Load(path)
			require.NoError(t, err)
			assertSame(t, p, got)
			if v == nil {
				_, err = tokenizer.LoadGGUF(path)
				assert.ErrorIs(t, err, tokenizer.ErrNoVocabulary)
				continue
			}
			back, err := tokenizer.LoadGGUF(path)
			require.NoError(t, err)
			assert.Equal(t, tok.Pieces(), back.Pieces())
			assert.Equal(t, tok.Parts(), back.Parts())
		}
	}
}

func TestWriteGGUFRefuses(t *testing.T) {
	p := withoutHead(tiny(), 36)
	vocab, _ := toyVocab(t, tiny().VocabSize, tokenizer.DefaultParts())
	short, _ := toyVocab(t, 25, tokenizer.DefaultParts())
	other := maps.Clone(vocab)
	other["tokenizer.ggml.eos_token_id"] = uint32(5)
	headless := withoutHead(tiny(), 36)
	headless.DropOutput()
	large := withoutHead(tiny(), 36)
	floats[float32](large.Get("layers.1.down").Value)[21] = 1e5
	wide := NewParams(tiny(), tensor.Float64)
	floats[float64](wide.Get("layers.1.down").Value)[21] = 1e300
	assert.ErrorContains(t, SaveMeta(filepath.Join(t.TempDir(), "m"), wide, F32, nil), "would become infinite")
	assert.ErrorContains(t, SaveLlama2C(filepath.Join(t.TempDir(), "m"), wide), "would become infinite")
	eps := tiny()
	eps.NormEps = 1e-60
	for _, c := range []struct {
		want  string
		p     *Params
		dtype string
		vocab map[string]any
	}{
		{`the type is "Q4_K"`, p, "Q4_K", nil},
		{`the type is ""`, p, "", nil},
		{`no place for weight "score.weight": drop the scalar head`, randomParams(tiny(), tensor.Float32, 1), F32, nil},
		{"keep the output projection", headless, F32, nil},
		{"the vocabulary has 25 tokens, the model 31", p, F32, short},
		{"tokenizer.ggml.eos_token_id is 5 in the vocabulary, 2 in the model", p, F32, other},
		{`tensor "blk.1.ffn_down.weight": row 1: number 1 is 100000, F16 ends at 65504`, large, F16, nil},
		{"does not fit a float32", withoutHead(eps, 1), F32, nil},
		{"layers.1.down: 1e+300 would become infinite", wide, F32, nil},
		{"Config.Dim", NewParams(Config{}, tensor.Float32), F32, nil},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "m.gguf")
		assert.ErrorContains(t, SaveGGUF(path, c.p, c.dtype, c.vocab), c.want)
		left, err := os.ReadDir(dir)
		require.NoError(t, err)
		assert.Empty(t, left, "no half file")
	}
	full := fmt.Errorf("no space left on device")
	tensors, err := p.tensors(arch.GGUF, false)
	require.NoError(t, err)
	assert.ErrorIs(t, llamacpp.Write(&failingFile{room: 3000, err: full}, p.cfg, nil, tensors, p.numbers, F32, nil), full)
}

// change writes a model's GGUF file with other metadata, values of nil deleted, and with other tensors.
func change(t testing.TB, p *Params, meta map[string]any, tensors func([]gguf.Source) []gguf.Source) string {
	t.Helper()
	f, err := gguf.Open(saveGGUF(t, p, F32, nil))
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	all := make(map[string]any)
	for _, kv := range f.Metadata {
		all[kv.Key] = kv.Value
	}
	for key, v := range meta {
		all[key] = v
		if v == nil {
			delete(all, key)
		}
	}
	var sources []gguf.Source
	list, err := p.tensors(arch.GGUF, false)
	require.NoError(t, err)
	for _, w := range list {
		sources = append(sources, gguf.Source{Name: w.Name, Shape: w.Shape, Type: gguf.F32, Row: w.Rows(p.numbers(w.Weight))})
	}
	if tensors != nil {
		sources = tensors(sources)
	}
	var buf bytes.Buffer
	require.NoError(t, gguf.Write(&buf, sortedKeys(all), sources))
	path := filepath.Join(t.TempDir(), "changed.gguf")
	require.NoError(t, os.WriteFile(path, buf.Bytes(), 0o600))
	return path
}

// Other writers leave out what has a default, and write numbers of other types.
// sortedKeys gives metadata in a fixed order.
func sortedKeys(m map[string]any) []gguf.KeyValue {
	var list []gguf.KeyValue
	for _, key := range slices.Sorted(maps.Keys(m)) {
		list = append(list, gguf.KeyValue{Key: key, Value: m[key]})
	}
	return list
}

func TestGGUFVariants(t *testing.T) {
	p := withoutHead(tiny(), 37)
	for _, meta := range []map[string]any{
		{},
		{"llama.vocab_size": nil, "llama.rope.freq_base": nil, "llama.rope.dimension_count": nil},
		{"llama.attention.key_length": uint32(6), "llama.attention.value_length": uint32(6)},
		{"llama.block_count": uint64(2), "llama.context_length": int32(160), "llama.attention.head_count": uint8(4), "llama.rope.freq_base": float64(1e4)},
		{"general.type": "model", "llama.rope.scaling.type": "none", "llama.expert_count": uint32(0), "llama.tensor_data_layout": "Meta AI original pth"},
		{"tokenizer.ggml.model": "llama", "tokenizer.ggml.bos_token_id": nil, "tokenizer.ggml.eos_token_id": nil},
		{"general.name": "x", "tokenizer.chat_template": "y", "split.count": uint16(1)},
	} {
		got, err := Load(change(t, p, meta, nil))
		require.NoError(t, err, meta)
		assertSame(t, p, got)
	}
}

func TestGGUFRefuses(t *testing.T) {
	p := withoutHead(tiny(), 38)
	for _, c := range []struct {
		want string
		key  string
		v    any
	}{
		{"general.architecture is gpt2, only llama, qwen2 and qwen3", "general.architecture", "gpt2"},
		{"general.architecture is <nil>", "general.architecture", nil},
		{"general.type is adapter", "general.type", "adapter"},
		{"split.count is 3", "split.count", uint16(3)},
		{"llama.rope.scaling.type is longrope, only none, linear and yarn", "llama.rope.scaling.type", "longrope"},
		{"Rope.Factor is -4, want a positive", "llama.rope.scaling.factor", float32(-4)},
		{"llama.expert_count is 8, only 0", "llama.expert_count", uint32(8)},
		{"llama.attention.sliding_window is 4096", "llama.attention.sliding_window", uint32(4096)},
		{"llama.logit_scale is 0.5, which is not supported", "llama.logit_scale", float32(0.5)},
		{"llama.rope.dimension_count is 4, only the width of a head, 6", "llama.rope.dimension_count", uint32(4)},
		{"llama.attention.value_length is 8, only", "llama.attention.value_length", uint32(8)},
		{"llama.rope.dimension_count is 6, only the width of a head, 8", "llama.attention.key_length", uint32(8)},
		{`tensor "blk.0.ffn_up.weight" has shape [20 24], the metadata want [21 24]`, "llama.feed_forward_length", uint32(21)},
		{"llama.vocab_size is 32, token_embd.weight has 31 rows", "llama.vocab_size", uint32(32)},
		{"llama.block_count is missing", "llama.block_count", nil},
		{"layer_norm_rms_epsilon is missing", "llama.attention.layer_norm_rms_epsilon", nil},
		{"layer_norm_rms_epsilon is x, want a number", "llama.attention.layer_norm_rms_epsilon", "x"},
		{"head_count is [4 4], want one whole number", "llama.attention.head_count", []int32{4, 4}},
		{"head_count_kv is long, want one whole number", "llama.attention.head_count_kv", make([]int32, 100)},
		{"NumLayers is 2147483647", "llama.block_count", uint64(math.MaxUint64)},
		{"NumLayers is -1", "llama.block_count", int32(-7)},
		{"the width of a head, 0", "llama.attention.head_count", uint32(0)},
		{"NumKVHeads is 0", "llama.attention.head_count_kv", uint32(0)},
		{`tensor "blk.2.attn_norm.weight" of shape [24] is missing`, "llama.block_count", uint32(3)},
		{`tensor "blk.1.attn_norm.weight" of shape [24] belongs to no model of architecture llama`, "llama.block_count", uint32(1)},
		{"and 26 more such errors", "llama.block_count", uint32(6)},
	} {
		path := change(t, p, map[string]any{c.key: c.v}, nil)
		_, err := Load(path)
		assert.ErrorContains(t, err, c.want)
		assert.ErrorContains(t, err, path)
	}

	more := func(s gguf.Source) string {
		return change(t, p, nil, func(all []gguf.Source) []gguf.Source { return append(all, s) })
	}
	x := make([]float32, 24)
	_, err := Load(more(gguf.Source{Name: "rope_freqs.weight", Shape: []int{24}, Type: gguf.F32, Row: func(int) []float32 { return x }}))
	assert.ErrorContains(t, err, `tensor "rope_freqs.weight" does not scale rotary positions as Llama 3.1 does`)
	_, err = Load(more(gguf.Source{Name: "blk.0.attn_v.bias", Shape: []int{24}, Type: gguf.F32, Row: func(int) []float32 { return x }}))
	assert.ErrorContains(t, err, `tensor "blk.0.attn_v.bias"`)

	// Another quantisation: the type of a tensor in the table is the number after its dimensions.
	path := change(t, p, nil, nil)
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	at := bytes.Index(raw, []byte("blk.0.attn_q.weight")) + len("blk.0.attn_q.weight") + 4 + 16
	raw[at] = 10
	require.NoError(t, os.WriteFile(path, raw, 0o600))
	_, err = Load(path)
	assert.ErrorContains(t, err, `tensor "blk.0.attn_q.weight" is Q2_K, only F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K and Q6_K are read`)

	// A vocabulary without a model.
	var buf bytes.Buffer
	vocab, _ := toyVocab(t, 31, tokenizer.DefaultParts())
	vocab["general.architecture"] = "llama"
	require.NoError(t, gguf.Write(&buf, sortedKeys(vocab), nil))
	require.NoError(t, os.WriteFile(path, buf.Bytes(), 0o600))
	_, err = Load(path)
	assert.ErrorContains(t, err, "llama.block_count is missing")
}

// The file is told by its first bytes, whatever it is called; one that is cut anywhere is an error that names it.
func TestGGUFDamaged(t *testing.T) {
	raw, err := os.ReadFile(saveGGUF(t, withoutHead(tiny(), 39), Q8_0, nil))
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "sha256-abc")
	require.NoError(t, os.WriteFile(path, raw, 0o600))
	_, err = Load(path)
	require.NoError(t, err)
	for n := 4; n < len(raw); n += 997 {
		require.NoError(t, os.WriteFile(path, raw[:n], 0o600))
		_, err := Load(path)
		assert.ErrorContains(t, err, path)
	}
	// A version of which others are not read.
	binary.LittleEndian.PutUint32(raw[4:], 1)
	require.NoError(t, os.WriteFile(path, raw, 0o600))
	_, err = Load(path)
	assert.ErrorContains(t, err, "GGUF version 1")
}
