package train_test

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/ops"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/run"
	"github.com/tame-rlhf/tame/pkg/train"
	"github.com/tame-rlhf/tame/pkg/train/traintest"
)

// examples draws sequences to train on.
func examples(seed uint64, count int) []data.Example {
	tokens, counted := sequences(seed, count)
	list := make([]data.Example, count)
	for i := range list {
		list[i] = data.NewExample(tokens[i], counted[i])
	}
	return list
}

// task trains on batches of 4 of 12 examples, for two epochs of 3 steps.
func task(t *testing.T, s train.Settings, heldOut []data.Example) train.Task[data.Example] {
	t.Helper()
	list := examples(1, 12)
	source, err := train.NewEpochs(list, 4, s.Seed)
	require.NoError(t, err)
	return train.Task[data.Example]{
		Stage: "test", Config: s, Steps: 6, Source: source, HeldOut: heldOut,
		Data: run.Items((*run.Digest).Example, list), Digest: (*run.Digest).Example,
		Lengths: func(e data.Example) []int { return []int{len(e.Tokens)} },
		Add: func(r *data.Ragged, e data.Example) error {
			_, err := r.AppendExample(e)
			return err
		},
		Loss: func(g train.Graph) (train.Terms, error) { return nll(g.In, g.Trunk) },
	}
}

func settings() train.Settings {
	s := train.DefaultSettings(1e-2)
	s.MicroTokens, s.MicroSegments = 32, 4
	return s
}

// fitted trains a tiny model.
func fitted(t *testing.T, s train.Settings, heldOut []data.Example) (*model.Params, train.Report) {
	t.Helper()
	p := tinyParams(tensor.Float32, 1)
	report, err := train.Fit(t.Context(), p, task(t, s, heldOut), s)
	require.NoError(t, err)
	return p, report
}

// lossOf is the mean negative log-likelihood of examples, by a program of its own over one micro-batch.
func lossOf(t *testing.T, p *model.Params, list []data.Example) float64 {
	t.Helper()
	r := data.NewRagged(256, 32)
	for _, e := range list {
		_, err := r.AppendExample(e)
		require.NoError(t, err)
	}
	in := model.NewInputs(tensor.Float32, 256, 32)
	trunk, err := model.NewTrunk(in, p, "model")
	require.NoError(t, err)
	terms, err := nll(in, trunk)
	require.NoError(t, err)
	f, err := train.NewForward(in, []*gorgonia.Node{terms.Loss}, []*model.Trunk{trunk})
	require.NoError(t, err)
	out, err := f.Run(t.Context(), r)
	require.NoError(t, err)
	return float64(out[0][0])
}

// Evaluations are of the weights after their step, and the best one's weights are the result.
func TestFitEvaluates(t *testing.T) {
	heldOut := examples(7, 9) // drawn at random: training soon makes them worse
	s := settings()
	s.Optim.LearningRate, s.EvalEvery = 3e-2, 2
	p := tinyParams(tensor.Float32, 1)
	losses, after := map[int]float64{}, map[int][]float64{}
	s.OnStep = func(i train.StepInfo) {
		after[i.Step] = numbers(p)
		if loss, ok := i.Metrics["eval/loss"]; ok {
			losses[i.Step] = loss
			assert.InDelta(t, lossOf(t, p, heldOut), loss, 1e-5, "step %d", i.Step)
			assert.InDelta(t, -loss, i.Metrics["eval/logp"]/float64(countedIn(heldOut)), 1e-5)
		}
	}
	tk := task(t, s, heldOut)
	tk.Steps = 15
	report, err := train.Fit(t.Context(), p, tk, s)
	require.NoError(t, err)
	require.Len(t, losses, 8, "after steps 2, 4, ... 14 and the last one")
	require.Contains(t, losses, 15)
	best := 15
	for step, loss := range losses {
		if loss < losses[best] {
			best = step
		}
	}
	require.Less(t, best, 14, "the test needs a model that gets worse")
	assert.Equal(t, best, report.BestStep)
	assert.Equal(t, losses[best], report.HeldOut["loss"])
	assert.Equal(t, 15, report.Steps)
	assert.Equal(t, after[best], numbers(p))
	assert.Empty(t, report.Stopped)

	s.Patience, s.OnStep = 2, nil
	early, report := fittedLong(t, s, heldOut, 15)
	assert.Equal(t, best+4, report.Steps, "two evaluations that were not better")
	assert.Equal(t, "no better evaluation in 2", report.Stopped)
	assert.Equal(t, numbers(p), numbers(early))
}

func countedIn(list []data.Example) (n int) {
	for _, e := range list {
		for _, c := range e.Counted()[1:] {
			if c {
				n++
			}
		}
	}
	return n
}

func fittedLong(t *testing.T, s train.Settings, heldOut []data.Example, steps int) (*model.Params, train.Report) {
	t.Helper()
	p := tinyParams(tensor.Float32, 1)
	tk := task(t, s, heldOut)
	tk.Steps = steps
	report, err := train.Fit(t.Context(), p, tk, s)
	require.NoError(t, err)
	return p, report
}

// The weights of the best evaluation, custom ones included, are the result when later ones are worse, of a resumed run too.
func TestFitBestWeights(t *testing.T) {
	all := func(p *model.Params, extra []optim.Param) []float64 {
		list := numbers(p)
		for _, w := range extra {
			for _, x := range w.Value.Float32s() {
				list = append(list, float64(x))
			}
		}
		return list
	}
	after := map[int][]float64{}
	run := func(dir string, better int, stopAt int) ([]float64, train.Report) {
		s := settings()
		s.Optim.LearningRate, s.EvalEvery, s.ExtraWeights = 3e-2, 1, head()
		s.Checkpointing = train.Checkpointing{Dir: dir, Every: 100}
		p := tinyParams(tensor.Float32, 1)
		s.OnStep = func(i train.StepInfo) {
			after[i.Step] = all(p, s.ExtraWeights)
			if i.Step == stopAt {
				i.Stop("enough")
			}
		}
		tk := task(t, s, examples(7, 9))
		tk.Loss = headLoss
		tk.Better = func(now, best map[string]float64) bool { better--; return better >= 0 }
		report, err := train.Fit(t.Context(), p, tk, s)
		require.NoError(t, err)
		return all(p, s.ExtraWeights), report
	}
	got, report := run("", 2, 0) // after steps 1, 2 and 3
	assert.Equal(t, 3, report.BestStep)
	assert.Equal(t, after[3], got)
	assert.NotEqual(t, after[6], got)
	for better, want := range map[int]int{0: 3, 1: 6} {
		dir := filepath.Join(t.TempDir(), "run")
		got, report = run(dir, 2, 5)
		assert.Equal(t, after[3], got)
		assert.Equal(t, 5, report.Steps)
		got, report = run(dir, better, 0)
		assert.Equal(t, 6, report.Steps)
		assert.Equal(t, want, report.BestStep)
		assert.Equal(t, after[want], got)
	}
}

// A run that is cancelled within an evaluation does that evaluation again, and reports its step once.
func TestFitCancelledInEvaluation(t *testing.T) {
	heldOut := examples(7, 9)
	run := func(ctx context.Context, dir string, cancelAt int, cancel func()) (*model.Params, train.Report, []int, error) {
		s := settings()
		s.Optim.LearningRate, s.EvalEvery = 3e-2, 2
		s.Checkpointing = train.Checkpointing{Dir: dir, Every: 100}
		done := 0
		var reported []int
		s.OnStep = func(i train.StepInfo) {
			done = i.Step
			reported = append(reported, i.Step)
			_, evaluated := i.Metrics["eval/loss"]
			assert.Equal(t, i.Step%2 == 0, evaluated, "step %d", i.Step)
			assert.Contains(t, i.Metrics, "grad_norm")
		}
		tk := task(t, s, heldOut)
		tk.Lengths = func(e data.Example) []int {
			if &e.Tokens[0] == &heldOut[0].Tokens[0] && done+1 == cancelAt {
				cancel()
			}
			return []int{len(e.Tokens)}
		}
		p := tinyParams(tensor.Float32, 1)
		report, err := train.Fit(ctx, p, tk, s)
		return p, report, reported, err
	}
	want, report, _, err := run(t.Context(), "", 0, nil)
	require.NoError(t, err)
	for _, at := range []int{2, 4, 6} {
		dir := filepath.Join(t.TempDir(), "run")
		ctx, cancel := context.WithCancel(t.Context())
		_, _, before, err := run(ctx, dir, at, cancel)
		require.ErrorIs(t, err, context.Canceled)
		assert.ErrorContains(t, err, "evaluation after step ")
		p, again, after, err := run(t.Context(), dir, 0, nil)
		require.NoError(t, err)
		assert.Equal(t, []int{1, 2, 3, 4, 5, 6}, append(before, after...))
		assert.Equal(t, report, again)
		assert.Equal(t, numbers(want), numbers(p))
	}
}

// A checkpoint whose steps are not those of the run, or not those of its optimiser.
func TestFitRefusesPositions(t *testing.T) {
	s := settings()
	s.Checkpointing = train.Checkpointing{Dir: filepath.Join(t.TempDir(), "run"), Every: 4}
	resume := func() error {
		_, err := train.Fit(t.Context(), tinyParams(tensor.Float32, 1), task(t, s, nil), s)
		return err
	}
	require.NoError(t, resume())
	for want, change := range map[string]func(*train.Checkpoint){
		"step 6 of 6, best step 0, but the optimiser did 3": func(c *train.Checkpoint) { c.State.Step = 3 },
		"step 9 of 6": func(c *train.Checkpoint) {
			c.State.Step = 9
			c.State.Position = []byte(strings.Replace(string(c.State.Position), `"Steps": 6`, `"Steps": 9`, 1))
		},
	} {
		c, err := train.LoadCheckpoint(t.Context(), s.Checkpointing.Dir)
		require.NoError(t, err)
		before := *c
		change(c)
		require.NoError(t, train.SaveCheckpoint(s.Checkpointing.Dir, c))
		assert.ErrorContains(t, resume(), want)
		require.NoError(t, train.SaveCheckpoint(s.Checkpointing.Dir, &before))
	}
	assert.NoError(t, resume())
}

// A finished run is saved, whenever a checkpoint was due: its caller may be stopped before the result is safe.
func TestFitSavesTheEnd(t *testing.T) {
	s := settings()
	s.Checkpointing = train.Checkpointing{Dir: filepath.Join(t.TempDir(), "run"), Every: 100}
	want, report := fitted(t, s, nil)
	s.OnStep = func(i train.StepInfo) { t.Errorf("step %d is done again", i.Step) }
	got, again := fitted(t, s, nil)
	assert.Equal(t, report, again)
	assert.Equal(t, numbers(want), numbers(got))
}

// A task that decides by itself what is better.
func TestFitBetter(t *testing.T) {
	s := settings()
	s.EvalEvery = 1
	p := tinyParams(tensor.Float32, 1)
	tk := task(t, s, examples(7, 5))
	tk.Better = func(now, best map[string]float64) bool { return true } // the last one
	report, err := train.Fit(t.Context(), p, tk, s)
	require.NoError(t, err)
	assert.Equal(t, 6, report.BestStep)
}

// Frozen weights stay, have no moments, and do not change what the others do.
func TestFitFrozen(t *testing.T) {
	s := settings()
	s.Optim.MaxGradNorm = 0 // else the norm of fewer gradients is smaller
	free, _ := fittedLong(t, s, nil, 1)
	s.Frozen = []string{"embed", "layers.0.*"}
	s.Checkpointing = train.Checkpointing{Dir: filepath.Join(t.TempDir(), "run"), Every: 1}
	p, _ := fittedLong(t, s, nil, 1)
	start := tinyParams(tensor.Float32, 1)
	moved := 0
	for _, w := range p.All() {
		if w.Name == "embed" || w.Name[:min(9, len(w.Name))] == "layers.0." {
			assert.Equal(t, start.Get(w.Name).Value.Float32s(), w.Value.Float32s(), w.Name)
			continue
		}
		moved++
		assert.Equal(t, free.Get(w.Name).Value.Float32s(), w.Value.Float32s(), w.Name)
		assert.NotEqual(t, start.Get(w.Name).Value.Float32s(), w.Value.Float32s(), w.Name)
	}
	assert.Equal(t, 8, moved, "six of layer 1, norm, output")
	c, err := train.LoadCheckpoint(t.Context(), s.Checkpointing.Dir)
	require.NoError(t, err)
	assert.Len(t, c.Optim["model"].Moments, moved)

	for want, change := range map[string]func(*train.Settings){
		"Frozen[1] is layer.*, want a pattern that matches a weight":      func(s *train.Settings) { s.Frozen = []string{"embed", "layer.*"} },
		"LRFactors[0] is heads.*=2, want a pattern that matches a weight": func(s *train.Settings) { s.LRFactors = []train.LRFactor{{Pattern: "heads.*", Factor: 2}} },
		"all of its weights are frozen":                                   func(s *train.Settings) { s.Frozen = []string{"*"} },
		"EvalEvery is 3, want 0 without held-out items":                   func(s *train.Settings) { s.EvalEvery = 3 },
	} {
		bad := settings()
		change(&bad)
		q := tinyParams(tensor.Float32, 1)
		_, err := train.Fit(t.Context(), q, task(t, bad, nil), bad)
		assert.ErrorContains(t, err, want)
		assert.Equal(t, numbers(start), numbers(q))
	}
	bad := settings()
	bad.MinLRRatio, bad.Checkpointing.Dir = 2, "x"
	_, err = train.Fit(t.Context(), start, train.Task[data.Example]{}, bad)
	for _, want := range []string{
		"MinLRRatio is 2", "Checkpointing.Every is 0", "Task.Steps is 0", "Task.Source is <nil>", "Lengths, Add or Loss is <nil>",
	} {
		assert.ErrorContains(t, err, want)
	}
	s.Checkpointing = train.Checkpointing{}
	_, err = train.Fit(t.Context(), start, task(t, s, examples(2, 2)), s)
	assert.ErrorContains(t, err, "EvalEvery is 0, want at least 1 with held-out items")
}

// Adam's first step is the learning rate times the sign of the gradient, up to eps: with a factor it is that many times as far.
func TestFitLRFactors(t *testing.T) {
	s := settings()
	s.Optim.WeightDecay, s.Optim.Eps = 0, 1e-12
	start := tinyParams(tensor.Float32, 1)
	s.LRFactors = []train.LRFactor{{Pattern: "layers.1.*", Factor: 0.25}, {Pattern: "layers.*", Factor: 3}, {Pattern: "norm", Factor: 0}}
	p, _ := fittedLong(t, s, nil, 1)
	for name, factor := range map[string]float64{"output": 1, "layers.1.down": 0.25, "layers.0.down": 3, "norm": 0} {
		for i, x := range p.Get(name).Value.Float32s() {
			moved := math.Abs(float64(x - start.Get(name).Value.Float32s()[i]))
			if factor == 0 || moved > 0 { // a gradient of 0 moves nothing
				assert.InDelta(t, 1e-2*factor, moved, 1e-5, "%s[%d]", name, i)
			}
		}
	}
}

// A callback ends the run after its step.
func TestFitStop(t *testing.T) {
	s := settings()
	s.OnStep = func(i train.StepInfo) {
		if i.Step == 4 {
			i.Stop("out of time")
		}
	}
	p, report := fitted(t, s, nil)
	assert.Equal(t, 4, report.Steps)
	assert.Equal(t, "out of time", report.Stopped)
	s.OnStep = nil
	straight := tinyParams(tensor.Float32, 1)
	four := task(t, s, nil)
	ctx, cancel := context.WithCancel(t.Context())
	s.OnStep = func(i train.StepInfo) {
		if i.Step == 4 {
			cancel()
		}
	}
	_, err := train.Fit(ctx, straight, four, s)
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, numbers(straight), numbers(p))
	train.StepInfo{}.Stop("outside of a run nothing happens")
}

// head is a custom head of zeros on the hidden states.
func head() []optim.Param {
	zeros := func(shape ...int) *tensor.Dense {
		return tensor.New(tensor.Of(tensor.Float32), tensor.WithShape(shape...))
	}
	return []optim.Param{{Name: "head.weight", Value: zeros(1, tiny().Dim), Decay: true}, {Name: "head.bias", Value: zeros(1)}}
}

// headLoss teaches the head to say 2 on every counted slot, beside the likelihood.
func headLoss(g train.Graph) (train.Terms, error) {
	terms, err := nll(g.In, g.Trunk)
	if err != nil {
		return terms, err
	}
	score, err := ops.ScalarHead(g.Trunk.Hidden, g.Extra["head.weight"], g.Extra["head.bias"], g.In.Layout)
	if err != nil {
		return terms, err
	}
	x := ops.Expr(g.In.G)
	miss := x.MaskedMean(x.Square(x.Sub(score, x.Const(2, score))), g.In.Mask, g.In.Scalar(train.ScalarTokens))
	return train.Terms{Loss: x.Add(terms.Loss, miss), Metrics: []train.Metric{{Name: "miss", Value: miss}}}, x.Err()
}

// Held-out items that do not fit into a micro-batch are reported before the first step.
func TestFitHeldOutTooLong(t *testing.T) {
	s := settings()
	s.EvalEvery = 2
	s.OnStep = func(train.StepInfo) { t.Error("a step") }
	long := data.NewExample(make([]int32, 33), make([]bool, 33))
	_, err := train.Fit(t.Context(), tinyParams(tensor.Float32, 1), task(t, s, []data.Example{long}), s)
	assert.ErrorContains(t, err, "held-out item 0: data: sequence has 33 tokens, the budget of a micro-batch is 32")
}

// A checkpoint has no NaN, which a metric of a custom loss may be, and no file of custom weights if there are none.
func TestFitCheckpointsNaN(t *testing.T) {
	s := settings()
	s.EvalEvery = 2
	s.Checkpointing = train.Checkpointing{Dir: filepath.Join(t.TempDir(), "checkpoint"), Every: 1}
	tk := task(t, s, examples(7, 3))
	tk.Loss = func(g train.Graph) (train.Terms, error) {
		terms, err := nll(g.In, g.Trunk)
		x := ops.Expr(g.In.G)
		terms.Metrics = append(terms.Metrics, train.Metric{Name: "accuracy", Value: x.Log(x.Neg(terms.Loss))})
		return terms, errors.Join(err, x.Err())
	}
	report, err := train.Fit(t.Context(), tinyParams(tensor.Float32, 1), tk, s)
	require.NoError(t, err)
	assert.Zero(t, report.Accuracy)
	files, err := filepath.Glob(filepath.Join(s.Checkpointing.Dir, "further.safetensors"))
	require.NoError(t, err)
	assert.Empty(t, files)
}

// Views have numbers in another order than their shape says.
func TestFitRefusesViews(t *testing.T) {
	s := settings()
	view := tensor.New(tensor.WithShape(2, 3), tensor.Of(tensor.Float32))
	require.NoError(t, view.T())
	s.ExtraWeights = []optim.Param{{Name: "view", Value: view}}
	_, err := train.Fit(t.Context(), tinyParams(tensor.Float32, 1), task(t, s, nil), s)
	assert.ErrorContains(t, err, `custom weight "view": model: add: "view" is empty or a view`)
}

// Custom weights are trained, saved, restored and follow the best evaluation.
func TestFitExtraWeights(t *testing.T) {
	s := settings()
	s.Optim.LearningRate, s.Optim.WeightDecay = 3e-2, 0
	s.ExtraWeights = head()
	s.LRFactors = []train.LRFactor{{Pattern: "head.*", Factor: 2}}
	tk := task(t, s, nil)
	tk.Loss, tk.Steps = headLoss, 60
	var misses []float64
	s.OnStep = func(i train.StepInfo) { misses = append(misses, i.Metrics["miss"]) }
	p := tinyParams(tensor.Float32, 1)
	_, err := train.Fit(t.Context(), p, tk, s)
	require.NoError(t, err)
	assert.Nil(t, p.Get("head.weight"), "the model itself gets no further weights")
	assert.InDelta(t, 4, misses[0], 1e-6, "a head of zeros misses 2 by 2")
	assert.Less(t, misses[59], 0.2)

	s = settings()
	s.ExtraWeights = append(head(), optim.Param{Name: "embed", Value: head()[0].Value})
	tk.Config = s
	_, err = train.Fit(t.Context(), tinyParams(tensor.Float32, 1), tk, s)
	assert.ErrorContains(t, err, `custom weight "embed": model: add: the name "embed" is that of another weight`)

	for name, evalEvery := range map[string]int{"plain": 0, "evaluation": 2} {
		t.Run(name, func(t *testing.T) {
			trained := func(ctx context.Context, run traintest.Run, start float32) ([]float32, any, error) {
				s := settings()
				s.Optim.LearningRate, s.EvalEvery = 1e-1, evalEvery
				s.ExtraWeights = head()
				s.ExtraWeights[1].Value.Float32s()[0] = start
				var heldOut []data.Example
				if evalEvery > 0 {
					heldOut = examples(7, 9)
				}
				tk := task(t, s, heldOut)
				tk.Loss = headLoss
				s.Checkpointing, s.OnStep = run.Checkpointing, run.OnStep
				p := tinyParams(tensor.Float32, 1)
				report, err := train.Fit(ctx, p, tk, s)
				all := slices.Concat(s.ExtraWeights[0].Value.Float32s(), s.ExtraWeights[1].Value.Float32s())
				for _, x := range numbers(p) {
					all = append(all, float32(x))
				}
				return all, report, err
			}
			traintest.Check(t, traintest.Stage{
				Name: "test",
				Train: func(ctx context.Context, run traintest.Run) ([]float32, any, error) {
					return trained(ctx, run, 0)
				},
				Others: map[string]func(context.Context, traintest.Run) error{
					"other content of start weights": func(ctx context.Context, run traintest.Run) error {
						_, _, err := trained(ctx, run, 1) // another head
						return err
					},
				},
			})
		})
	}
}
