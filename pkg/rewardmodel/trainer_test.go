package rewardmodel

import (
	"context"
	"math"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/ops"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/train"
)

// Section 3.2.2: 3 % of the steps, but at least 5.
func TestWarmup(t *testing.T) {
	cfg := DefaultConfig()
	for total, want := range map[int]int{1: 5, 4: 5, 5: 5, 100: 5, 166: 5, 200: 6, 1000: 30} {
		assert.Equal(t, want, cfg.warmup(total), "%d steps", total)
	}
	cfg.MinWarmupSteps = 0
	assert.Equal(t, 3, cfg.warmup(100))
	assert.Equal(t, 0, cfg.warmup(10))
}

// The values of section 3.2.2. The safety model differs in one: the weight of its auxiliary loss, which is this package's choice.
func TestPaperValues(t *testing.T) {
	c := DefaultConfig()
	assert.Equal(t, optim.Config{LearningRate: 1e-5, Beta1: 0.9, Beta2: 0.95, Eps: 1e-5, WeightDecay: 0.1, MaxGradNorm: 1}, c.Optim)
	assert.Equal(t, []float64{0.1, 0.03}, []float64{c.MinLRRatio, c.WarmupRatio})
	assert.Equal(t, []int{5, 1, 512}, []int{c.MinWarmupSteps, c.Epochs, c.BatchSize})
	assert.Equal(t, Margins{Significantly: 3, Better: 2, Slightly: 1}, c.Margins)
	assert.Zero(t, c.SafetyWeight)
	assert.Equal(t, 1.0, SafetyConfig().SafetyWeight)
	c.SafetyWeight = 1
	assert.Equal(t, c, SafetyConfig())
}

// Every epoch sees all pairs, each in an order of its own: that of the key that resumed runs rely on.
func TestOrderOfEpochs(t *testing.T) {
	const n = 8
	pairs := make([]data.Pair, n) // pair i has i+3 tokens
	for i := range pairs {
		pairs[i] = data.Pair{Prompt: []int32{1}, Chosen: make([]int32, i+1), Rejected: []int32{3}}
	}
	cfg := tinyConfig()
	cfg.BatchSize, cfg.Epochs, cfg.Seed = 1, 3, 5
	var visited []int
	var rates []float64
	before := 0.0
	cfg.OnStep = func(s train.StepInfo) {
		visited = append(visited, int(s.Metrics["num_tokens"]-before)-3)
		before = s.Metrics["num_tokens"]
		rates = append(rates, s.Metrics["learning_rate"])
	}
	_, err := Train(t.Context(), tinyModel(t), pairs, nil, cfg)
	require.NoError(t, err)
	var want []int
	for epoch := range 3 {
		want = append(want, data.Shuffled(n, 5, epoch)...)
	}
	assert.Equal(t, want, visited)
	assert.NotEqual(t, visited[:n], visited[n:2*n])
	assert.NotEqual(t, visited[n:2*n], visited[2*n:])
	for k := 5; k < 3*n; k++ { // after the warm-up the rate falls over all epochs
		assert.InDelta(t, 1e-2*(0.1+0.9*(1+math.Cos(math.Pi*float64(k-5)/(3*n-5)))/2), rates[k], 1e-12, "step %d", k)
	}
}

// The gradient is clipped: with a norm of 1e-9 Adam's eps of 1e-5 is all that counts, and a step moves no weight by more than
// the rate times their ratio.
func TestGradientIsClipped(t *testing.T) {
	moved := func(norm float64) (most float64) {
		cfg := tinyConfig()
		cfg.Optim.MaxGradNorm, cfg.Optim.WeightDecay = norm, 0
		p := tinyModel(t)
		before := numbers(p)
		_, err := Train(t.Context(), p, tastes(1, 16), nil, cfg)
		require.NoError(t, err)
		for i, x := range numbers(p) {
			most = max(most, math.Abs(float64(x-before[i])))
		}
		return most
	}
	assert.Less(t, moved(1e-9), 1.1e-6) // 1e-2 * 1e-9 / 1e-5, and rounding
	assert.Greater(t, moved(1), 1e-3)
}

// A reward model learns to tell two kinds of answers apart that it has not seen.
func TestTrainSeparates(t *testing.T) {
	p := tinyModel(t)
	scorer, err := NewScorer(p, 256, 32)
	require.NoError(t, err)
	heldOut := tastes(2, 100)
	before, err := Evaluate(context.Background(), scorer, heldOut)
	require.NoError(t, err)
	require.Less(t, before.Accuracy.Rate(), 0.8)

	cfg := tinyConfig()
	var steps []train.StepInfo
	cfg.OnStep = func(s train.StepInfo) { steps = append(steps, s) }
	report, err := Train(context.Background(), p, tastes(1, 320), nil, cfg)
	require.NoError(t, err)
	after, err := Evaluate(context.Background(), scorer, heldOut)
	require.NoError(t, err)
	assert.Greater(t, after.Accuracy.Rate(), 0.95)

	require.Len(t, steps, 20)
	assert.Equal(t, 20, report.Steps)
	assert.Equal(t, report.Loss, steps[19].Metrics["loss"])
	assert.Equal(t, report.Accuracy, steps[19].Metrics["accuracy"])
	assert.Equal(t, float64(report.Tokens), steps[19].Metrics["num_tokens"])
	assert.Less(t, report.Loss, steps[0].Metrics["loss"]/2)
	assert.Greater(t, report.Accuracy, 0.8)
	assert.InDelta(t, 1, steps[19].Metrics["epoch"], 1e-12)
	assert.InDelta(t, 0.05, steps[0].Metrics["epoch"], 1e-12)
	for i, want := range []float64{0.2, 0.4, 0.6, 0.8, 1, 1} { // warm-up, then the cosine from its peak
		assert.InDelta(t, want*1e-2, steps[i].Metrics["learning_rate"], 1e-12, "step %d", i)
	}
	last := steps[19].Metrics["learning_rate"]
	assert.Greater(t, last, 1e-3)
	assert.Less(t, last, 1.2e-3)
}

// With the auxiliary loss scores get a meaning of their own: below 0 is unsafe.
func TestTrainSafety(t *testing.T) {
	label := func(pairs []data.Pair) []data.Pair {
		for i := range pairs {
			pairs[i].ChosenSafe, pairs[i].RejectedSafe = data.Safe, data.Unsafe
		}
		return pairs
	}
	cfg := tinyConfig()
	cfg.SafetyWeight = SafetyConfig().SafetyWeight
	p := tinyModel(t)
	_, err := Train(context.Background(), p, label(tastes(1, 320)), nil, cfg)
	require.NoError(t, err)
	scorer, err := NewScorer(p, 256, 32)
	require.NoError(t, err)
	e, err := Evaluate(context.Background(), scorer, label(tastes(2, 100)))
	require.NoError(t, err)
	assert.Equal(t, 100, e.UnsafeRecall.N)
	assert.Greater(t, e.UnsafeRecall.Rate(), 0.9)
	assert.Greater(t, e.UnsafePrecision.Rate(), 0.9)
}

// Micro-batches are a matter of memory: the pairs of a step may be cut as one likes.
func TestMicroBatchesDoNotMatter(t *testing.T) {
	var want []float32
	for i, micro := range [][2]int{{256, 32}, {20, 2}, {60, 12}} {
		cfg := tinyConfig()
		cfg.SafetyWeight = 1
		cfg.MicroTokens, cfg.MicroSegments = micro[0], micro[1]
		p := tinyModel(t)
		pairs := tastes(3, 32)
		for k := range pairs {
			pairs[k].ChosenSafe = data.Safety(k % 3)
		}
		_, err := Train(context.Background(), p, pairs, nil, cfg)
		require.NoError(t, err)
		if i == 0 {
			want = numbers(p)
		}
		assert.InDeltaSlice(t, want, numbers(p), 1e-5, "%v", micro)
	}
}

func TestTrainRefuses(t *testing.T) {
	ctx := context.Background()
	good := data.Pair{Prompt: []int32{1}, Chosen: []int32{2}, Rejected: []int32{3}}
	for want, bad := range map[string]data.Pair{
		"pair 1 has 17 tokens, the model's context is 16": {Prompt: make([]int32, 10), Chosen: []int32{2}, Rejected: make([]int32, 7)},
		"pair 1: model: ":                         {Prompt: []int32{1}, Chosen: []int32{2}, Rejected: []int32{1 << 20}},
		"pair 1: prompt or answer without tokens": {Prompt: []int32{1}, Chosen: []int32{2}},
	} {
		_, err := Train(ctx, tinyModel(t), []data.Pair{good, bad}, nil, tinyConfig())
		assert.ErrorContains(t, err, want)
	}
	_, err := Train(ctx, tinyModel(t), nil, nil, tinyConfig())
	assert.ErrorIs(t, err, data.ErrEmpty)
	_, err = Train(ctx, nil, []data.Pair{good}, nil, tinyConfig())
	assert.ErrorContains(t, err, "the model is nil")

	p := tinyModel(t)
	p.DropHead()
	_, err = Train(ctx, p, []data.Pair{good}, nil, tinyConfig())
	assert.ErrorContains(t, err, "AddHead")

	cfg := tinyConfig()
	cfg.MicroTokens, cfg.MicroSegments = 10, 2
	long := data.Pair{Prompt: make([]int32, 9), Chosen: []int32{2}, Rejected: []int32{3}} // the prompt counts once
	_, err = Train(ctx, tinyModel(t), []data.Pair{good, long}, nil, cfg)
	assert.ErrorIs(t, err, data.ErrTooLong)
	cfg.MicroTokens = 11
	_, err = Train(ctx, tinyModel(t), []data.Pair{good, long}, nil, cfg)
	assert.NoError(t, err, "11 tokens, because the prompt counts once")

	cfg = tinyConfig()
	cfg.Epochs, cfg.MicroSegments, cfg.SafetyWeight = 0, 31, -1
	err = cfg.Validate()
	for _, field := range []string{"Epochs is 0", "MicroSegments is 31", "SafetyWeight is -1"} {
		assert.ErrorContains(t, err, field)
	}
	assert.NoError(t, DefaultConfig().Validate())
	assert.NoError(t, SafetyConfig().Validate())
}

// A context that ends leaves the weights of the last finished step.
func TestCancel(t *testing.T) {
	p := tinyModel(t)
	ctx, cancel := context.WithCancel(context.Background())
	var finished []float32
	cfg := tinyConfig()
	cfg.OnStep = func(s train.StepInfo) {
		if s.Step == 2 {
			finished = numbers(p)
			cancel()
		}
	}
	report, err := Train(ctx, p, tastes(1, 80), nil, cfg)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, 2, report.Steps)
	assert.Equal(t, finished, numbers(p))
}

// The first step's loss is that of the untrained model's scores, with the margins and labels of the pairs.
func TestFirstLoss(t *testing.T) {
	p := tinyModel(t)
	pairs := tastes(4, 9)
	for i := range pairs {
		pairs[i].ChosenSafe, pairs[i].RejectedSafe = data.Safety(i%3), data.Safety((i+i/3)%3)
	}
	scorer, err := NewScorer(p, 256, 32)
	require.NoError(t, err)
	ranking, safety := 0.0, 0.0
	logSigmoid := func(s float64) float64 { return -math.Log1p(math.Exp(-s)) }
	for _, pair := range pairs {
		s := score(t, scorer, [][]int32{slices.Concat(pair.Prompt, pair.Chosen), slices.Concat(pair.Prompt, pair.Rejected)})
		ranking -= logSigmoid(s[0]-s[1]-SmallMargin.Of(pair.Rating)) / 9
		for k, label := range []data.Safety{pair.ChosenSafe, pair.RejectedSafe} {
			switch label {
			case data.Safe:
				safety -= logSigmoid(s[k]) / 9
			case data.Unsafe:
				safety -= logSigmoid(-s[k]) / 9
			}
		}
	}
	for _, c := range []struct{ set, want float64 }{
		{DefaultConfig().SafetyWeight, ranking},
		{0.5, ranking + 0.5*safety},
		{SafetyConfig().SafetyWeight, ranking + safety},
	} {
		cfg := tinyConfig()
		cfg.Margins, cfg.SafetyWeight = SmallMargin, c.set
		report, err := Train(context.Background(), tinyModel(t), pairs, nil, cfg)
		require.NoError(t, err)
		assert.Equal(t, 1, report.Steps)
		assert.InDelta(t, c.want, report.Loss, 1e-6, "weight %v", c.set)
	}
}

// A loss of one's own takes the place of RankingLoss.
func TestCustomLoss(t *testing.T) {
	p := tinyModel(t)
	cfg := tinyConfig()
	cfg.Loss = func(in LossInputs) (Terms, error) {
		x := ops.Expr(in.Chosen.Graph())
		return Terms{Loss: x.MaskedMean(x.Square(x.Sub(in.Chosen, x.Const(3, in.Chosen))), in.PairMask, in.Pairs)}, x.Err()
	}
	_, err := Train(context.Background(), p, tastes(1, 480), nil, cfg)
	require.NoError(t, err)
	scorer, err := NewScorer(p, 256, 32)
	require.NoError(t, err)
	for _, s := range score(t, scorer, sequencesOf(tastes(2, 10))) {
		assert.InDelta(t, 3, s, 0.5)
	}
}

// Branches do not make a step allocate.
func TestStepAllocatesNothing(t *testing.T) {
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("the race detector makes pools forget")
	}
	cfg := tinyConfig()
	step, err := newStep(tinyModel(t), cfg, 100)
	require.NoError(t, err)
	r := data.NewRagged(cfg.MicroTokens, cfg.MicroSegments)
	for _, pair := range tastes(1, 8) {
		require.NoError(t, appendPair(r, pair, cfg.Margins))
	}
	require.Positive(t, r.Shared[1])
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection empties the kernels' pools
	micro := []*data.Ragged{r, r}
	run := func() {
		_, err = step.Run(context.Background(), micro)
	}
	for range 3 {
		run()
	}
	assert.Zero(t, testing.AllocsPerRun(20, run))
	assert.NoError(t, err)
}
