package ppo

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/model"
)

// The memory that a run says it needs holds the reference and the matrices that sampling packs.
func TestPlanCountsWhatSamplingPacks(t *testing.T) {
	policy := tinyModel(t, 9, 4, 1)
	matrices := 0
	for _, p := range policy.All() {
		if shape := p.Value.Shape(); len(shape) == 2 {
			matrices += 4 * shape.TotalSize()
		}
	}
	cfg := smallConfig()
	tr, err := New(policy, tinyCritic(t, 9, 4, 2), somePrompts(), nil, sevens, cfg)
	require.NoError(t, err)
	c := policy.Config()
	caches := int(model.CacheBytes(c, min(cfg.Slots, cfg.BatchSize), c.MaxSeqLen))
	assert.Greater(t, tr.plan().Memory.Others-bytesOf(tr.reference)-tr.forward.ArenaBytes(), caches+matrices)
}
