package pretrain

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/train"
)

const vocab = 12

// tinyModel draws a Llama of width 16 with a context of that length.
func tinyModel(t testing.TB, context int) *model.Params {
	t.Helper()
	cfg := model.Config{
		Dim: 16, NumLayers: 1, NumHeads: 2, NumKVHeads: 1, HeadDim: 8, HiddenDim: 24, VocabSize: vocab, MaxSeqLen: context,
		NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}
	require.NoError(t, cfg.Validate())
	p := model.NewParams(cfg, tensor.Float32)
	p.Init(rand.New(rand.NewPCG(1, 9)))
	return p
}

func tinyConfig() Config {
	cfg := DefaultConfig()
	cfg.Optim = optim.DefaultConfig(1e-2)
	cfg.WarmupSteps, cfg.Steps, cfg.BatchTokens = 3, 40, 64
	cfg.MicroTokens, cfg.MicroSegments = 128, 16
	return cfg
}

// counting are documents that count up in a circle of nine tokens from a random start: BOS 5 6 7 ... EOS.
func counting(seed uint64, count int) [][]int32 {
	rng := rand.New(rand.NewPCG(seed, 3))
	docs := make([][]int32, count)
	for i := range docs {
		doc := []int32{1}
		start := rng.Int32N(vocab - 3)
		for k := range 2 + rng.Int32N(12) {
			doc = append(doc, 3+(start+k)%(vocab-3))
		}
		docs[i] = append(doc, 2)
	}
	return docs
}

// nll is the sum of -log p over the tokens of a window but the first, by the decoder and plain float64.
func nll(t testing.TB, p *model.Params, window []int32) (sum float64) {
	t.Helper()
	for i := 1; i < len(window); i++ {
		dec, err := model.NewDecoder(p, 1, len(window))
		require.NoError(t, err)
		logits, err := dec.Forward([]model.Chunk{{Tokens: window[:i]}})
		require.NoError(t, err)
		total := 0.0
		for _, z := range logits[0] {
			total += math.Exp(float64(z))
		}
		sum += math.Log(total) - float64(logits[0][window[i]])
	}
	return sum
}

// numbers copies all weights, in order.
func numbers(p *model.Params) []float32 {
	var all []float32
	for _, q := range p.All() {
		all = append(all, q.Value.Float32s()...)
	}
	return all
}

// The loss is the mean over all tokens but the first of each document, as the decoder has them, whatever the micro-batch.
func TestFirstLoss(t *testing.T) {
	docs := counting(1, 5)
	sum, predicted, read := 0.0, 0, 0
	for _, w := range cut(docs, 8) {
		sum += nll(t, tinyModel(t, 8), w)
		predicted += len(w) - 1
		read += len(w)
	}
	for _, micro := range [][2]int{{128, 16}, {8, 1}, {20, 4}} {
		cfg := tinyConfig()
		cfg.Steps, cfg.BatchTokens = 1, read
		cfg.MicroTokens, cfg.MicroSegments = micro[0], micro[1]
		report, err := Train(context.Background(), tinyModel(t, 8), docs, nil, cfg)
		require.NoError(t, err)
		assert.InDelta(t, sum/float64(predicted), report.Loss, 1e-5, "%v", micro)
		assert.Equal(t, train.Report{Steps: 1, Tokens: read, Loss: report.Loss}, report)
	}
}

// A tiny model learns to count.
func TestTrainLearns(t *testing.T) {
	p := tinyModel(t, 16)
	cfg := tinyConfig()
	var steps []train.StepInfo
	cfg.OnStep = func(s train.StepInfo) { steps = append(steps, s) }
	report, err := Train(context.Background(), p, counting(2, 50), nil, cfg)
	require.NoError(t, err)
	require.Len(t, steps, 40)
	assert.Equal(t, 40, report.Steps)
	first, last := steps[0].Metrics, steps[39].Metrics
	assert.InDelta(t, math.Log(vocab), first["loss"], 0.1)
	assert.Less(t, last["loss"], first["loss"]/2)
	assert.Equal(t, report.Loss, last["loss"])
	assert.Equal(t, float64(report.Tokens), last["num_tokens"])
	assert.GreaterOrEqual(t, report.Tokens, 40*64)
	assert.Less(t, report.Tokens, 40*(64+16))
	assert.Greater(t, last["epoch"], 5.0)
	assert.InDelta(t, 1e-2/3, first["learning_rate"], 1e-12)
	assert.InDelta(t, 1e-2, steps[3].Metrics["learning_rate"], 1e-12)
	assert.InDelta(t, 1e-3, last["learning_rate"], 1e-4)
	assert.Positive(t, last["grad_norm"])

	again := tinyModel(t, 16)
	cfg.OnStep = nil
	_, err = Train(context.Background(), again, counting(2, 50), nil, cfg)
	require.NoError(t, err)
	assert.Equal(t, numbers(p), numbers(again), "the same run gives the same bits")
}

func TestTrainRefuses(t *testing.T) {
	ctx := context.Background()
	_, err := Train(ctx, tinyModel(t, 16), [][]int32{{1}, {}}, nil, tinyConfig())
	assert.ErrorIs(t, err, data.ErrEmpty)
	_, err = Train(ctx, tinyModel(t, 16), append(counting(1, 5), []int32{1, vocab}), nil, tinyConfig())
	assert.ErrorContains(t, err, "pretrain: document 5: model: token 1 is")
	assert.ErrorContains(t, err, "does the tokenizer belong to the model?")
	_, err = Train(ctx, nil, counting(1, 1), nil, tinyConfig())
	assert.ErrorContains(t, err, "the model is nil")
	_, err = Train(ctx, tinyModel(t, 1), counting(1, 1), nil, tinyConfig())
	assert.ErrorContains(t, err, "pretrain: the model has a context of 1")

	cfg := tinyConfig()
	cfg.Steps, cfg.BatchTokens, cfg.MicroTokens, cfg.MinLRRatio = 0, 0, 1, -1
	err = cfg.Validate()
	for _, field := range []string{"Steps is 0", "BatchTokens is 0", "MicroTokens is 1", "MinLRRatio is -1"} {
		assert.ErrorContains(t, err, field)
	}
	_, got := Train(ctx, tinyModel(t, 16), counting(1, 1), nil, cfg)
	assert.Equal(t, err, got)
	assert.NoError(t, DefaultConfig().Validate())
}

// A context that ends leaves the weights of the last finished step.
func TestCancel(t *testing.T) {
	p := tinyModel(t, 16)
	ctx, cancel := context.WithCancel(context.Background())
	var finished []float32
	cfg := tinyConfig()
	cfg.OnStep = func(s train.StepInfo) {
		if s.Step == 2 {
			finished = numbers(p)
			cancel()
		}
	}
	report, err := Train(ctx, p, counting(3, 20), nil, cfg)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, 2, report.Steps)
	assert.Equal(t, finished, numbers(p))
}

// letters is a tokenizer that makes a token of every byte; without marks it has neither BOS nor EOS.
type letters struct{ bos, eos int32 }

func (l letters) BOS() int32 { return l.bos }
func (l letters) EOS() int32 { return l.eos }
func (l letters) Encode(text string) (ids []int32) {
	for _, b := range []byte(text) {
		ids = append(ids, int32(b))
	}
	return ids
}

func TestEncode(t *testing.T) {
	assert.Equal(t, [][]int32{{1, 'a', 'b', 2}, {1, 2}}, Encode(letters{1, 2}, []string{"ab", ""}))
	assert.Equal(t, [][]int32{{'a', 'b'}}, Encode(letters{-1, -1}, []string{"ab"}))
}
