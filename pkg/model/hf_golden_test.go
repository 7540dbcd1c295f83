package model

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/model/arch"
)

// transformersValues are what transformers computes with the weights of formulaNumbers. testdata has folders that it saved of them, too.
type transformersValues struct {
	Tokens       []int32   `json:"tokens"`
	LogProbs     []float64 `json:"log_probs"`      // log p(Tokens[i+1] | Tokens up to i)
	TiedLogProbs []float64 `json:"tied_log_probs"` // the same with tie_word_embeddings
	Sequences    [][]int32 `json:"sequences"`      // scored in one batch, padded on the right
	Scores       []float64 `json:"scores"`
}

func readTransformers(t *testing.T) transformersValues {
	t.Helper()
	raw, err := os.ReadFile("testdata/transformers.json")
	require.NoError(t, err)
	var want transformersValues
	require.NoError(t, json.Unmarshal(raw, &want))
	return want
}

// transformersTol is absolute, float32 against float32.
const transformersTol = 1e-5

// formulaConfig has another RoPE base than Llama 2, and a head width that is not Dim / NumHeads.
func formulaConfig() Config {
	return Config{
		Dim: 16, NumLayers: 2, NumHeads: 4, NumKVHeads: 2, HeadDim: 8, HiddenDim: 12, VocabSize: 32, MaxSeqLen: 64,
		NormEps: 1e-5, RopeTheta: 5e5, BOS: 1, EOS: 2,
	}
}

// formulaNumbers fills a tensor of that Hugging Face name. The numbers are exact in all file types.
func formulaNumbers(name string, dst []float32) {
	hash := uint32(2166136261) // FNV-1a
	for _, b := range []byte(name) {
		hash = (hash ^ uint32(b)) * 16777619
	}
	for i := range dst {
		x := hash + uint32(i)*2654435761
		x = (x ^ x>>15) * 2246822519
		x ^= x >> 13
		k := float32(int((x>>8)%127) - 63)
		switch {
		case strings.Contains(name, "norm"):
			dst[i] = 1 + k/128
		case strings.Contains(name, "embed"):
			dst[i] = k / 64
		default:
			dst[i] = k / 128
		}
	}
}

func formulaParams(t *testing.T, c Config, head bool) *Params {
	t.Helper()
	p := NewParams(c, tensor.Float32)
	if head {
		p.AddHead(nil)
		p.DropOutput()
	}
	tensors, err := p.tensors(arch.HF, false)
	require.NoError(t, err)
	for _, s := range tensors {
		if s.Name != arch.ScoreBias {
			lo, hi := s.Span()
			formulaNumbers(s.Name, p.numbers(s.Weight)[lo:hi])
		}
	}
	return p
}

func scoresOf(t *testing.T, p *Params, sequences [][]int32) []float64 {
	t.Helper()
	var scores *gorgonia.Node
	g := newGraph(t, p, 128, len(sequences), func(_ *Inputs, trunk *Trunk) []*gorgonia.Node {
		scores = node(t)(trunk.SegmentScores())
		return gorgonia.Nodes{scores}
	})
	return g.run(t, pack(t, 128, len(sequences), sequences...), scores)[0]
}

func TestLogProbsOfTransformers(t *testing.T) {
	want := readTransformers(t)
	tied := formulaConfig()
	tied.TieEmbeddings = true
	for _, c := range []struct {
		cfg  Config
		want []float64
	}{{formulaConfig(), want.LogProbs}, {tied, want.TiedLogProbs}} {
		p := formulaParams(t, c.cfg, false)
		for _, dtype := range []string{F32, F16, BF16} { // the weights come through all of them
			dir := filepath.Join(t.TempDir(), "m")
			require.NoError(t, SaveAs(dir, p, SaveConfig{DType: dtype, MaxShardBytes: 5000}, nil))
			got, err := Load(dir)
			require.NoError(t, err)
			assertSame(t, p, got)
		}
		d, err := NewDecoder(p, 1, len(want.Tokens))
		require.NoError(t, err)
		assert.InDeltaSlice(t, c.want, widen(decoderLogProbs(t, d, 0, want.Tokens)), transformersTol)
	}
}

func TestScoresOfTransformers(t *testing.T) {
	want := readTransformers(t)
	p := formulaParams(t, formulaConfig(), true)
	assert.InDeltaSlice(t, want.Scores, scoresOf(t, p, want.Sequences), transformersTol)
}

func TestLoadOfTransformers(t *testing.T) {
	tied := formulaConfig()
	tied.TieEmbeddings = true
	for name, want := range map[string]*Params{
		"transformers-5.23-sharded-bf16": formulaParams(t, formulaConfig(), false),
		"transformers-5.23-reward-f32":   formulaParams(t, formulaConfig(), true),
		"transformers-4.46-tied-f32":     formulaParams(t, tied, false),
	} {
		got, err := Load(filepath.Join("testdata", name))
		require.NoError(t, err, name)
		assertSame(t, want, got)
	}
}
