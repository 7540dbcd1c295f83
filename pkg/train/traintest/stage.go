// Package traintest tests a training stage, tame's or a custom one: that it resumes with the same
// bits, refuses the checkpoint of another run, reports its progress, and leaves things as they were
// when it fails.
//
//	traintest.Check(t, traintest.Stage{
//		Name:  "sft",
//		Train: func(ctx context.Context, run traintest.Run) ([]float32, any, error) {
//			p, cfg := tinyModel(), tinyConfig() // the same ones every time
//			cfg.Checkpointing, cfg.OnStep = run.Checkpointing, run.OnStep
//			report, err := sft.Train(ctx, p, examples, nil, cfg)
//			return numbers(p), report, err
//		},
//	})
package traintest

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/run"
	"github.com/tame-rlhf/tame/pkg/train"
)

// Stage is a stage to test, with a small model and at least three steps.
type Stage struct {
	// Name is what StepInfo.Stage is.
	Name string
	// Train makes new weights, always the same ones, and trains them. It returns them, all in one
	// slice, whether training has failed or not, and the stage's report.
	Train func(ctx context.Context, run Run) (weights []float32, report any, err error)
	// Others are runs that Train's checkpoints do not belong to, by what the error says about the
	// difference: "config field seed", "other content of data", "other content of start weights".
	Others map[string]func(ctx context.Context, run Run) error
}

// Run is what a test decides about a run of a stage.
type Run struct {
	Checkpointing train.Checkpointing
	OnStep        func(train.StepInfo)
}

// every is the number of steps between checkpoints.
const every = 2

// Check runs all tests.
func Check(t *testing.T, s Stage) {
	weights, report, steps := straight(t, s)
	t.Run("resumes", func(t *testing.T) {
		for at := 1; at < steps; at++ {
			for _, how := range []string{"cancelled", "killed", "stopped"} {
				dir := filepath.Join(t.TempDir(), "run")
				saved := s.interrupt(t, dir, at, how)
				var resumed []int
				got, again, err := s.Train(t.Context(), Run{checkpointing(dir), func(i train.StepInfo) { resumed = append(resumed, i.Step) }})
				require.NoError(t, err, "%s at step %d", how, at)
				assert.Equal(t, report, again, "%s at step %d", how, at)
				assert.Equal(t, weights, got, "%s at step %d", how, at)
				require.NotEmpty(t, resumed)
				assert.Equal(t, saved+1, resumed[0], "%s at step %d: it resumes where it was", how, at)
				assert.Equal(t, steps, resumed[len(resumed)-1])
			}
		}
	})
	t.Run("refuses other runs", s.refuses)
	t.Run("fails without a trace", s.fails)
}

// straight runs the stage without a stop.
func straight(t *testing.T, s Stage) (weights []float32, report any, steps int) {
	t.Helper()
	var infos []train.StepInfo
	weights, report, err := s.Train(t.Context(), Run{OnStep: func(i train.StepInfo) { infos = append(infos, i) }})
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(infos), 3, "steps")
	for k, i := range infos {
		assert.Equal(t, s.Name, i.Stage)
		assert.Equal(t, k+1, i.Step)
		assert.Equal(t, len(infos), i.Total)
		assert.NotEmpty(t, i.Metrics)
	}
	again, _, err := s.Train(t.Context(), Run{})
	require.NoError(t, err)
	require.Equal(t, weights, again, "the same run gives the same bits")
	return weights, report, len(infos)
}

func checkpointing(dir string) train.Checkpointing {
	return train.Checkpointing{Dir: dir, Every: every}
}

// interrupt ends a run after that step, and returns the step of the checkpoint that it leaves.
func (s Stage) interrupt(t *testing.T, dir string, at int, how string) (saved int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	run := Run{checkpointing(dir), func(i train.StepInfo) {
		switch {
		case i.Step < at:
		case how == "killed":
			panic(how)
		case how == "stopped":
			i.Stop("enough")
		default:
			cancel()
		}
	}}
	switch how {
	case "killed":
		assert.PanicsWithValue(t, how, func() { _, _, _ = s.Train(ctx, run) })
		return (at - 1) / every * every
	case "stopped":
		_, _, err := s.Train(ctx, run)
		assert.NoError(t, err)
		return at
	}
	_, _, err := s.Train(ctx, run)
	assert.ErrorIs(t, err, context.Canceled)
	return at
}

// refuses wants an error for the checkpoints of other runs, which stay as they were.
func (s Stage) refuses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	s.interrupt(t, dir, every, "stopped")
	before := files(t, dir)
	for difference, other := range s.Others {
		err := other(t.Context(), Run{Checkpointing: checkpointing(dir)})
		assert.ErrorIs(t, err, run.ErrOtherRun, difference)
		assert.ErrorContains(t, err, difference)
	}
	assert.Equal(t, before, files(t, dir), "the checkpoint stays as it was")

	require.NoError(t, os.RemoveAll(filepath.Join(dir, "trainer")))
	before = files(t, dir)
	_, _, err := s.Train(t.Context(), Run{Checkpointing: checkpointing(dir)})
	assert.ErrorContains(t, err, "without trainer state")
	assert.Equal(t, before, files(t, dir), "a model without trainer state is not overwritten")
}

// fails wants the start weights after a run that could not begin.
func (s Stage) fails(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	reported := 0
	run := Run{OnStep: func(train.StepInfo) { reported++ }}
	start, _, err := s.Train(ctx, run)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Zero(t, reported, "no step was done")

	run.Checkpointing = train.Checkpointing{Dir: filepath.Join(t.TempDir(), "run"), Every: -1}
	same, _, err := s.Train(t.Context(), run)
	assert.ErrorContains(t, err, "Checkpointing.Every is -1, want at least 1")
	assert.Equal(t, start, same)
	assert.NoDirExists(t, run.Checkpointing.Dir)
}

// files are the contents of all files in a folder, by name.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		all[path] = string(raw)
		return err
	}))
	return all
}
