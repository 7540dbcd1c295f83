package train_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

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
	load := func(stage string, cfg, data any, seed uint64) error {
		id, err := train.NewIdentity(cfg, data, tinyParams(tensor.Float32, seed))
		require.NoError(t, err)
		c, err := to.Load(stage, id)
		if c != nil {
			assert.JSONEq(t, `{"At": 7}`, string(c.State.Position))
			assert.Equal(t, numbers(p), numbers(c.Params))
		}
		return err
	}
	require.NoError(t, load("sft", config{0.1, 5}, []int{1, 2}, 1), "there is nothing to resume from")
	id, err := train.NewIdentity(config{0.1, 5}, []int{1, 2}, p)
	require.NoError(t, err)
	step := newStep(t, p, 32, 4, 1e-2)
	tokens, counted := sequences(1, 4)
	_, err = step.Run(t.Context(), batches(t, 32, 4, 2, tokens, counted))
	require.NoError(t, err)
	c := &train.Checkpoint{Params: p, State: train.State{Stage: "sft", Position: []byte(`{"At":7}`)}}
	step.Checkpoint(c)
	require.NoError(t, to.Save(c, id))

	assert.NoError(t, load("sft", config{0.1, 5}, []int{1, 2}, 1))
	for name, err := range map[string]error{
		`stage "sft"`:                   load("reward", config{0.1, 5}, []int{1, 2}, 1),
		"differs in config field Rate:": load("sft", config{0.2, 5}, []int{1, 2}, 1),
		"differs in the data:":          load("sft", config{0.1, 5}, []int{2, 1}, 1),
		"differs in the start weights:": load("sft", config{0.1, 5}, []int{1, 2}, 2),
		"config field steps, config field Rate, config field Steps": load("sft", map[string]int{"steps": 5}, []int{1, 2}, 1),
	} {
		assert.ErrorIs(t, err, train.ErrOtherRun)
		assert.ErrorContains(t, err, name)
	}

	require.NoError(t, os.RemoveAll(filepath.Join(to.Dir, "trainer")))
	assert.ErrorContains(t, load("sft", config{0.1, 5}, []int{1, 2}, 1), "without trainer state", "somebody's model is not overwritten")
	assert.ErrorContains(t, train.Checkpointing{Dir: "x"}.Validate(), "Checkpointing.Every is 0, want at least 1")
}
