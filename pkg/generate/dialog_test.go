package generate

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/model"
)

// someDialogs have up to five turns of up to four tokens, one dialogue none.
func someDialogs(n int) [][]TurnRequest {
	rng := rand.New(rand.NewPCG(8, 8))
	out := make([][]TurnRequest, n)
	for i := range out {
		for t := range i % 6 {
			prompt := make([]int32, 1+rng.IntN(4))
			for k := range prompt {
				prompt[k] = int32(rng.IntN(13))
			}
			out[i] = append(out[i], TurnRequest{Prompt: prompt, ID: uint64(100*i + t)})
		}
	}
	return out
}

// turnByTurn asks Generate for one answer after the other, with everything that was said in the prompt.
func turnByTurn(t *testing.T, p *model.Params, d []TurnRequest, cfg Sampling) (answers []Sample) {
	var said []int32
	for _, turn := range d {
		said = slices.Concat(said, turn.Prompt)
		if len(said) >= p.Config().MaxSeqLen {
			break
		}
		out, err := Generate(t.Context(), p, []Request{{Prompt: said, ID: turn.ID, Samples: 1}}, cfg)
		require.NoError(t, err)
		answers = append(answers, out[0][0])
		if !out[0][0].Finished {
			break
		}
		said = slices.Concat(said, out[0][0].Tokens)
	}
	return answers
}

// TestConverse wants the bits of asking turn by turn, in any number of slots, and dialogues that end for every reason.
func TestConverse(t *testing.T) {
	p, cfg := tinyModel(t, 1), tinyGenerate(t)
	dialogs := someDialogs(40)
	dialogs[3] = []TurnRequest{{Prompt: make([]int32, p.Config().MaxSeqLen)}, {Prompt: []int32{1}}} // has no room
	want := make([][]Sample, len(dialogs))
	var whole, unfinished, full int
	for i, d := range dialogs {
		want[i] = turnByTurn(t, p, d, cfg)
		switch n := len(want[i]); {
		case n == len(d):
			whole++
		case n > 0 && !want[i][n-1].Finished:
			unfinished++
		default:
			full++
		}
	}
	require.Positive(t, whole)
	require.Positive(t, unfinished)
	require.Greater(t, full, 1)
	for _, slots := range []int{1, 2, 7, 64} {
		cfg.Slots = slots
		var done []int
		cfg.OnProgress = func(d, total int) {
			assert.Equal(t, turns(dialogs), total)
			done = append(done, d)
		}
		got, err := Converse(t.Context(), p, dialogs, cfg)
		require.NoError(t, err)
		assert.Equal(t, want, got, "%d slots", slots)
		assert.True(t, slices.IsSorted(done))
		assert.Equal(t, turns(dialogs), done[len(done)-1])
	}
	none := [][]TurnRequest{nil, {{Prompt: make([]int32, 24)}}}
	cfg.OnProgress = func(d, total int) { assert.Equal(t, [2]int{1, 1}, [2]int{d, total}) }
	nothing, err := Converse(t.Context(), p, none, cfg)
	require.NoError(t, err)
	assert.Equal(t, [][]Sample{nil, nil}, nothing)
	plan, err := NewDialogPlan(p.Config(), none, cfg)
	require.NoError(t, err)
	assert.Equal(t, Plan{Samples: 1}, plan, "no memory for dialogues that do not begin")
}

// TestConverseComputesOnce lets a decoder count up to the stop token 9: every token enters once, and prompts that come at once share no more than one pass has room for.
func TestConverseComputesOnce(t *testing.T) {
	dec := newScripted(t, 9, func(seq []int32) []float32 { return certain(int(seq[len(seq)-1])+1, 10) })
	dec.most = promptTokens + 8
	long := make([]int32, 400)
	long[399] = 5
	dialogs := make([][]TurnRequest, 20)
	first := make([]Request, len(dialogs))
	want := 0
	for i := range dialogs {
		dialogs[i] = []TurnRequest{{Prompt: long[399:]}} // short, so that the others come at once
		want += 1 + 4                                    // the answer is 6, 7, 8, 9
		for range 1 + i%3 {
			dialogs[i] = append(dialogs[i], TurnRequest{Prompt: long})
			want += 400 + 4
		}
		want-- // the very last token
		first[i] = Request{Prompt: long[399:], Samples: 1}
	}
	cfg := DefaultSampling()
	cfg.Stop, cfg.Slots = []int32{9}, 8
	b := newBatch(dec, first, cfg, 5000)
	b.dialogs, b.todo = dialogs, turns(dialogs)
	require.NoError(t, b.run(t.Context()))
	assert.Equal(t, want, dec.tokens)
	for i, d := range dialogs {
		require.Len(t, b.out[i], len(d))
		for _, s := range b.out[i] {
			assert.Equal(t, []int32{6, 7, 8, 9}, s.Tokens)
		}
	}
}

func TestConverseRefuses(t *testing.T) {
	p, cfg := tinyModel(t, 1), tinyGenerate(t)
	_, err := Converse(t.Context(), p.As(tensor.Float64), someDialogs(3), cfg)
	assert.ErrorContains(t, err, "Params.As")
	_, err = Converse(t.Context(), p, [][]TurnRequest{{{Prompt: []int32{1}}, {ID: 4}}}, cfg)
	assert.ErrorContains(t, err, "dialogue 0, turn 1 (ID 4): the prompt is empty")
	_, err = Converse(t.Context(), p, [][]TurnRequest{{{Prompt: []int32{1, 13}}}}, cfg)
	assert.ErrorContains(t, err, "token 1 of the prompt is 13")
	_, err = Converse(t.Context(), p, someDialogs(3), Sampling{})
	assert.ErrorContains(t, err, "Sampling.Slots")
	broken := tinyModel(t, 1)
	for _, q := range broken.All() {
		q.Value.Float32s()[0] = float32(math.NaN())
	}
	_, err = Converse(t.Context(), broken, [][]TurnRequest{nil, {{Prompt: []int32{1}, ID: 7}}}, cfg)
	assert.ErrorContains(t, err, "generate: dialogue 1, turn 0 (ID 7), token 0 of the answer")
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Converse(stopped, p, someDialogs(3), cfg)
	assert.ErrorIs(t, err, context.Canceled)

	cfg.MaxNewTokens, cfg.Slots = 3, 8
	plan, err := NewDialogPlan(p.Config(), [][]TurnRequest{{{Prompt: []int32{1}}}, {{Prompt: []int32{1, 5}}, {Prompt: []int32{1}}}}, cfg)
	require.NoError(t, err)
	assert.Equal(t, Plan{Samples: 3, Slots: 2, Context: 9, CacheBytes: plan.CacheBytes, Bytes: model.DecoderBytes(p.Config(), 3, 9)}, plan)
}

// A turn takes place if its prompt and one token of an answer fit into the context of 24 tokens.
func TestConverseFillsTheContext(t *testing.T) {
	p, cfg := tinyModel(t, 1), tinyGenerate(t)
	require.Equal(t, 24, p.Config().MaxSeqLen)
	cfg.Stop = []int32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12} // every answer has one token
	first := TurnRequest{Prompt: []int32{1, 3, 5}, ID: 1}
	for length, turns := range map[int]int{19: 2, 20: 1} {
		second := TurnRequest{Prompt: slices.Repeat([]int32{4}, length), ID: 2}
		out, err := Converse(t.Context(), p, [][]TurnRequest{{first, second}}, cfg)
		require.NoError(t, err)
		assert.Len(t, out[0], turns, "after 3 + 1 tokens, a prompt of %d", length)
	}
}
