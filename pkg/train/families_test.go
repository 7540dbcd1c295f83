package train_test

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/model/arch"
	"github.com/tame-rlhf/tame/pkg/train"
)

// families are tiny models with the weights that Llama 2 does not have.
func families() map[string]model.Config {
	of := func(change func(*model.Config)) model.Config {
		c := tiny()
		change(&c)
		return c
	}
	return map[string]model.Config{
		"llama with biases": of(func(c *model.Config) { c.AttentionBias = true }),
		"mistral":           of(func(c *model.Config) { c.Family, c.Window = arch.FamilyMistral, 3 }),
		"qwen2": of(func(c *model.Config) {
			c.Family, c.TieEmbeddings = arch.FamilyQwen2, true
			c.Rope = arch.RopeScaling{Type: arch.RopeLinear, Factor: 2}
		}),
		"qwen3": of(func(c *model.Config) {
			c.Family, c.HeadDim, c.AttentionBias, c.Window, c.FullLayers = arch.FamilyQwen3, 6, true, 4, 1
		}),
	}
}

func fresh(cfg model.Config) *model.Params {
	p := model.NewParams(cfg, tensor.Float32)
	p.Init(rand.New(rand.NewPCG(1, 1)))
	return p
}

// All weights are trained and in the checkpoints; a run that resumes, and one that recomputes, have the same bits; frozen weights stay.
func TestFitOfFamilies(t *testing.T) {
	for name, cfg := range families() {
		t.Run(name, func(t *testing.T) {
			straight := fresh(cfg)
			s := settings()
			_, err := train.Fit(t.Context(), straight, task(t, s, nil), s)
			require.NoError(t, err)
			for i, w := range straight.All() {
				assert.NotEqual(t, fresh(cfg).All()[i].Value.Float32s(), w.Value.Float32s(), w.Name)
			}

			s.Recompute = true
			s.Checkpointing = train.Checkpointing{Dir: filepath.Join(t.TempDir(), "run"), Every: 3}
			ctx, stop := context.WithCancel(t.Context())
			s.OnStep = func(i train.StepInfo) {
				if i.Step == 4 {
					stop()
				}
			}
			_, err = train.Fit(ctx, fresh(cfg), task(t, s, nil), s)
			require.ErrorIs(t, err, context.Canceled)
			s.OnStep = nil
			resumed := fresh(cfg)
			_, err = train.Fit(t.Context(), resumed, task(t, s, nil), s)
			require.NoError(t, err)
			assert.Equal(t, numbers(straight), numbers(resumed))
			c, err := train.LoadCheckpoint(t.Context(), s.Checkpointing.Dir)
			require.NoError(t, err)
			assert.Equal(t, cfg, c.Params.Config())
			assert.Len(t, c.Optim["model"].Moments, len(straight.All()))

			s.Checkpointing = train.Checkpointing{}
			s.Frozen = []string{"*_bias", "*_norm"}
			p := fresh(cfg)
			_, err = train.Fit(t.Context(), p, task(t, s, nil), s)
			if cfg.QKVBias() {
				require.NoError(t, err)
				for i, w := range p.All() {
					if strings.HasSuffix(w.Name, "_bias") || strings.HasSuffix(w.Name, "_norm") {
						assert.Equal(t, fresh(cfg).All()[i].Value.Float32s(), w.Value.Float32s(), w.Name)
					}
				}
			} else {
				assert.ErrorContains(t, err, "Frozen[0] is *_bias, want a pattern that matches a weight")
			}
		})
	}
}
