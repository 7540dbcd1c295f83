package generate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/exec"
	"github.com/tame-rlhf/tame/pkg/model"
)

// someRequests have prompts of different lengths and numbers of samples.
func someRequests() []Request {
	return []Request{
		{Prompt: []int32{1}, ID: 10, Samples: 1},
		{Prompt: []int32{1, 5, 7, 9, 3, 4}, ID: 11, Samples: 7},
		{Prompt: []int32{1, 8}, ID: 12, Samples: 2},
		{Prompt: []int32{1, 8}, ID: 13, Samples: 2},
		{Prompt: []int32{1, 6, 6, 6, 11, 10, 0, 4, 4, 4, 9}, ID: 14, Samples: 3},
	}
}

func tinyGenerate(t testing.TB) Sampling {
	cfg := DefaultSampling()
	cfg.MaxNewTokens = 9
	cfg.Stop = []int32{2, 7}
	cfg.Seed = 42
	return cfg
}

// TestSlotsAndOrder wants the same bits whatever shares the batch.
func TestSlotsAndOrder(t *testing.T) {
	p, cfg := tinyModel(t, 1), tinyGenerate(t)
	byID := func(reqs []Request, slots int) map[uint64][]Sample {
		c := cfg
		c.Slots = slots
		out, err := Generate(context.Background(), p, reqs, c)
		require.NoError(t, err)
		m := map[uint64][]Sample{}
		for i, r := range reqs {
			m[r.ID] = out[i]
		}
		return m
	}
	reqs := someRequests()
	want := byID(reqs, 64)
	lengths := map[int]bool{}
	for id, samples := range want {
		for k, s := range samples {
			lengths[len(s.Tokens)] = true
			require.Len(t, s.LogProbs, len(s.Tokens), "%d/%d", id, k)
		}
	}
	require.Greater(t, len(lengths), 3, "answers shall differ in length")
	assert.NotEqual(t, want[12][0], want[12][1], "samples have their own streams")
	assert.NotEqual(t, want[12], want[13], "requests have their own streams")
	for _, slots := range []int{1, 2, 3, 5, 8} {
		assert.Equal(t, want, byID(reqs, slots), "%d slots", slots)
	}
	slices.Reverse(reqs)
	assert.Equal(t, want, byID(reqs, 4), "another order")
	alone := byID(reqs[3:4], 64)
	assert.Equal(t, want[11], alone[11], "without company")
}

// TestLogProbsAreTheTrainingGraphs wants the bits that a training step computes for the same tokens.
func TestLogProbsAreTheTrainingGraphs(t *testing.T) {
	p := tinyModel(t, 2)
	for _, temperature := range []float64{1, 0.7, 1.3} {
		cfg := tinyGenerate(t)
		cfg.Temperature = temperature
		reqs := someRequests()
		answers, err := Generate(context.Background(), p, reqs, cfg)
		require.NoError(t, err)

		b := data.NewRagged(256, 16)
		var want []float32
		for i, r := range reqs {
			for _, a := range answers[i] {
				tokens := slices.Concat(r.Prompt, a.Tokens)
				counted := make([]bool, len(tokens))
				for j := len(r.Prompt); j < len(tokens); j++ {
					counted[j] = true
				}
				_, err := b.Append(tokens, counted)
				require.NoError(t, err)
				want = append(want, a.LogProbs...)
			}
		}
		in := model.NewInputs(tensor.Float32, b.N, b.S)
		trunk, err := model.NewTrunk(in, p, "policy")
		require.NoError(t, err)
		logProbs, err := trunk.LogProbs()
		require.NoError(t, err)
		prog, err := exec.Compile([]*gorgonia.Node{logProbs}, exec.Options{})
		require.NoError(t, err)
		require.NoError(t, trunk.Bind(prog))
		require.NoError(t, in.Bind(prog, b, map[string]float64{"temperature": temperature}))
		require.NoError(t, prog.Run(context.Background()))
		v, err := prog.Value(logProbs)
		require.NoError(t, err)
		var got []float32
		for i, lp := range v.(*tensor.Dense).Float32s() {
			if b.Mask[i] != 0 {
				got = append(got, lp)
			}
		}
		assert.Equal(t, got, want, "temperature %g", temperature)
	}
}

// TestGreedy goes on with the most probable token of a decoder of its own.
func TestGreedy(t *testing.T) {
	p, cfg := tinyModel(t, 3), tinyGenerate(t)
	cfg.Temperature = 0
	prompt := []int32{1, 4, 9}
	var all [][][]Sample
	for seed := range uint64(2) {
		cfg.Seed = seed
		out, err := Generate(context.Background(), p, []Request{{Prompt: prompt, ID: seed, Samples: 2}}, cfg)
		require.NoError(t, err)
		all = append(all, out)
	}
	assert.Equal(t, all[0], all[1], "greedy decoding has no randomness")
	assert.Equal(t, all[0][0][0], all[0][0][1])

	dec, err := model.NewDecoder(p, 1, 24)
	require.NoError(t, err)
	logits, err := dec.Forward([]model.Chunk{{Tokens: prompt}})
	require.NoError(t, err)
	for i, id := range all[0][0][0].Tokens {
		best := slices.Index(logits[0], slices.Max(logits[0]))
		require.EqualValues(t, best, id, "token %d", i)
		logits, err = dec.Forward([]model.Chunk{{Tokens: []int32{id}}})
		require.NoError(t, err)
	}
}

// certain are logits that leave no choice.
func certain(id, vocab int) []float32 {
	z := make([]float32, vocab)
	for i := range z {
		z[i] = float32(math.Inf(-1))
	}
	z[id] = 0
	return z
}

// TestScheduling lets a decoder count up to the stop token 9, from the last token of the prompt.
func TestScheduling(t *testing.T) {
	count := func(seq []int32) []float32 { return certain(int(seq[len(seq)-1])+1, 10) }
	var reqs []Request
	for last := range int32(9) {
		reqs = append(reqs, Request{Prompt: []int32{3, 3, last}, ID: uint64(last), Samples: 1 + int(last)%4})
	}
	cfg := DefaultSampling()
	cfg.Stop, cfg.MaxNewTokens = []int32{9}, 7
	for slots := 1; slots <= 25; slots++ {
		cfg.Slots = slots
		dec := newScripted(t, slots+1, count)
		b := newBatch(dec, reqs, cfg, 100)
		require.NoError(t, b.run(context.Background()))
		fed := 0
		for i, r := range reqs {
			last := int(r.Prompt[2])
			for _, s := range b.out[i] {
				var want []int32
				for id := last + 1; id <= min(9, last+7); id++ {
					want = append(want, int32(id))
				}
				assert.Equal(t, want, s.Tokens)
				assert.Equal(t, last >= 2, s.Finished, "7 tokens reach the stop token from 2 on")
				fed += len(want) - 1
			}
			fed += len(r.Prompt)
		}
		assert.Equal(t, fed, dec.tokens, "a prompt is computed once, the last token of an answer never")
	}
}

func TestContextLimit(t *testing.T) {
	cfg := tinyGenerate(t)
	cfg.MaxNewTokens, cfg.Stop = 100, nil
	long := make([]int32, 23)
	out, err := Generate(context.Background(), tinyModel(t, 4), []Request{{Prompt: long[:20], Samples: 1}, {Prompt: long, Samples: 1}}, cfg)
	require.NoError(t, err)
	assert.Len(t, out[0][0].Tokens, 4, "prompt and answer fill the context of 24")
	assert.Len(t, out[1][0].Tokens, 1)
	assert.False(t, out[0][0].Finished)

	_, err = Generate(context.Background(), tinyModel(t, 4), []Request{{Prompt: long, Samples: 1}, {Prompt: make([]int32, 24), ID: 77, Samples: 1}}, cfg)
	var tooLong *PromptTooLongError
	require.ErrorAs(t, err, &tooLong)
	assert.Equal(t, PromptTooLongError{Index: 1, ID: 77, Length: 24, Limit: 23}, *tooLong)
}

func TestRefuses(t *testing.T) {
	ctx, p, cfg := context.Background(), tinyModel(t, 1), tinyGenerate(t)
	one := []Request{{Prompt: []int32{1}, Samples: 1}}
	generate := func(p *model.Params, r []Request, c Sampling) error {
		_, err := Generate(ctx, p, r, c)
		return err
	}
	assert.NoError(t, generate(p, nil, cfg), "nothing to do")
	assert.ErrorContains(t, generate(nil, one, cfg), "float32")
	assert.ErrorContains(t, generate(p.As(tensor.Float64), one, cfg), "want float32 weights: convert them with Params.As")
	assert.NoError(t, generate(p.As(tensor.Float64).As(tensor.Float32), one, cfg))
	assert.ErrorContains(t, generate(p, []Request{{Samples: 1}}, cfg), "request 0 (ID 0): the prompt is empty")
	assert.ErrorContains(t, generate(p, []Request{{Prompt: []int32{1}}}, cfg), "Samples is 0")
	assert.ErrorContains(t, generate(p, []Request{{Prompt: []int32{1, 13}, ID: 5, Samples: 1}}, cfg), "request 0 (ID 5): token 1 of the prompt is 13")
	bad := cfg
	bad.Stop = []int32{13}
	assert.ErrorContains(t, generate(p, one, bad), "Stop")
	reward := p.Clone()
	reward.DropOutput()
	assert.ErrorContains(t, generate(reward, one, cfg), "output projection")

	err := Sampling{MaxNewTokens: 0, Temperature: -1, TopP: 0, TopK: -1, Stop: []int32{-1}}.Validate()
	for _, field := range []string{"MaxNewTokens", "Temperature", "TopP", "TopK", "Stop[0]", "Slots"} {
		assert.ErrorContains(t, err, "Sampling."+field, "all problems at once")
	}
	assert.NoError(t, DefaultSampling().Validate())
}

func TestProgressAndCancel(t *testing.T) {
	p, cfg := tinyModel(t, 1), tinyGenerate(t)
	cfg.Slots = 2
	var done []int
	cfg.OnProgress = func(d, total int) {
		assert.Equal(t, 15, total)
		done = append(done, d)
	}
	_, err := Generate(context.Background(), p, someRequests(), cfg)
	require.NoError(t, err)
	assert.True(t, slices.IsSorted(done))
	assert.Equal(t, 15, done[len(done)-1])

	ctx, cancel := context.WithCancel(context.Background())
	calls := 0
	cfg.OnProgress = func(d, _ int) { calls++; cancel() }
	out, err := Generate(ctx, p, someRequests(), cfg)
	assert.Nil(t, out)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, 1, calls, "it stops before the next token")

	failing := newScripted(t, 3, func([]int32) []float32 { return []float32{float32(math.NaN())} })
	err = newBatch(failing, []Request{{Prompt: []int32{0}, ID: 9, Samples: 1}}, Sampling{MaxNewTokens: 1, Temperature: 1, TopP: 1, Slots: 2}, 5).run(context.Background())
	assert.True(t, errors.Is(err, errNotFinite), fmt.Sprint(err))
	assert.ErrorContains(t, err, "request 0 (ID 9), token 0")
}
