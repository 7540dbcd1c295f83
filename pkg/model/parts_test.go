package model

import (
	"bytes"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/model/arch"
)

// writers save a model in each form, into a folder of the test's own.
var writers = map[string]func(dir string, p *Params) (path string, err error){
	"hf": func(dir string, p *Params) (string, error) {
		path := filepath.Join(dir, "m")
		return path, Save(path, p, nil)
	},
	"gguf": func(dir string, p *Params) (string, error) {
		path := filepath.Join(dir, "m.gguf")
		return path, SaveGGUF(path, p, F32, nil)
	},
	"meta": func(dir string, p *Params) (string, error) {
		path := filepath.Join(dir, "m")
		return path, SaveMeta(path, p, F32, nil)
	},
	"llama2c": func(dir string, p *Params) (string, error) {
		path := filepath.Join(dir, "m.bin")
		return path, SaveLlama2C(path, p)
	},
}

// count fills weights with numbers of which no two are the same.
func count(list []*Param) {
	n := 0.0
	for _, q := range list {
		fill(q.Value, func() float64 { n++; return n })
	}
}

// A part that only this test knows comes back from each form that has a name for it, and is refused
// by name by the others.
func TestPartOfTheTable(t *testing.T) {
	size := func(c Config) int { return c.HeadDim }
	names := arch.Names{arch.HF: "model.layers.%d.self_attn.q_norm.weight", arch.GGUF: "blk.%d.attn_q_norm.weight"}
	for name, c := range map[string]struct {
		part    arch.Part
		refused []string
	}{
		"norm": {
			arch.Part{Name: "layers.%d.q_norm", Shape: arch.Shape{size}, Init: arch.Ones, Files: []arch.Piece{{Names: names, Split: arch.Whole}}},
			[]string{"meta", "llama2c"},
		},
		"no names": {arch.Part{Name: "layers.%d.q_norm", Shape: arch.Shape{size}}, []string{"hf", "gguf", "meta", "llama2c"}},
		"half": {
			arch.Part{Name: "layers.%d.q_norm", Shape: arch.Shape{size}, Files: []arch.Piece{
				{Names: names, Rows: func(Config) int { return 2 }}, {Names: arch.Names{}, Rows: func(Config) int { return 4 }},
			}},
			[]string{"hf", "gguf", "meta", "llama2c"},
		},
		"bias": {
			arch.Part{Name: "layers.%d.q_norm", Shape: arch.Shape{size}, Files: []arch.Piece{
				{Names: arch.Names{arch.HF: "a.%d", arch.GGUF: "b.%d"}, Rows: func(Config) int { return 2 }},
				{Names: arch.Names{arch.HF: "c.%d", arch.GGUF: "d.%d"}, Rows: func(Config) int { return 4 }},
			}},
			[]string{"meta", "llama2c"},
		},
		"not in llama2.c": {
			arch.Part{Name: "layers.%d.q_norm", Shape: arch.Shape{size}, Files: []arch.Piece{
				{Names: arch.Names{arch.HF: "a.%d", arch.GGUF: "b.%d", arch.Meta: "c.%d"}, Split: arch.Whole},
			}},
			[]string{"llama2c"},
		},
	} {
		table := append(arch.Table{arch.Llama()[0], c.part}, arch.Llama()[1:]...)
		p := newParams(table, metaShape(false), tensor.Float32)
		count(p.All())
		require.NotNil(t, p.Get("layers.1.q_norm"))
		for form, write := range writers {
			path, err := write(t.TempDir(), p)
			if slices.Contains(c.refused, form) {
				assert.ErrorContains(t, err, `no place for weight "layers.0.q_norm"`, "%s in %s", name, form)
				continue
			}
			require.NoError(t, err, "%s in %s", name, form)
			got, err := load(path, table)
			require.NoError(t, err)
			assertSame(t, p, got)
			_, err = Load(path)
			assert.ErrorContains(t, err, "belongs to no ", "%s in %s", name, form)
		}
		plain := newParams(arch.Llama(), metaShape(false), tensor.Float32)
		for form, write := range writers {
			path, err := write(t.TempDir(), plain)
			require.NoError(t, err)
			_, err = load(path, table)
			assert.Error(t, err, "%s in %s: nothing gives the part its numbers", name, form)
		}
	}
}

// Each field of Config comes back from each form, or is refused by its name.
func TestFieldsOfConfig(t *testing.T) {
	changes := map[string]func(*Config){
		"Family":        func(c *Config) { c.Family = arch.FamilyMistral },
		"AttentionBias": func(c *Config) { c.AttentionBias = true },
		"Window":        func(c *Config) { c.Family, c.Window = arch.FamilyMistral, 7 },
		"FullLayers":    func(c *Config) { c.Family, c.Window, c.FullLayers = arch.FamilyQwen2, 7, 1 },
		"Rope":          func(c *Config) { c.Rope = arch.RopeScaling{Type: arch.RopeLinear, Factor: 3} },
		"Dim":           func(c *Config) { c.Dim, c.HeadDim = 48, 12 },
		"NumLayers":     func(c *Config) { c.NumLayers = 3 },
		"NumHeads":      func(c *Config) { c.NumHeads, c.HeadDim = 2, 12 },
		"NumKVHeads":    func(c *Config) { c.NumKVHeads = 4 },
		"HeadDim":       func(c *Config) { c.HeadDim = 8 },
		"HiddenDim":     func(c *Config) { c.HiddenDim = 22 },
		"VocabSize":     func(c *Config) { c.VocabSize = 40 },
		"MaxSeqLen":     func(c *Config) { c.MaxSeqLen = 99 },
		"NormEps":       func(c *Config) { c.NormEps = 1e-6 },
		"RopeTheta":     func(c *Config) { c.RopeTheta = 5e5 },
		"TieEmbeddings": func(c *Config) { c.TieEmbeddings = true },
		"BOS":           func(c *Config) { c.BOS = -1 },
		"EOS":           func(c *Config) { c.EOS = 3 },
	}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		change := changes[field.Name]
		require.NotNil(t, change, "how to change %s", field.Name)
		cfg := metaShape(false)
		change(&cfg)
		p := withoutHead(cfg, 71)
		for form, write := range writers {
			path, err := write(t.TempDir(), p)
			if err != nil {
				assert.Regexp(t, "Config."+field.Name+" is |no place for weight .layers.0.(qkv|attn_out)_bias", err.Error(), form)
				continue
			}
			got, err := Load(path)
			require.NoError(t, err)
			if form == "gguf" && field.Name == "Family" {
				assert.Equal(t, arch.FamilyLlama, got.cfg.Family, "which a Mistral is there")
				got.cfg.Family = arch.FamilyMistral
			}
			if form == "meta" && field.Name == "MaxSeqLen" {
				continue // params.json of Llama 2 has no place for it, which is documented
			}
			assertSame(t, p, got)
		}
	}
}

func TestFurtherWeights(t *testing.T) {
	p := withoutHead(tiny(), 72)
	plain := p.Clone()
	require.NoError(t, p.Add("value_head", zeros(tensor.Float32, 3, 24), true))
	require.NoError(t, p.Add("gate", zeros(tensor.Float32, 5), false))
	require.NoError(t, p.Add("frozen", zeros(tensor.Float32, 2, 2), false))
	count(p.All()[len(plain.All()):])
	p.AddHead(nil)
	var names []string
	for _, q := range p.All() {
		names = append(names, q.Name)
	}
	assert.Equal(t, []string{"score.weight", "score.bias", "value_head", "gate", "frozen"}, names[len(names)-5:])

	dir := filepath.Join(t.TempDir(), "m")
	for _, dtype := range []string{F32, BF16} {
		cfg := DefaultSaveConfig()
		cfg.DType = dtype
		require.NoError(t, SaveAs(dir, p, cfg, nil))
		got, err := Load(dir)
		require.NoError(t, err)
		for i, q := range got.All()[len(names)-3:] {
			assert.Equal(t, p.All()[len(names)-3+i], q, "as F32, with its decay, whatever the others are")
		}
		if dtype == F32 {
			assertSame(t, p, got)
		}
	}
	require.NoError(t, Save(dir, p.As(tensor.Float64), nil))
	got, err := Load(dir)
	require.NoError(t, err)
	assertSame(t, p, got)
	assertSame(t, p, p.Clone())
	fill(got.Get("gate").Value, func() float64 { return 0 })
	require.NoError(t, got.CopyFrom(p))
	assertSame(t, p, got)
	assert.ErrorContains(t, got.CopyFrom(plain), "further weight")

	// In each other form, and where the caller wants none, they are refused.
	p.DropHead()
	for form, write := range writers {
		if _, err := write(t.TempDir(), p); form == "hf" {
			assert.NoError(t, err)
		} else {
			assert.ErrorContains(t, err, `no place for weight "value_head"`, form)
		}
	}
	cfg := DefaultSaveConfig()
	cfg.Further = false
	for _, name := range []string{"value_head", "gate", "frozen"} {
		assert.ErrorContains(t, SaveAs(dir, p, cfg, nil), `no place for weight "`+name+`": remove it with Params.Drop`)
	}
	dropped := p.Clone()
	for _, name := range []string{"value_head", "gate", "frozen"} {
		dropped.Drop(name)
	}
	assert.NoError(t, SaveAs(filepath.Join(t.TempDir(), "dropped"), dropped, cfg, nil))

	// They are in the digest of a model.
	digest := func(p *Params) []byte {
		var b bytes.Buffer
		require.NoError(t, p.WriteWeights(&b))
		return b.Bytes()
	}
	with := digest(p)
	floats[float32](p.Get("gate").Value)[0]++
	assert.NotEqual(t, with, digest(p))
	p.Drop("value_head")
	p.Drop("frozen")
	p.Drop("norm") // one of the model's own stays
	assert.NotNil(t, p.Get("norm"))
	p.Drop("gate")
	assertSame(t, plain, p)
	assert.Equal(t, digest(plain), digest(p))
	require.NoError(t, Save(dir, p, nil))
	got, err = Load(dir)
	require.NoError(t, err)
	assertSame(t, plain, got)
}

// Further weights are nodes of a trunk like the others.
func TestFurtherWeightsInGraph(t *testing.T) {
	p := withoutHead(tiny(), 73)
	require.NoError(t, p.Add("adapter", zeros(tensor.Float32, 2, 24), true))
	trunk, err := NewTrunk(NewInputs(tensor.Float32, 8, 2), p, "policy")
	require.NoError(t, err)
	nodes := trunk.ParamNodes()
	assert.Equal(t, "policy/adapter", nodes[len(nodes)-1].Name())
	assert.Equal(t, tensor.Shape{2, 24}, nodes[len(nodes)-1].Shape())
}

func TestAddRefuses(t *testing.T) {
	transposed, whole := zeros(tensor.Float32, 2, 3), zeros(tensor.Float32, 3, 4)
	require.NoError(t, transposed.T())
	columns, err := whole.Slice(nil, tensor.S(1, 3))
	require.NoError(t, err)
	p := withoutHead(tiny(), 74)
	p.DropOutput()
	x := zeros(tensor.Float32, 2)
	for want, err := range map[string]error{
		"without a name":               p.Add("", x, false),
		`"norm" is that of another`:    p.Add("norm", x, false),
		`"output" is that of another`:  p.Add("output", x, false),
		`"score.bias" is that of`:      p.Add("score.bias", x, false),
		"is float64, the other":        p.Add("x", zeros(tensor.Float64, 2), false),
		"want a vector or a matrix":    p.Add("x", zeros(tensor.Float32, 2, 2, 2), false),
		`"x" has no value`:             p.Add("x", nil, false),
		`"transposed" is empty or a`:   p.Add("transposed", transposed, false),
		`"columns" is empty or a view`: p.Add("columns", columns.(*tensor.Dense), false),
		`"empty" is empty or a view`:   p.Add("empty", tensor.New(tensor.WithShape(0), tensor.Of(tensor.Float32)), false),
		"Config.Dim is 0":              NewParams(Config{}, tensor.Float32).Add("x", x, false),
	} {
		assert.ErrorContains(t, err, want)
	}
	require.NoError(t, p.Add("x", x, false))
	assert.ErrorContains(t, p.Add("x", x, false), `"x" is that of another`)
}
