package train_test

import (
	"context"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/ops"
	"github.com/tame-rlhf/tame/pkg/train"
)

// everyHead makes a Step whose loss reads all that a trunk offers, so that the weights' gradients come from every operator.
func everyHead(t testing.TB, dt tensor.Dtype, tied bool, n, s int, opt train.Options) (*train.Step, *model.Params) {
	t.Helper()
	cfg := tiny()
	cfg.NumLayers, cfg.TieEmbeddings = 4, tied
	like := tinyParams(tensor.Float32, 3)
	p := model.NewParams(cfg, tensor.Float32)
	for _, q := range p.All() {
		source := like.Get(q.Name)
		if source == nil { // a layer that like does not have
			source = like.Get("layers.1" + q.Name[len("layers.1"):])
		}
		copy(q.Value.Float32s(), source.Value.Float32s())
	}
	p.AddHead(nil)
	p = p.As(dt)
	in := model.NewInputs(dt, n, s)
	trunk, err := model.NewTrunk(in, p, "policy")
	require.NoError(t, err)
	terms, err := nll(in, trunk)
	require.NoError(t, err)
	entropy, err := trunk.Entropy()
	require.NoError(t, err)
	scores, err := trunk.TokenScores()
	require.NoError(t, err)
	segments, err := trunk.SegmentScores()
	require.NoError(t, err)
	x := ops.Expr(in.G)
	tokens, seqs := in.Scalar(train.ScalarTokens), in.Scalar(train.ScalarSeqs)
	bonus := x.Sub(x.MaskedMean(x.Square(x.AddConst(scores, -1)), in.Mask, tokens), x.MaskedMean(entropy, in.Mask, tokens))
	terms.Loss = x.Add(terms.Loss, x.Add(bonus, x.MaskedMean(x.Square(x.AddConst(segments, 1)), in.SegMask, seqs)))
	require.NoError(t, x.Err())
	step, err := train.NewStep(in, terms, []train.Network{policy(trunk, 1e-2)}, opt)
	require.NoError(t, err)
	return step, p
}

// Every gradient is added up over micro-batches as in one batch, and with recomputation it has the same bits in less memory.
func TestEveryGradientAddsUp(t *testing.T) {
	tokens, counted := sequences(1, 6)
	for _, tied := range []bool{false, true} {
		train3 := func(per int, opt train.Options) ([]float64, train.Result, train.Memory) {
			step, p := everyHead(t, tensor.Float64, tied, 64, 6, opt)
			var r train.Result
			for range 3 {
				var err error
				r, err = step.Run(context.Background(), batches(t, 64, 6, per, tokens, counted))
				require.NoError(t, err)
			}
			return numbers(p), r, step.Memory()
		}
		whole, result, memory := train3(6, train.Options{})
		for _, per := range []int{3, 1} {
			parts, r, m := train3(per, train.Options{})
			assert.InDeltaSlice(t, whole, parts, 1e-10)
			assert.InDelta(t, result.GradNorm["policy"], r.GradNorm["policy"], 1e-10)
			assert.Equal(t, memory, m)
			again, r2, m2 := train3(per, train.Options{Recompute: true})
			assert.Equal(t, parts, again)
			assert.Equal(t, r, r2)
			assert.Less(t, m2.Intermediates, m.Intermediates*3/4)
		}
		assert.Equal(t, 8*len(whole), memory.Weights)
		assert.Equal(t, 8*len(whole), memory.Gradients)
		assert.Equal(t, 2*8*len(whole), memory.Moments)
		assert.Equal(t, 4*8*len(whole)+memory.Intermediates, memory.Total())
	}
}

// With recomputation the memory of a model with many layers is a small part, in the shape of a model of 15 million weights.
func TestRecomputeMemory(t *testing.T) {
	m := benchModel{"", 288, 6, 6, 6, 768, 256, 1, 256, 0}
	with, _ := m.step(t, train.Options{Recompute: true})
	without, _ := m.step(t, train.Options{})
	assert.Less(t, with.Memory().Intermediates, without.Memory().Intermediates/3)
}

func notUnderRace(t *testing.T) {
	t.Helper()
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("the race detector makes pools forget")
	}
}

// steady makes steps on one micro-batch and on two, after some calls that make what is kept.
func steady(t *testing.T) map[string]func() {
	t.Helper()
	notUnderRace(t)
	tokens, counted := sequences(2, 4)
	ctx, runs := context.Background(), map[string]func(){}
	for name, micro := range map[string][]*data.Ragged{
		"one micro-batch":   batches(t, 32, 4, 4, tokens, counted),
		"two micro-batches": batches(t, 32, 4, 2, tokens, counted),
	} {
		step, _ := everyHead(t, tensor.Float32, false, 32, 4, train.Options{Timing: true, Recompute: true})
		runs[name] = func() {
			if _, err := step.Run(ctx, micro); err != nil {
				t.Error(err)
			}
		}
		for range 5 {
			runs[name]()
		}
	}
	return runs
}

func TestStepAllocatesNothing(t *testing.T) {
	for name, run := range steady(t) {
		assert.Zero(t, testing.AllocsPerRun(20, run), name)
	}
	// AllocsPerRun measures on one thread. On two, what a loop borrows may lie in the other thread's pool now and then.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which empties pools
	for name, run := range steady(t) {
		const runs = 50
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range runs {
			run()
		}
		runtime.ReadMemStats(&after)
		assert.Zero(t, (after.Mallocs-before.Mallocs)/runs, name)
	}
}

// A thousand steps leave the heap as it was, and hardly anything was allocated on the way.
func TestHeapDoesNotGrow(t *testing.T) {
	notUnderRace(t)
	tokens, counted := sequences(2, 4)
	step, micro := newStep(t, tinyParams(tensor.Float32, 1), 32, 4, 1e-2), batches(t, 32, 4, 2, tokens, counted)
	run := func(steps int) (m runtime.MemStats) {
		for range steps {
			_, err := step.Run(context.Background(), micro)
			require.NoError(t, err)
		}
		runtime.ReadMemStats(&m)
		return m
	}
	clean := func() (m runtime.MemStats) {
		runtime.GC()
		runtime.GC() // pools forget at the second one
		runtime.ReadMemStats(&m)
		return m
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2)) // each thread has its pools
	run(5)
	before := clean()
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which would empty the pools, to be filled once more
	first := run(20)
	last := run(1000)
	assert.Less(t, last.TotalAlloc-first.TotalAlloc, uint64(2<<20), "a thread's pools may be filled late, once")
	after := clean()
	assert.Less(t, after.HeapAlloc, before.HeapAlloc+32<<10)
}

func TestResultClone(t *testing.T) {
	tokens, counted := sequences(3, 4)
	step := newStep(t, tinyParams(tensor.Float32, 1), 32, 4, 1e-2)
	first, err := step.Run(context.Background(), batches(t, 32, 4, 4, tokens, counted))
	require.NoError(t, err)
	kept, logp := first.Clone(), maps.Clone(first.Metrics)
	second, err := step.Run(context.Background(), batches(t, 32, 4, 4, tokens, counted))
	require.NoError(t, err)
	assert.Equal(t, logp, kept.Metrics)
	assert.NotEqual(t, second.Metrics, kept.Metrics)
	assert.NotEqual(t, second.GradNorm, kept.GradNorm)
	assert.Equal(t, second.LR, kept.LR)
	assert.Equal(t, second.Metrics, first.Metrics, "the Step's own map")
}
