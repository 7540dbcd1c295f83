package distill

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/generate"
	"github.com/tame-rlhf/tame/pkg/model"
)

// letters is a tokenizer whose tokens are bytes, three ids further on.
type letters struct{}

func (letters) Encode(text string) []int32 {
	ids := make([]int32, len(text))
	for i, b := range []byte(text) {
		ids[i] = int32(b) + 3
	}
	return ids
}
func (letters) BOS() int32 { return 1 }
func (letters) EOS() int32 { return 2 }

const vocab = 256 + 3

func template(t testing.TB) *data.Template {
	t.Helper()
	tmpl, err := data.Llama2Template(letters{})
	require.NoError(t, err)
	return tmpl
}

// tinyModel is random, with an inclination to end answers.
func tinyModel(t testing.TB) *model.Params {
	t.Helper()
	cfg := model.Config{
		Dim: 16, NumLayers: 1, NumHeads: 2, NumKVHeads: 1, HeadDim: 8, HiddenDim: 24, VocabSize: vocab, MaxSeqLen: 128,
		NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}
	require.NoError(t, cfg.Validate())
	p := model.NewParams(cfg, tensor.Float32)
	rng := rand.New(rand.NewPCG(1, 9))
	p.Init(rng)
	for _, q := range p.All() {
		if q.Decay {
			x := q.Value.Float32s()
			for i := range x {
				x[i] = float32(rng.NormFloat64() / 3)
			}
		}
	}
	return p
}

func tinyConfig() Config {
	cfg := DefaultConfig()
	cfg.Samples, cfg.MaxNewTokens, cfg.Seed = 3, 12, 5
	for id := int32(2); id < vocab; id += 8 { // many ids end an answer, so that some are finished
		cfg.Stop = append(cfg.Stop, id)
	}
	return cfg
}

func prompts(n int) []data.Prompt {
	list := make([]data.Prompt, n)
	for i := range list {
		list[i] = data.Prompt{ID: fmt.Sprint("p", i), Messages: []data.Message{{Role: data.User, Content: "how " + string(rune('a'+i)) + "?"}}}
	}
	return list
}

func generic(t testing.TB, texts ...string) PrePrompts {
	t.Helper()
	pre, err := Generic(texts)
	require.NoError(t, err)
	return pre
}

// hash is a score that depends on every token it is shown.
func hash(_ context.Context, answers []data.Answer) ([]float64, error) {
	scores := make([]float64, len(answers))
	for i, a := range answers {
		for k, id := range a.Sequence() {
			scores[i] += math.Sin(float64(id) * float64(k+1))
		}
	}
	return scores, nil
}

// The tokens of every candidate and example, against sampling one by one with the package below.
func TestDistillTokens(t *testing.T) {
	p, tmpl, cfg := tinyModel(t), template(t), tinyConfig()
	list := prompts(6)
	list[1].Messages = append([]data.Message{{Role: data.System, Content: "rhyme"}}, list[1].Messages...)
	list[2].Messages = append(list[2].Messages, data.Message{Role: data.Assistant, Content: "so"}, data.Message{Role: data.User, Content: "why?"})
	r, err := Distill(t.Context(), p, tmpl, list, generic(t, "safe"), hash, cfg)
	require.NoError(t, err)
	require.Len(t, r.Candidates, 18)

	var examples, originals []data.Example
	for i, c := range r.Candidates {
		prompt := list[i/3]
		assert.Equal(t, prompt, c.Prompt)
		assert.Equal(t, i%3, c.Sample)
		assert.Equal(t, PrePrompt{Text: "safe"}, c.PrePrompt)
		with := []data.Message{{Role: data.System, Content: "safe"}}
		if i/3 == 1 {
			with = append(with, prompt.Messages[1])
			with[0].Content = "safe\n\nrhyme" // its own system message stays
		} else {
			with = append(with, prompt.Messages...)
		}
		bare, err := tmpl.EncodePrompt(prompt.Messages)
		require.NoError(t, err)
		long, err := tmpl.EncodePrompt(with)
		require.NoError(t, err)
		one := func(ids []int32) generate.Sample {
			samples, err := generate.Generate(t.Context(), p, []generate.Request{{Prompt: ids, ID: data.StreamKey(prompt.ID), Samples: 3}},
				generate.Sampling{MaxNewTokens: 12, Temperature: 1, TopP: 1, Stop: cfg.Stop, Seed: 5, Slots: 1})
			require.NoError(t, err)
			return samples[0][i%3]
		}
		original, distilled := one(bare), one(long)
		for _, pair := range []struct {
			got  Scored
			want generate.Sample
		}{{c.Original, original}, {c.Distilled, distilled}} {
			assert.Equal(t, data.TokenPrompt{ID: prompt.ID, Tokens: bare, Safety: true}, pair.got.Prompt, "judged as an answer to the bare prompt")
			assert.Equal(t, pair.want.Tokens, pair.got.Tokens)
			assert.Equal(t, pair.want.LogProbs, pair.got.LogProbs)
			assert.Equal(t, pair.want.Finished, pair.got.Finished)
			score, _ := hash(t.Context(), []data.Answer{{Prompt: data.TokenPrompt{Tokens: bare}, Tokens: pair.want.Tokens}})
			assert.Equal(t, score[0], pair.got.Score)
		}
		assert.Equal(t, distilled.Finished && len(distilled.Tokens) > 1 && c.Distilled.Score > c.Original.Score, c.Kept)
		example := func(answer []int32) data.Example {
			weights := append(make([]float32, len(bare)), slices.Repeat([]float32{1}, len(answer))...)
			return data.Example{Tokens: slices.Concat(bare, answer), Weights: weights}
		}
		switch {
		case c.Kept:
			examples = append(examples, example(distilled.Tokens))
		case original.Finished && len(original.Tokens) > 1:
			originals = append(originals, example(original.Tokens))
		}
	}
	assert.Equal(t, examples, r.Examples)
	assert.Equal(t, originals, r.Originals())
	assert.Less(t, len(examples)+len(originals), 18, "some originals are unfinished too")
	assert.NotEmpty(t, originals)
	assert.NotEmpty(t, examples)
	assert.Less(t, len(examples), 18)
	assert.Positive(t, r.All.Unfinished)
}

// A fake score decides alone who is kept: higher, equal, lower, and never an unfinished answer.
func TestFilter(t *testing.T) {
	p, tmpl, cfg := tinyModel(t), template(t), tinyConfig()
	calls := 0
	for _, c := range []struct {
		gain   float64
		filter bool
		kept   bool
	}{{0.5, true, true}, {0, true, false}, {-1, true, false}, {-1, false, true}, {0, false, true}} {
		score := func(_ context.Context, answers []data.Answer) ([]float64, error) {
			calls++
			scores := make([]float64, len(answers)) // originals first, then distilled ones
			for i := range scores[len(scores)/2:] {
				scores[len(scores)/2+i] = c.gain
			}
			return scores, nil
		}
		cfg.Filter = c.filter
		r, err := Distill(t.Context(), p, tmpl, prompts(8), generic(t, "safe"), score, cfg)
		require.NoError(t, err)
		finished, unfinished, empty := 0, 0, 0
		for _, k := range r.Candidates {
			assert.Equal(t, k.Distilled.Finished && len(k.Distilled.Tokens) > 1 && c.kept, k.Kept)
			assert.Equal(t, c.gain, k.Gain())
			switch {
			case !k.Distilled.Finished:
				unfinished++
			case len(k.Distilled.Tokens) == 1:
				empty++
			default:
				finished++
			}
		}
		require.Positive(t, finished)
		require.Positive(t, unfinished)
		require.Positive(t, empty)
		assert.Equal(t, unfinished, r.All.Unfinished)
		assert.Equal(t, empty, r.All.Empty)
		want, ties := 0, 0
		if c.kept {
			want = finished
		}
		if c.gain == 0 {
			ties = finished
		}
		assert.Len(t, r.Examples, want)
		assert.Equal(t, float64(want)/24, r.All.Kept.Mean)
		assert.Equal(t, ties, r.All.Ties)
	}
	assert.Equal(t, 5, calls, "one call for all answers")
}

// A candidate depends on its prompt and the seed, not on the company it keeps.
func TestOrderDoesNotMatter(t *testing.T) {
	p, tmpl, cfg := tinyModel(t), template(t), tinyConfig()
	pre := generic(t, "safe", "good", "kind", "wise")
	want, err := Distill(t.Context(), p, tmpl, prompts(7), pre, hash, cfg)
	require.NoError(t, err)
	list := prompts(7)
	slices.Reverse(list)
	cfg.Slots = 2
	got, err := Distill(t.Context(), p, tmpl, list, pre, hash, cfg)
	require.NoError(t, err)
	assert.ElementsMatch(t, want.Candidates, got.Candidates)
	assert.ElementsMatch(t, want.Examples, got.Examples)
	assert.Equal(t, want.Candidates[:3], got.Candidates[18:])

	cfg.Seed++
	other, err := Distill(t.Context(), p, tmpl, list, pre, hash, cfg)
	require.NoError(t, err)
	assert.NotEqual(t, got.Candidates, other.Candidates)
}

// An empty difference between the two prompts gives the same answer, which is a tie: no luck of a second draw.
func TestSameStream(t *testing.T) {
	p, tmpl, cfg := tinyModel(t), template(t), tinyConfig()
	require.Equal(t, []int{vocab, 16}, []int(p.All()[0].Value.Shape()))
	x := p.All()[0].Value.Float32s()
	for i := range x { // with equal embeddings the model sees nothing of its input
		x[i] = x[i%16]
	}
	r, err := Distill(t.Context(), p, tmpl, prompts(5), generic(t, "safe"), func(_ context.Context, answers []data.Answer) ([]float64, error) {
		return make([]float64, len(answers)), nil
	}, cfg)
	require.NoError(t, err)
	for _, c := range r.Candidates {
		assert.Equal(t, c.Original.Tokens, c.Distilled.Tokens)
		assert.False(t, c.Kept)
	}
}

func TestDistillRefuses(t *testing.T) {
	ctx, p, tmpl, cfg := t.Context(), tinyModel(t), template(t), tinyConfig()
	pre := generic(t, "safe")
	_, err := Distill(ctx, p, tmpl, nil, pre, hash, cfg)
	assert.ErrorIs(t, err, data.ErrEmpty)
	_, err = Distill(ctx, p, nil, prompts(1), pre, hash, cfg)
	assert.ErrorContains(t, err, "distill: the template")
	same := prompts(2)
	same[1].ID = same[0].ID
	_, err = Distill(ctx, p, tmpl, same, pre, hash, cfg)
	assert.ErrorContains(t, err, "prompts 0 and 1 differ and have the same ID")
	broken := errors.New("broken")
	for want, score := range map[string]data.RewardFunc{
		"distill: score: broken":             func(context.Context, []data.Answer) ([]float64, error) { return nil, broken },
		"score gave 1 numbers for 6 answers": func(context.Context, []data.Answer) ([]float64, error) { return []float64{1}, nil },
		"an answer to prompt \"p0\" is NaN": func(context.Context, []data.Answer) ([]float64, error) {
			return []float64{0, 0, 0, math.NaN(), 0, 0}, nil
		},
	} {
		_, err := Distill(ctx, p, tmpl, prompts(1), pre, score, cfg)
		assert.ErrorContains(t, err, want)
	}
	long := prompts(1)
	long[0].Messages[0].Content = string(make([]byte, 200))
	_, err = Distill(ctx, p, tmpl, long, pre, hash, cfg)
	assert.Error(t, err)
	var tooLong *generate.PromptTooLongError
	long[0].Messages[0].Content = fmt.Sprintf("%0108d", 1) // fits alone, but not with the pre-prompt
	_, err = Distill(ctx, p, tmpl, long, pre, hash, cfg)
	assert.ErrorAs(t, err, &tooLong)

	cfg.Samples, cfg.TopP, cfg.Stop, cfg.Slots, cfg.Temperature, cfg.MaxNewTokens = 0, 2, nil, 0, math.Inf(1), 0
	_, err = Distill(ctx, p, tmpl, prompts(1), pre, hash, cfg)
	assert.ErrorContains(t, Config{Samples: 2}.Validate(), "Temperature is 0, want a positive number with more than one sample")
	for _, field := range []string{"Samples is 0", "TopP is 2", "Stop is []", "Slots is 0", "Temperature is +Inf", "MaxNewTokens is 0"} {
		assert.ErrorContains(t, err, field)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = Distill(cancelled, p, tmpl, prompts(2), pre, hash, tinyConfig())
	assert.ErrorIs(t, err, context.Canceled)
}
