package gatt

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
)

// byHand is a dialogue of three turns as step 1 leaves it: the instruction 20 21 is in every user message.
func byHand() Transcript {
	return Transcript{
		Dialog: Dialog{ID: "by hand", Instruction: "20 21", Short: "23", Questions: []string{"10", "11", "12"}},
		Turns: []Turn{
			{Prompt: []int32{bos, open, 25, 26, 15, shut}, Answer: []int32{30, 31, eos}, Text: "25 26"},
			{Prompt: []int32{bos, open, 25, 26, 16, shut}, Answer: []int32{32, eos}, Text: "27"},
			{Prompt: []int32{bos, open, 25, 26, 17, shut}, Answer: []int32{33, 34, eos}, Text: "28 29"},
		},
	}
}

// Token by token: the instruction is in the first user message only, answers are the sampled ids, the last answer alone counts.
func TestExampleTokenByToken(t *testing.T) {
	cfg := config()
	cfg.ShortShare = 0
	got, err := Examples(template(t), []Transcript{byHand()}, cfg)
	require.NoError(t, err)
	require.Len(t, got, 1)
	want := []struct {
		id      int32
		counted bool
	}{
		{bos, false}, {open, false}, {25, false}, {26, false}, {15, false}, {shut, false}, // 1, with the instruction
		{30, false}, {31, false}, {eos, false},
		{bos, false}, {open, false}, {16, false}, {shut, false}, // 2, without
		{32, false}, {eos, false},
		{bos, false}, {open, false}, {17, false}, {shut, false}, // 3, without
		{33, true}, {34, true}, {eos, true},
	}
	require.Len(t, got[0].Tokens, len(want))
	require.Len(t, got[0].Weights, len(want))
	for i, w := range want {
		assert.Equal(t, w.id, got[0].Tokens[i], "id %d", i)
		assert.Equal(t, w.counted, got[0].Weights[i] == 1, "mark of id %d", i)
	}
	assert.Equal(t, data.Example{Tokens: got[0].Tokens, Weights: got[0].Weights}, data.Example(got[0]))
	assert.Equal(t, byHand(), byHand(), "transcripts stay as they are")
}

func TestExamplesShortened(t *testing.T) {
	cfg := config()
	cfg.ShortShare = 1
	got, err := Examples(template(t), []Transcript{byHand()}, cfg)
	require.NoError(t, err)
	assert.Equal(t, []int32{bos, open, 28, 15, shut, 30}, got[0].Tokens[:6])

	none := byHand()
	none.Dialog.Short = "" // there is no shortened wording
	got, err = Examples(template(t), []Transcript{none}, cfg)
	require.NoError(t, err)
	assert.Equal(t, []int32{bos, open, 25, 26, 15, shut, 30}, got[0].Tokens[:7])

	// Half of many, the same ones every time and in text.
	cfg.ShortShare = 0.5
	var talks []Transcript
	for _, d := range someDialogs(2000, 1) {
		talks = append(talks, Transcript{Dialog: d, Turns: byHand().Turns[:1]})
	}
	got, err = Examples(template(t), talks, cfg)
	require.NoError(t, err)
	rows := Conversations(talks, "test", cfg)
	short := 0.0
	for i, e := range got {
		if e.Tokens[2] == 28 {
			short++
			require.Contains(t, rows[i].Messages[0].Content, "23 ")
		} else {
			require.Contains(t, rows[i].Messages[0].Content, "20 21 22 ")
		}
	}
	assert.InDelta(t, 0.5, short/2000, 4*math.Sqrt(0.25/2000))
}

func TestExamplesOfEveryTurn(t *testing.T) {
	cfg := config()
	cfg.ShortShare, cfg.EveryTurn = 0, true
	got, err := Examples(template(t), []Transcript{{Dialog: byHand().Dialog}, byHand()}, cfg) // one without turns gives none
	require.NoError(t, err)
	require.Len(t, got, 1)

	// An example for each turn as the last one, made by hand from the first turns: together their losses are on the same ids, each once.
	cfg.EveryTurn = false
	want := make([]bool, len(got[0].Tokens))
	for turns := 1; turns <= 3; turns++ {
		talk := byHand()
		talk.Turns = talk.Turns[:turns]
		one, err := Examples(template(t), []Transcript{talk}, cfg)
		require.NoError(t, err)
		assert.Equal(t, one[0].Tokens, got[0].Tokens[:len(one[0].Tokens)])
		for i, c := range data.Example(one[0]).Counted() {
			assert.False(t, c && want[i], "id %d counts twice", i)
			want[i] = want[i] || c
		}
	}
	assert.Equal(t, want, data.Example(got[0]).Counted())
	cfg.EveryTurn = true

	long := byHand()
	long.Dialog.Questions = long.Dialog.Questions[:2]
	_, err = Examples(template(t), []Transcript{long}, cfg)
	assert.ErrorContains(t, err, "3 turns for 2 questions")
}

func TestConversations(t *testing.T) {
	cfg := config()
	cfg.ShortShare = 0
	rows := Conversations([]Transcript{byHand(), {Dialog: byHand().Dialog}}, "gatt v3", cfg)
	require.Len(t, rows, 1, "a dialogue without answers is none")
	require.NoError(t, rows[0].Validate())
	assert.Equal(t, data.Conversation{Source: "gatt v3", Messages: []data.Message{
		{Role: data.User, Content: "20 21 10"}, {Role: data.Assistant, Content: "25 26"},
		{Role: data.User, Content: "11"}, {Role: data.Assistant, Content: "27"},
		{Role: data.User, Content: "12"}, {Role: data.Assistant, Content: "28 29"},
	}}, rows[0])
}

// What is trained on has, but for user messages, the ids that were sampled.
func TestTokensStayTokens(t *testing.T) {
	talks, err := Talk(context.Background(), tinyModel(t, 400), template(t), words{}, someDialogs(6, 3), config())
	require.NoError(t, err)
	cfg := config()
	cfg.EveryTurn = true
	got, err := Examples(template(t), talks, cfg)
	require.NoError(t, err)
	require.Len(t, got, len(talks))
	for i, talk := range talks {
		var said, counted []int32
		for _, turn := range talk.Turns {
			said = append(said, turn.Answer...)
		}
		for k, c := range data.Example(got[i]).Counted() {
			if c {
				counted = append(counted, got[i].Tokens[k])
			}
		}
		assert.Equal(t, said, counted)
	}
	assert.Greater(t, len(talks[0].Turns), 1)
}
