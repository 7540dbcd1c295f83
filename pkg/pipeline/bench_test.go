package pipeline_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/ppo"
)

// BenchmarkPPO is an iteration of PPO as in quickstart: a model of a million weights, 256 answers of 12 tokens to prompts of 17, two
// reward models. It reports the milliseconds of every part.
func BenchmarkPPO(b *testing.B) {
	cfg := ppo.DefaultConfig()
	cfg.Iterations = 1 << 20
	cfg.BatchSize, cfg.MiniBatch = 256, 64
	cfg.MaxNewTokens, cfg.Stop = 12, nil
	cfg.MicroTokens, cfg.MicroSegments = 2048, 128
	shape := model.Config{
		Dim: 128, NumLayers: 4, NumHeads: 4, NumKVHeads: 2, HeadDim: 32, HiddenDim: 352,
		VocabSize: 768, MaxSeqLen: 128, NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}
	rng := rand.New(rand.NewPCG(1, 2))
	random := func(head bool) *model.Params {
		p := model.NewParams(shape, tensor.Float32)
		p.Init(rng)
		if head {
			p.AddHead(rng)
		}
		return p
	}
	judges, err := pipeline.NewJudges(random(true), random(true), pipeline.JudgesConfig{
		SafetyThreshold: cfg.SafetyThreshold, MicroTokens: cfg.MicroTokens, MicroSegments: cfg.MicroSegments,
	})
	require.NoError(b, err)
	prompts := make([]data.TokenPrompt, 500)
	for i := range prompts {
		prompts[i].Tokens = make([]int32, 17)
		for k := range prompts[i].Tokens {
			prompts[i].Tokens[k] = rng.Int32N(int32(shape.VocabSize))
		}
	}
	trainer, err := ppo.New(random(false), random(true), prompts, nil, judges, cfg)
	require.NoError(b, err)
	spent := map[string]float64{}
	for b.Loop() {
		m, err := trainer.Iterate(b.Context())
		require.NoError(b, err)
		for name, seconds := range m {
			if part, ok := strings.CutPrefix(name, "timing_s/"); ok {
				spent[part] += seconds
			}
		}
	}
	for _, part := range slices.Sorted(maps.Keys(spent)) {
		b.ReportMetric(spent[part]*1e3/float64(b.N), part+"-ms")
	}
}
