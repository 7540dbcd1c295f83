package ppo

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/train"
)

func TestResumeRefuses(t *testing.T) {
	resume := func(change func(*train.Checkpoint)) error {
		cfg := smallConfig()
		cfg.Checkpointing = train.Checkpointing{Dir: filepath.Join(t.TempDir(), "ppo"), Every: 1}
		tr := newTiny(t, cfg, sevens)
		c, err := tr.checkpoint()
		require.NoError(t, err)
		c.State.Stage = tr.id.Stage
		change(c)
		id := tr.id
		id.Stage = c.State.Stage
		require.NoError(t, cfg.Checkpointing.Save(c, id))
		_, err = New(tinyModel(t, 9, 2, 1), tinyCritic(t, 9, 1, 2), somePrompts(), nil, sevens, cfg)
		return err
	}
	assert.ErrorContains(t, resume(func(c *train.Checkpoint) { c.State.Stage = "sft" }), `of stage "sft", this is "ppo"`)
	assert.ErrorContains(t, resume(func(c *train.Checkpoint) { delete(c.Models, "critic") }), `"critic" is missing`)
	assert.ErrorContains(t, resume(func(c *train.Checkpoint) { delete(c.Optim, "policy") }), `network "policy"`)
	assert.ErrorContains(t, resume(func(c *train.Checkpoint) { c.State.Position = nil }), "position")
	evaluated := func(position string) func(*train.Checkpoint) {
		return func(c *train.Checkpoint) {
			c.Models["best"] = c.Params
			c.State.Position = []byte(position)
		}
	}
	assert.ErrorContains(t, resume(evaluated(`{"iteration":1,"kl_coef":0.01,"best_score":2}`)), "held_out_scale is missing: an older version")
	whole := evaluated(`{"iteration":1,"kl_coef":0.01,"best_score":2,"best_finished":1,"held_out_scale":{"mean":1,"deviation":2}}`)
	assert.NoError(t, resume(whole))
	assert.ErrorContains(t, resume(func(c *train.Checkpoint) { whole(c); delete(c.Models, "best") }), `"best" is missing`)
	assert.NoError(t, resume(func(*train.Checkpoint) {}))
}
