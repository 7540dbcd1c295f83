package curate_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/curate"
	"github.com/tame-rlhf/tame/pkg/data"
)

func dialog(contents ...string) []data.Message {
	messages := make([]data.Message, len(contents))
	for i, content := range contents {
		messages[i] = data.Message{Role: data.User + data.Role(i%2), Content: content}
	}
	return messages
}

func withSystem(system string, messages []data.Message) []data.Message {
	return append([]data.Message{{Role: data.System, Content: system}}, messages...)
}

func conversation(texts ...string) data.Conversation {
	return data.Conversation{Messages: dialog(texts...)}
}

func TestDedup(t *testing.T) {
	same := conversation(" How  are\nyou?", "Fine.")
	same.Source = "elsewhere"
	system := conversation("a b", "c")
	system.Messages = append([]data.Message{{Role: data.System, Content: "a b"}}, system.Messages...)
	rows := []data.Conversation{
		0: conversation("How are you?", "Fine."),
		1: same,
		2: conversation("How are you?", "fine."),
		3: conversation("How are you? Fine.", ""),
		4: conversation("How are you?", "Fine.", "Good.", "Yes."),
		5: conversation("Howareyou?", "Fine."),
		6: conversation("Hi", "Fine."),
		7: system,
		8: conversation("a b", "a b", "a b", "c"),
	}
	first := func(d curate.Dedup) (kept []int) {
		for i, row := range rows {
			if !d.Seen(row) {
				kept = append(kept, i)
			}
		}
		return kept
	}
	assert.Equal(t, []int{0, 2, 3, 4, 5, 6, 7, 8}, first(curate.Dedup{}))
	assert.Equal(t, []int{0, 3, 4, 5, 6, 7, 8}, first(curate.Dedup{FoldCase: true}))
	assert.Equal(t, []int{0, 3, 4, 5, 6, 7, 8}, first(curate.Dedup{Of: curate.PromptOnly}))
	assert.Equal(t, []int{0, 2, 3, 4, 7, 8}, first(curate.Dedup{Of: curate.AnswerOnly}))

	d := curate.Dedup{}
	pair := data.Preference{Messages: dialog("Hi"), Chosen: "a", Rejected: "b", Rating: data.Better}
	assert.False(t, d.Seen(pair))
	pair.Rating = data.SlightlyBetter
	assert.True(t, d.Seen(pair))
	pair.Chosen, pair.Rejected = "b", "a"
	assert.False(t, d.Seen(pair), "the other way round is another judgement")
}

func TestLengthFilter(t *testing.T) {
	s := data.Size{Prompt: 3, Answer: 5}
	assert.Equal(t, 0, curate.DefaultLengthFilter().Compare(s))
	for _, c := range []struct {
		of            curate.Extent
		min, max, got int
	}{
		{curate.WholeRow, 8, 8, 0}, {curate.WholeRow, 9, 10, -1}, {curate.WholeRow, 0, 7, 1},
		{curate.PromptOnly, 3, 3, 0}, {curate.PromptOnly, 4, 9, -1}, {curate.AnswerOnly, 5, 5, 0}, {curate.AnswerOnly, 0, 4, 1},
	} {
		f := curate.LengthFilter{Min: c.min, Max: c.max, Of: c.of}
		require.NoError(t, f.Validate())
		assert.Equal(t, c.got, f.Compare(s), "%+v", f)
	}
	assert.ErrorContains(t, curate.LengthFilter{Min: -1, Max: -2}.Validate(), "LengthFilter.Max is -2, want at least Min")
	assert.ErrorContains(t, curate.LengthFilter{Of: 9}.Validate(), "LengthFilter.Of: unknown extent 9")
	assert.Equal(t, math.MaxInt, curate.DefaultLengthFilter().Max)
}

func TestHeldOutIsSplit(t *testing.T) {
	var rows []data.Text
	for i := range 500 {
		rows = append(rows, data.Text{Text: strings.Repeat("x", i)})
	}
	train, heldOut, err := curate.Split(rows, 0.3, 5)
	require.NoError(t, err)
	assert.InDelta(t, 150, len(heldOut), 50)
	for _, row := range train {
		require.False(t, curate.HeldOut(row.Text, 0.3, 5))
	}
	for _, row := range heldOut {
		require.True(t, curate.HeldOut("  "+row.Text+"\n", 0.3, 5))
	}
}
