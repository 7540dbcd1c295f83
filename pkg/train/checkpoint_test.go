package train_test

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/train"
)

// draw picks micro-batches at random, so that resuming needs the random state too.
func draw(t *testing.T, rng *rand.Rand) []*data.Ragged {
	tokens, counted := sequences(rng.Uint64(), 4)
	return batches(t, 32, 4, 2, tokens, counted)
}

// Six steps are three steps, a checkpoint, and three steps: bit for bit.
func TestResumeGoesOnWithTheSameBits(t *testing.T) {
	ctx := context.Background()
	run := func(step *train.Step, rng *rand.Rand, count int) train.Result {
		var r train.Result
		var err error
		for range count {
			r, err = step.Run(ctx, draw(t, rng))
			require.NoError(t, err)
		}
		return r
	}
	straight := tinyParams(tensor.Float32, 1)
	want := run(newStep(t, straight, 32, 4, 1e-2), rand.New(rand.NewPCG(9, 9)), 6)

	source := rand.NewPCG(9, 9)
	first := tinyParams(tensor.Float32, 1)
	step := newStep(t, first, 32, 4, 1e-2)
	r := run(step, rand.New(source), 3)
	state, err := source.MarshalBinary()
	require.NoError(t, err)
	c := &train.Checkpoint{
		Params: first,
		State: train.State{
			Stage: "sft", Position: []byte(`{"epoch":1,"next":12}`), Rand: map[string][]byte{"data": state},
			Metrics: map[string]float64{"loss": r.Loss, "empty": math.NaN()},
		},
		WriteFiles: func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "tokenizer.model"), []byte("pieces"), 0o644)
		},
	}
	step.Checkpoint(c)
	dir := filepath.Join(t.TempDir(), "checkpoint")
	require.NoError(t, train.SaveCheckpoint(dir, c))
	require.NoError(t, train.SaveCheckpoint(dir, c), "in the place of the old one")

	got, err := train.LoadCheckpoint(t.Context(), dir)
	require.NoError(t, err)
	assert.Equal(t, "sft", got.State.Stage)
	assert.Equal(t, 3, got.State.Step)
	assert.JSONEq(t, `{"epoch":1,"next":12}`, string(got.State.Position))
	assert.Equal(t, map[string]float64{"loss": r.Loss}, got.State.Metrics)
	raw, err := os.ReadFile(filepath.Join(dir, "tokenizer.model"))
	require.NoError(t, err)
	assert.Equal(t, "pieces", string(raw))

	resumedSource := &rand.PCG{}
	require.NoError(t, resumedSource.UnmarshalBinary(got.State.Rand["data"]))
	resumed := newStep(t, got.Params, 32, 4, 1e-2)
	require.NoError(t, resumed.Restore(got))
	assert.Equal(t, 3, resumed.Done())
	last := run(resumed, rand.New(resumedSource), 3)

	assert.Equal(t, numbers(straight), numbers(got.Params))
	assert.Equal(t, want, last)
}

func TestCheckpointOfSeveralModels(t *testing.T) {
	p, critic := tinyParams(tensor.Float32, 1), tinyParams(tensor.Float32, 2)
	critic.AddHead(rand.New(rand.NewPCG(1, 2)))
	critic.DropOutput()
	c := &train.Checkpoint{Params: p, Models: map[string]*model.Params{"critic": critic}}
	dir := filepath.Join(t.TempDir(), "checkpoint")
	require.NoError(t, train.SaveCheckpoint(dir, c))
	got, err := train.LoadCheckpoint(t.Context(), dir)
	require.NoError(t, err)
	assert.Equal(t, numbers(p), numbers(got.Params))
	assert.Equal(t, numbers(critic), numbers(got.Models["critic"]))
	assert.Empty(t, got.Optim)

	// Another network than the checkpoint's.
	step := newStep(t, got.Params, 32, 4, 1e-2)
	assert.ErrorContains(t, step.Restore(got), `no optimiser state of network "policy"`)
	got.Optim["policy"] = optim.State{Steps: 2}
	assert.ErrorContains(t, step.Restore(got), `network "policy": optim: state has no moments of "embed"`)
}

func TestCheckpointRefuses(t *testing.T) {
	p := tinyParams(tensor.Float32, 1)
	dir := filepath.Join(t.TempDir(), "checkpoint")
	double := tensor.New(tensor.WithShape(1), tensor.WithBacking([]float64{0}))
	for want, c := range map[string]*train.Checkpoint{
		"Params is nil":                {},
		"Params is float64":            {Params: tinyParams(tensor.Float64, 1)},
		`model "../x" is no file name`: {Params: p, Models: map[string]*model.Params{"../x": p}},
		"model critic is nil":          {Params: p, Models: map[string]*model.Params{"critic": nil}},
		`network "" is no file name`:   {Params: p, Optim: map[string]optim.State{"": {}}},
		"moments of policy/w are":      {Params: p, Optim: map[string]optim.State{"policy": {Moments: []optim.Moment{{Name: "w", M: double, V: double}}}}},
	} {
		assert.ErrorContains(t, train.SaveCheckpoint(dir, c), want)
	}
	assert.NoDirExists(t, dir)

	// A save that fails leaves the old checkpoint.
	require.NoError(t, train.SaveCheckpoint(dir, &train.Checkpoint{Params: p, State: train.State{Step: 7}}))
	boom := errors.New("disk full")
	err := train.SaveCheckpoint(dir, &train.Checkpoint{Params: p, WriteFiles: func(string) error { return boom }})
	assert.ErrorIs(t, err, boom)
	got, err := train.LoadCheckpoint(t.Context(), dir)
	require.NoError(t, err)
	assert.Equal(t, 7, got.State.Step)

	// A file that is not of it, and older formats, which had no SHA256SUMS.
	extra := filepath.Join(dir, "notes.txt")
	require.NoError(t, os.WriteFile(extra, nil, 0o644))
	_, err = train.LoadCheckpoint(t.Context(), dir)
	assert.ErrorContains(t, err, "has files that are not of it: move them away: notes.txt")
	require.NoError(t, os.Remove(extra))
	require.NoError(t, os.Remove(filepath.Join(dir, "SHA256SUMS")))
	_, err = train.LoadCheckpoint(t.Context(), dir)
	assert.ErrorContains(t, err, "it has lost its SHA256SUMS")
	state := filepath.Join(dir, "trainer", "state.json")
	for _, format := range []string{"99", "2"} {
		require.NoError(t, os.WriteFile(state, []byte(`{"format":`+format+`}`), 0o644))
		_, err = train.LoadCheckpoint(t.Context(), dir)
		assert.ErrorContains(t, err, "has format "+format+", this version reads 3: resume it with the version of tame that wrote it")
	}
	require.NoError(t, os.WriteFile(state, []byte(`{`), 0o644))
	_, err = train.LoadCheckpoint(t.Context(), dir)
	assert.ErrorContains(t, err, "state.json")
	require.NoError(t, os.Remove(state))
	_, err = train.LoadCheckpoint(t.Context(), dir)
	assert.ErrorContains(t, err, "a model without trainer state")
	assert.ErrorIs(t, err, fs.ErrNotExist)
	_, err = train.LoadCheckpoint(t.Context(), filepath.Join(dir, "nowhere"))
	assert.ErrorIs(t, err, fs.ErrNotExist)
}

// A disk that is full when the optimiser, or the state behind it, is written: the old checkpoint stays, and nothing is left
// beside it. /dev/full is such a disk. (What of the model does not fit is tested in pkg/model.)
func TestFullDiskKeepsTheOldCheckpoint(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("this system has no /dev/full")
	}
	tokens, counted := sequences(1, 4)
	p := tinyParams(tensor.Float32, 1)
	step := newStep(t, p, 32, 4, 1e-2)
	dir := filepath.Join(t.TempDir(), "checkpoint")
	c := &train.Checkpoint{Params: p}
	save := func() error {
		_, err := step.Run(context.Background(), batches(t, 32, 4, 2, tokens, counted))
		require.NoError(t, err)
		step.Checkpoint(c)
		return train.SaveCheckpoint(dir, c)
	}
	require.NoError(t, save())
	want := numbers(p)
	for _, file := range []string{"policy.adamw.safetensors", "state.json"} {
		c.WriteFiles = func(tmp string) error {
			if err := os.Mkdir(filepath.Join(tmp, "trainer"), 0o755); err != nil {
				return err
			}
			return os.Symlink("/dev/full", filepath.Join(tmp, "trainer", file))
		}
		err := save()
		assert.ErrorIs(t, err, syscall.ENOSPC)
		assert.ErrorContains(t, err, file)
		got, err := train.LoadCheckpoint(t.Context(), dir)
		require.NoError(t, err)
		assert.Equal(t, want, numbers(got.Params))
		assert.Equal(t, 1, got.State.Step)
		beside, err := os.ReadDir(filepath.Dir(dir))
		require.NoError(t, err)
		assert.Len(t, beside, 1)
	}
}
