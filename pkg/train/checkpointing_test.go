package train_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/run"
	"github.com/tame-rlhf/tame/pkg/train"
)

// A checkpoint is resumed by its own run only, and the error names what is different.
func TestCheckpointingRefusesOtherRuns(t *testing.T) {
	type config struct {
		Rate  float64
		Steps int
	}
	p := tinyParams(tensor.Float32, 1)
	to := train.Checkpointing{Dir: filepath.Join(t.TempDir(), "run"), Every: 1}
	identity := func(stage string, cfg any, seed uint64, ids ...int32) run.Identity {
		id, err := run.NewIdentity(t.Context(), stage, cfg, func(d *run.Digest) { d.Tokens(ids) }, tinyParams(tensor.Float32, seed))
		require.NoError(t, err)
		return id
	}
	load := func(stage string, cfg any, seed uint64, ids ...int32) error {
		c, err := to.Load(t.Context(), identity(stage, cfg, seed, ids...))
		if c != nil {
			assert.JSONEq(t, `{"At": 7}`, string(c.State.Position))
			assert.Equal(t, numbers(p), numbers(c.Params))
		}
		return err
	}
	require.NoError(t, load("sft", config{0.1, 5}, 1, 1, 2), "there is nothing to resume from")
	id := identity("sft", config{0.1, 5}, 1, 1, 2)
	step := newStep(t, p, 32, 4, 1e-2)
	tokens, counted := sequences(1, 4)
	_, err := step.Run(t.Context(), batches(t, 32, 4, 2, tokens, counted))
	require.NoError(t, err)
	c := &train.Checkpoint{Params: p, State: train.State{Stage: "sft", Position: []byte(`{"At":7}`)}}
	step.Checkpoint(c)
	require.NoError(t, to.Save(c, id))

	assert.NoError(t, load("sft", config{0.1, 5}, 1, 1, 2))
	for name, err := range map[string]error{
		`(of stage "sft", this is "reward")`:           load("reward", config{0.1, 5}, 1, 1, 2),
		"(config field rate was 0.1 and is 0.2)":       load("sft", config{0.2, 5}, 1, 1, 2),
		"(it read other content of data)":              load("sft", config{0.1, 5}, 1, 2, 1),
		"(it read other content of start weights)":     load("sft", config{0.1, 5}, 2, 1, 2),
		"(config field rate was 0.1 and is not there)": load("sft", map[string]int{"Steps": 5}, 1, 1, 2),
	} {
		assert.ErrorIs(t, err, run.ErrOtherRun)
		assert.ErrorContains(t, err, name)
	}

	require.NoError(t, os.RemoveAll(filepath.Join(to.Dir, "trainer")))
	assert.ErrorContains(t, load("sft", config{0.1, 5}, 1, 1, 2), "trainer/SHA256SUMS is missing")
	require.NoError(t, os.Remove(filepath.Join(to.Dir, "SHA256SUMS")))
	assert.ErrorContains(t, load("sft", config{0.1, 5}, 1, 1, 2), "without trainer state", "somebody's model is not overwritten")
	assert.ErrorContains(t, train.Checkpointing{Dir: "x"}.Validate(), "Checkpointing.Every is 0, want at least 1")
}
