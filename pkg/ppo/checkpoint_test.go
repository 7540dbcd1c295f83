package ppo

import (
	"context"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
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

// A run that is stopped while answers are judged, of an iteration or of an evaluation, loses these answers alone.
func TestStoppedWhileJudging(t *testing.T) {
	trained := func(ctx context.Context, dir string, judge Rewarder) ([]float32, Report, []int, error) {
		cfg := smallConfig()
		cfg.Iterations, cfg.EvalEvery = 4, 2
		cfg.Checkpointing = train.Checkpointing{Dir: dir, Every: 100}
		var reported []int
		cfg.OnStep = func(i train.StepInfo) { reported = append(reported, i.Step) }
		policy, critic := tinyModel(t, 9, 2, 1), tinyCritic(t, 9, 1, 2)
		report, err := Train(ctx, policy, critic, somePrompts(), somePrompts(), judge, cfg)
		return append(weights(policy), weights(critic)...), report, reported, err
	}
	want, report, _, err := trained(t.Context(), "", sevens)
	require.NoError(t, err)
	for call, saved := range []int{0, 0, 1, 2, 2, 3, 4} { // the judge is called for the start, 1, 2, evaluation, 3, 4, evaluation
		dir := filepath.Join(t.TempDir(), "ppo")
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		_, _, before, err := trained(ctx, dir, cancelling{sevens, func() {
			if calls++; calls == call+1 {
				cancel()
			}
		}})
		require.ErrorIs(t, err, context.Canceled, "call %d", call)
		if saved > 0 {
			c, err := train.LoadCheckpoint(dir)
			require.NoError(t, err)
			var at position
			require.NoError(t, json.Unmarshal(c.State.Position, &at))
			assert.Equal(t, saved, at.Iteration, "call %d", call)
		}
		got, again, after, err := trained(t.Context(), dir, sevens)
		require.NoError(t, err)
		assert.Equal(t, []int{1, 2, 3, 4}, append(before, after...), "call %d", call)
		assert.Equal(t, report, again, "call %d", call)
		assert.Equal(t, want, got, "call %d", call)
	}
}

// cancelling stops the run when it is asked.
type cancelling struct {
	Rewarder
	asked func()
}

func (c cancelling) Score(ctx context.Context, answers []data.Answer) ([]Score, error) {
	c.asked()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return c.Rewarder.Score(ctx, answers)
}
