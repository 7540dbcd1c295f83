package model

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/exec"
	"github.com/tame-rlhf/tame/pkg/model/arch"
)

// familyValues are what transformers computes for a model with the weights of formulaNumbers: see testdata/families.py.
type familyValues struct {
	Config    json.RawMessage      `json:"config"`
	Tokens    []int32              `json:"tokens"`
	LogProbs  []float64            `json:"log_probs"` // log p(Tokens[i+1] | Tokens up to i)
	Grads     map[string][]float64 `json:"grads"`     // of the mean of -LogProbs: the norm, the product with the numbers of "probe.NAME", all of biases and norms of heads
	Sequences [][]int32            `json:"sequences"`
	Scores    []float64            `json:"scores"`
}

func readFamilies(t testing.TB) map[string]familyValues {
	t.Helper()
	raw, err := os.ReadFile("testdata/families.json")
	require.NoError(t, err)
	var want map[string]familyValues
	require.NoError(t, json.Unmarshal(raw, &want))
	return want
}

// familyConfigs are the models of testdata/families.py.
func familyConfigs() map[string]Config {
	of := func(f arch.Family, theta float64, change func(*Config)) Config {
		c := formulaConfig()
		c.Family, c.RopeTheta, c.MaxSeqLen = f, theta, 512
		change(&c)
		return c
	}
	yarn := func(factor float64, original int) arch.RopeScaling {
		return arch.RopeScaling{
			Type: arch.RopeYaRN, Factor: factor, OriginalMaxSeqLen: original, BetaFast: 32, BetaSlow: 1,
			AttentionFactor: arch.YaRNScale(factor, 1), Truncate: true,
		}
	}
	return map[string]Config{
		"llama": of(arch.FamilyLlama, 5e5, func(*Config) {}),
		"llama3": of(arch.FamilyLlama, 5e5, func(c *Config) {
			c.TieEmbeddings = true
			c.Rope = arch.RopeScaling{Type: arch.RopeLlama3, Factor: 8, LowFreqFactor: 1, HighFreqFactor: 4, OriginalMaxSeqLen: 32}
		}),
		"llama-linear":  of(arch.FamilyLlama, 1e4, func(c *Config) { c.Rope = arch.RopeScaling{Type: arch.RopeLinear, Factor: 2.5} }),
		"llama-dynamic": of(arch.FamilyLlama, 1e4, func(c *Config) { c.Rope = arch.RopeScaling{Type: arch.RopeDynamic, Factor: 2} }),
		"llama-yarn":    of(arch.FamilyLlama, 1e4, func(c *Config) { c.Rope = yarn(4, 64) }),
		"llama-yarn-factors": of(arch.FamilyLlama, 1e3, func(c *Config) {
			c.Rope = arch.RopeScaling{
				Type: arch.RopeYaRN, Factor: 8, OriginalMaxSeqLen: 40, BetaFast: 4, BetaSlow: 0.5,
				AttentionFactor: arch.YaRNScale(8, 0.707) / arch.YaRNScale(8, 2),
			}
		}),
		"llama-yarn-attention": of(arch.FamilyLlama, 1e4, func(c *Config) {
			c.Rope = yarn(4, 64)
			c.Rope.BetaFast, c.Rope.AttentionFactor = 8, 1.25
		}),
		"llama-bias":   of(arch.FamilyLlama, 1e4, func(c *Config) { c.AttentionBias = true }),
		"mistral":      of(arch.FamilyMistral, 1e4, func(c *Config) { c.Window = 7 }),
		"mistral-long": of(arch.FamilyMistral, 1e6, func(c *Config) { c.Window = 270 }),
		"mistral-full": of(arch.FamilyMistral, 1e6, func(c *Config) { c.TieEmbeddings = true }),
		"qwen2":        of(arch.FamilyQwen2, 1e6, func(c *Config) { c.TieEmbeddings = true }),
		"qwen2-window": of(arch.FamilyQwen2, 1e6, func(c *Config) {
			c.HeadDim, c.Window, c.FullLayers, c.Rope = 4, 9, 1, yarn(4, 32)
		}),
		"qwen3":        of(arch.FamilyQwen3, 1e6, func(c *Config) { c.TieEmbeddings = true }),
		"qwen3-window": of(arch.FamilyQwen3, 1e6, func(c *Config) { c.AttentionBias, c.Window = true, 6 }),
	}
}

// eachFamily runs a test for each of the models.
func eachFamily(t *testing.T, run func(t *testing.T, cfg Config, want familyValues)) {
	configs, values := familyConfigs(), readFamilies(t)
	require.ElementsMatch(t, slices.Collect(maps.Keys(configs)), slices.Collect(maps.Keys(values)))
	for name, cfg := range configs {
		t.Run(name, func(t *testing.T) { run(t, cfg, values[name]) })
	}
}

// The log-probabilities are those of transformers, and decoding gives the bits of the graph.
func TestLogProbsOfFamilies(t *testing.T) {
	eachFamily(t, func(t *testing.T, cfg Config, want familyValues) {
		p := formulaParams(t, cfg, false)
		var logp *gorgonia.Node
		b := pack(t, 400, 3, want.Tokens[:9], want.Tokens) // after another one, with unused slots
		g := newGraph(t, p, b.N, b.S, func(_ *Inputs, trunk *Trunk) []*gorgonia.Node {
			logp = node(t)(trunk.LogProbs())
			return gorgonia.Nodes{logp}
		})
		lo, hi := b.Span(1)
		got := g.run(t, b, logp)[0]
		assert.InDeltaSlice(t, want.LogProbs, got[lo:hi-1], transformersTol)

		d, err := NewDecoder(p, 2, len(want.Tokens))
		require.NoError(t, err)
		assert.Equal(t, got[lo:hi-1], widen(decoderLogProbs(t, d, 1, want.Tokens)), "token by token")
		d.Reset(0)
		for at := 0; at < len(want.Tokens)-1; at += 11 {
			end := min(at+11, len(want.Tokens)-1)
			logits, err := d.Forward([]Chunk{{Slot: 0, Tokens: want.Tokens[at:end]}})
			require.NoError(t, err)
			logProb := logits[0][want.Tokens[end]] - d.Backend().Float32().LogSumExp(logits[0])
			assert.Equal(t, got[lo+end-1], float64(logProb), "in chunks")
		}
	})
}

// Branches, which continue the tokens of another sequence, have the bits that they have alone.
func TestBranchesOfFamilies(t *testing.T) {
	eachFamily(t, func(t *testing.T, cfg Config, want familyValues) {
		p := formulaParams(t, cfg, true)
		root, shared := want.Tokens[:30], 20
		branch := append(slices.Clone(want.Tokens[:shared]), want.Tokens[3:18]...)
		alone := scoresOf(t, p, [][]int32{root, branch})
		var scores *gorgonia.Node
		b := data.NewRagged(100, 3)
		_, err := b.Append(root, make([]bool, len(root)))
		require.NoError(t, err)
		_, err = b.AppendBranch(shared, branch[shared:], make([]bool, len(branch)-shared))
		require.NoError(t, err)
		g := newGraph(t, p, b.N, b.S, func(_ *Inputs, trunk *Trunk) []*gorgonia.Node {
			scores = node(t)(trunk.SegmentScores())
			return gorgonia.Nodes{scores}
		})
		assert.Equal(t, alone, g.run(t, b, scores)[0][:2])
	})
}

// All gradients are those of PyTorch, and the bits do not depend on recomputation.
func TestGradientsOfFamilies(t *testing.T) {
	eachFamily(t, func(t *testing.T, cfg Config, want familyValues) {
		p := formulaParams(t, cfg, false)
		_, grads, _ := lossAndGrads(t, p, pack(t, 330, 2, want.Tokens))
		require.ElementsMatch(t, slices.Collect(maps.Keys(want.Grads)), slices.Collect(maps.Keys(grads)))
		for name, w := range want.Grads {
			got := grads[name]
			probe := make([]float32, len(got))
			formulaNumbers("probe."+name, probe)
			product, sumSquares := 0.0, 0.0
			for i, v := range probe {
				product += got[i] * float64(v)
				sumSquares += float64(v) * float64(v)
			}
			assert.InEpsilon(t, w[0], norm(got), gradTol, name)
			assert.InDelta(t, w[1], product, gradTol*w[0]*math.Sqrt(sumSquares), name)
			if len(w) > 2 {
				assertClose(t, name, w[2:], got)
			}
		}
	})
}

func TestScoresOfFamilies(t *testing.T) {
	eachFamily(t, func(t *testing.T, cfg Config, want familyValues) {
		assert.InDeltaSlice(t, want.Scores, scoresOf(t, formulaParams(t, cfg, true), want.Sequences), transformersTol)
	})
}

// The config.json that transformers writes gives the same model, and so does what is saved here.
func TestLoadOfFamilies(t *testing.T) {
	eachFamily(t, func(t *testing.T, cfg Config, want familyValues) {
		for _, head := range []bool{false, true} {
			p := formulaParams(t, cfg, head)
			dir := filepath.Join(t.TempDir(), "m")
			require.NoError(t, Save(dir, p, nil))
			got, err := Load(dir)
			require.NoError(t, err)
			assertSame(t, p, got)
			if head {
				continue // another class in config.json
			}
			require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), want.Config, 0o666))
			got, err = Load(dir)
			require.NoError(t, err)
			assertSame(t, p, got)
		}
	})
}

// Weight decay is for matrices alone, and fresh biases and norms change nothing.
func TestWeightsOfFamilies(t *testing.T) {
	cfg := familyConfigs()["qwen3-window"]
	for _, q := range NewParams(cfg, tensor.Float32).All() {
		assert.Equal(t, q.Value.Dims() == 2, q.Decay, q.Name)
	}
	assert.EqualValues(t, NewParams(cfg, tensor.Float32).NumParams(), cfg.NumParams())
}

// Models of different families, scaling and windows compute in one graph what they compute alone.
func TestTwoTrunksOfFamilies(t *testing.T) {
	configs, tokens := familyConfigs(), readFamilies(t)["llama"].Tokens
	linear := configs["mistral"]
	linear.Rope = configs["llama-linear"].Rope
	in := NewInputs(tensor.Float32, 64, 1)
	var outs []*gorgonia.Node
	var trunks []*Trunk
	var want [][]float64
	for _, cfg := range []Config{configs["mistral"], linear, configs["llama-bias"]} { // all of base 1e4
		p := formulaParams(t, cfg, false)
		trunk, err := NewTrunk(in, p, cfg.Family.String()+cfg.Rope.Type.String())
		require.NoError(t, err)
		trunks, outs = append(trunks, trunk), append(outs, node(t)(trunk.LogProbs()))
		d, err := NewDecoder(p, 1, len(tokens))
		require.NoError(t, err)
		want = append(want, widen(decoderLogProbs(t, d, 0, tokens)))
	}
	prog, err := exec.Compile(outs, exec.Options{})
	require.NoError(t, err)
	for _, trunk := range trunks {
		require.NoError(t, trunk.Bind(prog))
	}
	got := testGraph{in, trunks[0], prog}.run(t, pack(t, 64, 1, tokens), outs...)
	for i := range want {
		assert.Equal(t, want[i], got[i][:len(tokens)-1], "model %d", i)
	}
	assert.NotEqual(t, want[0], want[1])
	assert.Len(t, in.ropes, 2)
}
