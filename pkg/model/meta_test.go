package model

import (
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/golden"
	"github.com/tame-rlhf/tame/internal/pth"
	"github.com/tame-rlhf/tame/pkg/model/arch"
	"github.com/tame-rlhf/tame/pkg/model/internal/file"
	"github.com/tame-rlhf/tame/pkg/model/internal/meta"
)

// metaShape is a shape that Meta's form can hold.
func metaShape(tie bool) Config {
	c := tiny()
	c.MaxSeqLen, c.TieEmbeddings = meta.Context, tie
	return c
}

func TestMetaRoundTrip(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"gqa":        func(*Config) {},
		"mha":        func(c *Config) { c.NumKVHeads = 4 },
		"tied":       func(c *Config) { c.TieEmbeddings = true },
		"theta, eps": func(c *Config) { c.RopeTheta, c.NormEps = 1e6, 1.2345e-6 },
		"wide":       func(c *Config) { c.HiddenDim = 256 }, // as multiple_of 256 gives it
		"wider":      func(c *Config) { c.HiddenDim = 300 },
		"narrow":     func(c *Config) { c.HiddenDim = 1 },
	} {
		cfg := metaShape(false)
		change(&cfg)
		p := withoutHead(cfg, 41)
		dir := filepath.Join(t.TempDir(), "m[a]*", "b") // nothing of a name is a pattern
		require.NoError(t, SaveMeta(dir, p.As(tensor.Float64), F32, func(tmp string) error {
			return os.WriteFile(filepath.Join(tmp, "more"), nil, 0o600)
		}), name)
		got, err := Load(dir)
		require.NoError(t, err, name)
		assertSame(t, p, got)
		got, err = Load(filepath.Join(dir, meta.FirstFile))
		require.NoError(t, err, name)
		assertSame(t, p, got)
		assert.FileExists(t, filepath.Join(dir, "more"))
		left, err := os.ReadDir(filepath.Dir(dir))
		require.NoError(t, err)
		assert.Len(t, left, 1, "nothing is left beside it")
	}
}

// 16 bits lose what the documentation says, and numbers that fit are kept.
func TestMetaRounded(t *testing.T) {
	p := withoutHead(metaShape(false), 42)
	for dtype, bound := range map[string]float64{F16: 1.0 / 2048, BF16: 1.0 / 256} {
		dir := filepath.Join(t.TempDir(), "m")
		require.NoError(t, SaveMeta(dir, p, dtype, nil))
		got, err := Load(dir)
		require.NoError(t, err)
		for _, q := range p.All() {
			have := floats[float32](got.Get(q.Name).Value)
			for i, x := range floats[float32](q.Value) {
				if e := math.Abs(float64(x) - float64(have[i])); e > bound*math.Abs(float64(x))+0x1p-25 {
					t.Fatalf("%s %s: number %d is %v, comes back as %v", dtype, q.Name, i, x, have[i])
				}
			}
		}
		again := filepath.Join(t.TempDir(), "again")
		require.NoError(t, SaveMeta(again, got, dtype, nil))
		same, err := Load(again)
		require.NoError(t, err)
		assertSame(t, got, same)
	}
}

// writeShards writes a model's tensors shared out among n files, which is the way of fairscale's parallel layers: by rows, by columns, or to
// all. The embedding is by columns in Llama 2 and by rows in Llama 3.
func writeShards(t testing.TB, p *Params, n int, embedByRows bool, change func(i int, s []pth.Source) []pth.Source) string {
	t.Helper()
	dir := t.TempDir()
	whole := filepath.Join(t.TempDir(), "m")
	require.NoError(t, SaveMeta(whole, p, F32, nil))
	raw, err := os.ReadFile(filepath.Join(whole, meta.ParamsFile))
	require.NoError(t, err)
	tensors, err := p.tensors(arch.Meta, false)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, meta.ParamsFile), raw, 0o600))
	byRows := []string{"wq", "wk", "wv", "w1", "w3", "output"}
	byColumns := []string{"wo", "w2"}
	if embedByRows {
		byRows = append(byRows, "tok_embeddings")
	} else {
		byColumns = append(byColumns, "tok_embeddings")
	}
	for i := range n {
		var list []pth.Source
		for _, w := range tensors {
			parts := strings.Split(w.Name, ".")
			kind := parts[len(parts)-2]
			rows, cols := w.Size()
			lo, hi, left, right := 0, rows, 0, cols
			shape := slices.Clone(w.Shape)
			switch {
			case slices.Contains(byRows, kind):
				lo, hi = rows/n*i, rows/n*(i+1)
				shape[0] /= n
			case slices.Contains(byColumns, kind):
				left, right = cols/n*i, cols/n*(i+1)
				shape[1] /= n
			}
			row := w.Rows(p.numbers(w.Weight))
			list = append(list, pth.Source{Name: w.Name, DType: F32, Shape: shape, Write: func(out io.Writer) error {
				for r := lo; r < hi; r++ {
					b, err := file.Encode(nil, row(r)[left:right], F32)
					if err != nil {
						return err
					}
					if _, err := out.Write(b); err != nil {
						return err
					}
				}
				return nil
			}})
		}
		list = append(list, pth.Source{Name: "rope.freqs", DType: F32, Shape: []int{1}, Write: func(out io.Writer) error {
			_, err := out.Write(make([]byte, 4))
			return err
		}})
		if change != nil {
			list = change(i, list)
		}
		f, err := os.Create(filepath.Join(dir, strings.Replace(meta.FirstFile, "00", "0"+string(rune('0'+i)), 1)))
		require.NoError(t, err)
		require.NoError(t, pth.Write(f, list))
		require.NoError(t, f.Close())
	}
	return dir
}

func TestMetaShards(t *testing.T) {
	cfg := metaShape(false)
	cfg.NumKVHeads, cfg.VocabSize = 4, 32
	p := withoutHead(cfg, 43)
	for _, n := range []int{1, 2, 4} {
		for _, byRows := range []bool{false, true} {
			got, err := Load(writeShards(t, p, n, byRows, nil))
			require.NoError(t, err, "%d files", n)
			assertSame(t, p, got)
		}
	}
}

// changeParams rewrites params.json.
func changeParams(t testing.TB, dir, key string, value any) {
	t.Helper()
	path := filepath.Join(dir, meta.ParamsFile)
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	var m map[string]any
	require.NoError(t, json.Unmarshal(raw, &m))
	m[key] = value
	if value == nil {
		delete(m, key)
	}
	raw, err = json.Marshal(m)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, raw, 0o600))
}

// Llama 2 came with a vocabulary of -1, and without what has a default.
func TestMetaParams(t *testing.T) {
	cfg := metaShape(false)
	cfg.NumKVHeads, cfg.VocabSize = 4, 32
	p := withoutHead(cfg, 44)
	for _, n := range []int{1, 2} {
		for _, byRows := range []bool{false, true} {
			dir := writeShards(t, p, n, byRows, nil)
			changeParams(t, dir, "vocab_size", -1)
			changeParams(t, dir, "n_kv_heads", nil)
			changeParams(t, dir, "max_batch_size", 32)
			changeParams(t, dir, "use_scaled_rope", false)
			got, err := Load(dir)
			require.NoError(t, err)
			assertSame(t, p, got)
			changeParams(t, dir, "max_seq_len", 99)
			got, err = Load(dir)
			require.NoError(t, err)
			assert.Equal(t, 99, got.Config().MaxSeqLen)
		}
	}
}

func TestMetaRefuses(t *testing.T) {
	cfg := metaShape(false)
	cfg.NumKVHeads, cfg.VocabSize = 4, 32
	p := withoutHead(cfg, 45)
	for _, c := range []struct {
		want, key string
		value     any
	}{
		{"use_scaled_rope is true, only false", "use_scaled_rope", true},
		{`moe is {"num_experts":8}, which is not supported`, "moe", map[string]int{"num_experts": 8}},
		{"dim is missing", "dim", nil},
		{"dim 24 is no multiple of n_heads 5", "n_heads", 5},
		{"give a hidden width of 35, the weights have 20", "multiple_of", 35},
		{"NumLayers is 0", "n_layers", 0},
		{"NormEps is -1", "norm_eps", -1},
		{`dim is "x", want a whole number`, "dim", "x"},
		{`tensor "layers.2.attention_norm.weight" of shape [24] is missing`, "n_layers", 3},
		{`tensor "layers.1.attention.wk.weight" has shape [12 24], params.json wants [6 24]`, "n_kv_heads", 2},
		{`tensor "tok_embeddings.weight" has shape [32 12], params.json wants [64 12]`, "vocab_size", 64},
		{`tensor "output.weight" of shape [33 24] cannot be shared out among 2 files`, "vocab_size", 33},
	} {
		dir := writeShards(t, p, 2, false, nil)
		changeParams(t, dir, c.key, c.value)
		_, err := Load(dir)
		assert.ErrorContains(t, err, c.want)
		assert.ErrorContains(t, err, dir)
	}

	refused := func(n int, want string, change func(i int, s []pth.Source) []pth.Source) string {
		dir := writeShards(t, p, n, false, change)
		_, err := Load(dir)
		assert.ErrorContains(t, err, want)
		return dir
	}
	refused(2, `consolidated.01.pth: tensor "norm.weight" of shape [24] is missing`, func(file int, s []pth.Source) []pth.Source {
		return slices.DeleteFunc(s, func(s pth.Source) bool { return file == 1 && s.Name == "norm.weight" })
	})
	refused(2, `tensor "norm.weight" differs from that of`, func(file int, s []pth.Source) []pth.Source {
		for i := range s {
			if file == 1 && s[i].Name == "norm.weight" {
				s[i].Write = s[1].Write // the first layer's
			}
		}
		return s
	})
	refused(1, `tensor "layers.0.attention.wq.bias" of shape [1] belongs to no Llama`, func(_ int, s []pth.Source) []pth.Source {
		s[len(s)-1].Name = "layers.0.attention.wq.bias"
		return s
	})
	dir := writeShards(t, p, 2, false, nil)
	require.NoError(t, os.Rename(filepath.Join(dir, "consolidated.01.pth"), filepath.Join(dir, "consolidated.02.pth")))
	_, err := Load(dir)
	assert.ErrorContains(t, err, "consolidated.02.pth is there, but consolidated.01.pth is missing")
	require.NoError(t, os.Remove(filepath.Join(dir, "consolidated.02.pth")))
	require.NoError(t, os.Remove(filepath.Join(dir, meta.ParamsFile)))
	_, err = Load(dir)
	assert.ErrorIs(t, err, os.ErrNotExist)
	_, err = Load(filepath.Join(t.TempDir(), "x.pth"))
	assert.ErrorIs(t, err, os.ErrNotExist)

	// Another file beside them is not the model.
	dir = writeShards(t, p, 1, false, nil)
	other := filepath.Join(dir, "adapter.pth")
	require.NoError(t, os.WriteFile(other, nil, 0o600))
	_, err = Load(other)
	assert.ErrorContains(t, err, "adapter.pth is none of")
	_, err = Load(filepath.Join(dir, meta.FirstFile))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, meta.ParamsFile), []byte(`{"dim": 24, "dim": 48}`), 0o600))
	_, err = Load(dir)
	assert.ErrorContains(t, err, `"dim" is there twice`)

	// Numbers that are wrong are found by the archive's checksums.
	dir = writeShards(t, p, 1, false, nil)
	raw, err := os.ReadFile(filepath.Join(dir, meta.FirstFile))
	require.NoError(t, err)
	raw[len(raw)/2] ^= 1
	require.NoError(t, os.WriteFile(filepath.Join(dir, meta.FirstFile), raw, 0o600))
	_, err = Load(dir)
	assert.ErrorContains(t, err, "the checksum is wrong")
}

func TestSaveMetaRefuses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "m")
	p := withoutHead(metaShape(false), 46)
	odd := metaShape(false)
	odd.HeadDim = 8
	eos := metaShape(false)
	eos.EOS = 3
	for want, bad := range map[string]*Params{
		`no place for weight "score.weight": drop the scalar head`: randomParams(metaShape(false), tensor.Float32, 1),
		"Config.HeadDim is 8, want 6":                              withoutHead(odd, 1),
		"Config.EOS is 3, want 2":                                  withoutHead(eos, 1),
	} {
		assert.ErrorContains(t, SaveMeta(dir, bad, F32, nil), want)
	}
	assert.ErrorContains(t, SaveMeta(dir, p, Q8_0, nil), `the type is "Q8_0", want F32, F16 or BF16`)
	assert.ErrorIs(t, SaveMeta(dir, p, F32, func(string) error { return io.ErrShortWrite }), io.ErrShortWrite)
	left, err := os.ReadDir(filepath.Dir(dir))
	require.NoError(t, err)
	assert.Empty(t, left, "nothing is left of it")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, SaveMeta(dir, p, F32, nil), "an empty folder is no loss")
	assert.ErrorContains(t, SaveMeta(dir, p, F32, nil), "already exists")
}

// A checkpoint of others: a plain Llama in PyTorch that turns neighbouring columns has the same log-probs.
func TestMetaTinyCheckpoint(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(golden.SharedDir(t), "meta_pth_tiny", "tiny_fair_checkpoint.pt"))
	if err != nil {
		t.Skip("meta_pth_tiny is not there")
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, meta.FirstFile), raw, 0o600))
	params := `{"dim": 32, "multiple_of": 256, "n_heads": 4, "n_layers": 2, "norm_eps": 1e-05, "vocab_size": -1}`
	require.NoError(t, os.WriteFile(filepath.Join(dir, meta.ParamsFile), []byte(params), 0o600))
	p, err := Load(dir)
	require.NoError(t, err)
	assert.Equal(t, Config{Dim: 32, NumLayers: 2, NumHeads: 4, NumKVHeads: 4, HeadDim: 8, HiddenDim: 256, VocabSize: 500, MaxSeqLen: 4096,
		NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2}, p.Config())
	want, err := os.ReadFile("testdata/meta_tiny.json")
	require.NoError(t, err)
	var c struct {
		Tokens   []int32
		LogProbs []float32
	}
	require.NoError(t, json.Unmarshal(want, &c))
	d, err := NewDecoder(p, 1, len(c.Tokens))
	require.NoError(t, err)
	assert.InDeltaSlice(t, c.LogProbs, decoderLogProbs(t, d, 0, c.Tokens), 1e-5)
}
