package ppo

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/train"
)

// TestResume stops after every iteration, on disk, and wants the bits of a run that did not stop.
func TestResume(t *testing.T) {
	for _, shared := range []bool{false, true} {
		cfg := smallConfig()
		cfg.Iterations, cfg.EvalEvery, cfg.Epochs, cfg.KLControl, cfg.SharedTrunk = 4, 1, 2, KLAdaptive, shared
		cfg.CriticWarmup = 2
		start := func() (policy, critic *model.Params) {
			policy = tinyModel(t, 9, 2, 1)
			if shared {
				cfg.CriticWarmup = 0
				policy.AddHead(nil)
				return policy, nil
			}
			return policy, tinyCritic(t, 9, 1, 2)
		}
		policy, critic := start()
		straight, err := New(policy, critic, somePrompts(), somePrompts(), sevens, cfg)
		require.NoError(t, err)
		iterate(t, straight, 4)

		cfg.Checkpointing = train.Checkpointing{Dir: filepath.Join(t.TempDir(), "ppo"), Every: 1}
		var broken *Trainer
		for range 4 {
			policy, critic = start()
			broken, err = New(policy, critic, somePrompts(), somePrompts(), sevens, cfg)
			require.NoError(t, err)
			iterate(t, broken, 1)
		}
		assert.Equal(t, weights(straight.policy), weights(broken.policy))
		assert.Equal(t, weights(straight.reference), weights(broken.reference))
		if !shared {
			assert.Equal(t, weights(straight.critic), weights(broken.critic))
		}
		assert.Equal(t, straight.klCoef, broken.klCoef)
		assert.Equal(t, straight.Finish(), broken.Finish())
		assert.Equal(t, weights(straight.policy), weights(broken.policy), "the best policies")
		assert.True(t, broken.Done())
	}
}

// TestCheckpointing kills Train in every iteration and wants the bits of a run that was not.
func TestCheckpointing(t *testing.T) {
	cfg := smallConfig()
	cfg.Iterations, cfg.EvalEvery, cfg.KLControl = 5, 2, KLAdaptive
	start := func() (policy, critic *model.Params) { return tinyModel(t, 9, 2, 1), tinyCritic(t, 9, 1, 2) }
	wantPolicy, wantCritic := start()
	want, err := Train(t.Context(), wantPolicy, wantCritic, somePrompts(), somePrompts(), sevens, cfg)
	require.NoError(t, err)

	for stop := 1; stop <= cfg.Iterations; stop++ {
		cfg.Checkpointing = train.Checkpointing{Dir: filepath.Join(t.TempDir(), "ppo"), Every: 2}
		cfg.OnStep = func(info train.StepInfo) {
			if info.Step == stop {
				panic("killed")
			}
		}
		policy, critic := start()
		assert.Panics(t, func() { _, _ = Train(t.Context(), policy, critic, somePrompts(), somePrompts(), sevens, cfg) })

		var steps []int
		cfg.OnStep = func(info train.StepInfo) { steps = append(steps, info.Step) }
		policy, critic = start()
		got, err := Train(t.Context(), policy, critic, somePrompts(), somePrompts(), sevens, cfg)
		require.NoError(t, err)
		assert.Equal(t, want, got)
		assert.Equal(t, weights(wantPolicy), weights(policy), "killed in %d", stop)
		assert.Equal(t, weights(wantCritic), weights(critic), "killed in %d", stop)
		assert.Equal(t, (stop-1)/2*2+1, steps[0], "it goes on where it was")
	}
}

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
