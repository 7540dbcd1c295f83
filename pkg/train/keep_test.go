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

// A checkpoint is gone on from by its own run only, and the error names what is different.
func TestKeepRefusesOtherRuns(t *testing.T) {
	type config struct {
		Rate  float64
		Steps int
	}
	p := tinyParams(tensor.Float32, 1)
	keep := train.Keep{Dir: filepath.Join(t.TempDir(), "run"), Every: 1}
	items := func(ids ...int32) func(*run.Digest) { return func(d *run.Digest) { d.Tokens(ids) } }
	begin := func(stage string, cfg any, seed uint64, ids ...int32) error {
		var position struct{ At int }
		q := tinyParams(tensor.Float32, seed)
		_, err := keep.Begin(stage, cfg, items(ids...), q, newStep(t, q, 32, 4, 1e-2), &position)
		if err == nil {
			assert.Equal(t, 7, position.At)
			assert.Equal(t, numbers(p), numbers(q))
		}
		return err
	}
	step := newStep(t, p, 32, 4, 1e-2)
	kept, err := keep.Begin("sft", config{0.1, 5}, items(1, 2), p, step, new(int))
	require.NoError(t, err, "there is nothing to go on from")
	tokens, counted := sequences(1, 4)
	_, err = step.Run(t.Context(), batches(t, 32, 4, 2, tokens, counted))
	require.NoError(t, err)
	require.NoError(t, kept.Stepped(map[string]int{"At": 7}))

	assert.NoError(t, begin("sft", config{0.1, 5}, 1, 1, 2))
	for name, err := range map[string]error{
		`(of stage "sft", this is "reward")`:           begin("reward", config{0.1, 5}, 1, 1, 2),
		"(config field rate was 0.1 and is 0.2)":       begin("sft", config{0.2, 5}, 1, 1, 2),
		"(it read other content of data)":              begin("sft", config{0.1, 5}, 1, 2, 1),
		"(it read other content of start weights)":     begin("sft", config{0.1, 5}, 2, 1, 2),
		"(config field rate was 0.1 and is not there)": begin("sft", map[string]int{"Steps": 5}, 1, 1, 2),
	} {
		assert.ErrorIs(t, err, run.ErrOtherRun)
		assert.ErrorContains(t, err, name)
	}

	require.NoError(t, os.RemoveAll(filepath.Join(keep.Dir, "trainer")))
	assert.ErrorContains(t, begin("sft", config{0.1, 5}, 1, 1, 2), "without trainer state", "somebody's model is not overwritten")
	assert.ErrorContains(t, train.Keep{Dir: "x"}.Validate(), "Keep.Every is 0")
}
