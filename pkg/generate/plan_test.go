package generate

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/model"
)

// TestPlan: the cache holds what it must, and a bound makes it smaller without changing an answer.
func TestPlan(t *testing.T) {
	p := tinyModel(t, 3)
	shape := p.Config()
	reqs := []Request{{Prompt: []int32{1, 5, 6}, ID: 1, Samples: 5}, {Prompt: []int32{1, 7}, ID: 2, Samples: 4}}
	cfg := DefaultSampling()
	cfg.MaxNewTokens, cfg.Slots = 6, 8
	plan, err := NewPlan(shape, reqs, cfg)
	require.NoError(t, err)
	assert.Equal(t, Plan{Samples: 9, Slots: 8, Context: 9, CacheBytes: plan.CacheBytes, Bytes: plan.Bytes}, plan)
	perToken := int64(4 * 2 * shape.NumLayers * shape.NumKVHeads * shape.HeadDim)
	assert.GreaterOrEqual(t, plan.CacheBytes, 9*9*perToken, "eight samples and a prompt")
	assert.Equal(t, model.DecoderBytes(shape, 9, 9), plan.Bytes)

	want, err := Generate(t.Context(), p, reqs, cfg)
	require.NoError(t, err)
	cfg.MaxCacheBytes = 4 * model.CacheBytes(shape, 1, 9)
	bounded, err := NewPlan(shape, reqs, cfg)
	require.NoError(t, err)
	assert.Equal(t, 3, bounded.Slots)
	assert.LessOrEqual(t, bounded.CacheBytes, cfg.MaxCacheBytes)
	got, err := Generate(t.Context(), p, reqs, cfg)
	require.NoError(t, err)
	assert.Equal(t, want, got)

	cfg.MaxCacheBytes = model.CacheBytes(shape, 2, 9) - 1
	_, err = Generate(t.Context(), p, reqs, cfg)
	assert.ErrorContains(t, err, "MaxCacheBytes")
}

// Both ways out of too many answers that the error names.
func TestTooManyAnswersHintWorks(t *testing.T) {
	c := tinyGenerate(t)
	c.MaxNewTokens = 10
	require.ErrorContains(t, c.CheckTokens(11, 100), "ask for fewer answers, or lower MaxNewTokens")
	assert.NoError(t, c.CheckTokens(10, 100))
	c.MaxNewTokens = 9
	assert.NoError(t, c.CheckTokens(11, 100))
}
