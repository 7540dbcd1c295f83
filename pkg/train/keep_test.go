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

// A checkpoint is gone on from by its own run only, and the error names what is different.
func TestKeepRefusesOtherRuns(t *testing.T) {
	type config struct {
		Rate  float64
		Steps int
	}
	p := tinyParams(tensor.Float32, 1)
	keep := train.Keep{Dir: filepath.Join(t.TempDir(), "run"), Every: 1}
	begin := func(stage string, cfg, data any, seed uint64) error {
		var position struct{ At int }
		q := tinyParams(tensor.Float32, seed)
		_, err := keep.Begin(stage, cfg, data, q, newStep(t, q, 32, 4, 1e-2), &position)
		if err == nil {
			assert.Equal(t, 7, position.At)
			assert.Equal(t, numbers(p), numbers(q))
		}
		return err
	}
	step := newStep(t, p, 32, 4, 1e-2)
	run, err := keep.Begin("sft", config{0.1, 5}, []int{1, 2}, p, step, new(int))
	require.NoError(t, err, "there is nothing to go on from")
	tokens, counted := sequences(1, 4)
	_, err = step.Run(t.Context(), batches(t, 32, 4, 2, tokens, counted))
	require.NoError(t, err)
	require.NoError(t, run.Stepped(map[string]int{"At": 7}))

	assert.NoError(t, begin("sft", config{0.1, 5}, []int{1, 2}, 1))
	for name, err := range map[string]error{
		`stage "sft"`:                   begin("reward", config{0.1, 5}, []int{1, 2}, 1),
		"differs in config field Rate:": begin("sft", config{0.2, 5}, []int{1, 2}, 1),
		"differs in the data:":          begin("sft", config{0.1, 5}, []int{2, 1}, 1),
		"differs in the start weights:": begin("sft", config{0.1, 5}, []int{1, 2}, 2),
		"config field steps, config field Rate, config field Steps": begin("sft", map[string]int{"steps": 5}, []int{1, 2}, 1),
	} {
		assert.ErrorIs(t, err, train.ErrOtherRun)
		assert.ErrorContains(t, err, name)
	}

	require.NoError(t, os.RemoveAll(filepath.Join(keep.Dir, "trainer")))
	assert.ErrorContains(t, begin("sft", config{0.1, 5}, []int{1, 2}, 1), "without trainer state", "somebody's model is not overwritten")
	assert.ErrorContains(t, train.Keep{Dir: "x"}.Validate(), "Keep.Every is 0")
}
