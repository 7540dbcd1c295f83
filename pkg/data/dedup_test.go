package data_test

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
)

func conversation(texts ...string) data.Conversation {
	var c data.Conversation
	for i, text := range texts {
		c.Messages = append(c.Messages, data.Message{Role: data.User + data.Role(i%2), Content: text})
	}
	return c
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
	first := func(d data.Dedup) (kept []int) {
		for i, row := range rows {
			if !d.Seen(row) {
				kept = append(kept, i)
			}
		}
		return kept
	}
	assert.Equal(t, []int{0, 2, 3, 4, 5, 6, 7, 8}, first(data.Dedup{}))
	assert.Equal(t, []int{0, 3, 4, 5, 6, 7, 8}, first(data.Dedup{FoldCase: true}))
	assert.Equal(t, []int{0, 3, 4, 5, 6, 7, 8}, first(data.Dedup{Of: data.PromptOnly}))
	assert.Equal(t, []int{0, 2, 3, 4, 7, 8}, first(data.Dedup{Of: data.AnswerOnly}))

	d := data.Dedup{}
	pair := data.Preference{Messages: dialog("Hi"), Chosen: "a", Rejected: "b", Rating: data.Better}
	assert.False(t, d.Seen(pair))
	pair.Rating = data.SlightlyBetter
	assert.True(t, d.Seen(pair))
	pair.Chosen, pair.Rejected = "b", "a"
	assert.False(t, d.Seen(pair), "the other way round is another judgement")
}

func TestSizes(t *testing.T) {
	pair := data.Preference{Messages: dialog("Grüße", "ja", "und?"), Chosen: "123456", Rejected: "1234567"}
	sample := data.Sample{Messages: dialog("Hi"), Text: "Hello", Prompt: make([]int32, 9), Tokens: make([]int32, 4)}
	for _, c := range []struct {
		row interface{ Parts() []data.Part }
		data.Size
		document string
	}{
		{data.Text{Text: "ab\ncd"}, data.Size{Prompt: 0, Answer: 5}, "ab\ncd"},
		{data.Prompt{Messages: dialog("Grüße")}, data.Size{Prompt: 5, Answer: 0}, "Grüße"},
		{conversation("abc", "de", "f", "ghi"), data.Size{Prompt: 4, Answer: 5}, "abc\nde\nf\nghi"},
		{pair, data.Size{Prompt: 11, Answer: 7}, "Grüße\nja\nund?\n123456\n1234567"},
		{sample, data.Size{Prompt: 2, Answer: 5}, "Hi\nHello"},
	} {
		assert.Equal(t, c.Size, data.Chars(c.row), "%T", c.row)
		assert.Equal(t, c.document, data.Document(c.row), "%T", c.row)
	}

	// In tokens a row is as long as what the template makes of it.
	template, err := data.Llama2Template(bytesTokenizer{})
	require.NoError(t, err)
	size := func(row any) data.Size {
		s, err := template.Size(row)
		require.NoError(t, err)
		return s
	}
	assert.Equal(t, data.Size{Answer: 7}, size(data.Text{Text: "ab\ncd"}))
	prompt := len("<[INST] abc [/INST]")
	assert.Equal(t, data.Size{Prompt: prompt}, size(data.Prompt{Messages: dialog("abc")}))
	assert.Equal(t, data.Size{Prompt: prompt, Answer: len(" de >")}, size(conversation("abc", "de")))
	assert.Equal(t, data.Size{Prompt: 2 * prompt, Answer: len(" de >") + len(" f >")}, size(conversation("abc", "de", "abc", "f")))
	for _, c := range []data.Preference{{Messages: dialog("abc"), Chosen: "de", Rejected: "fgh"}, {Messages: dialog("abc"), Chosen: "fgh", Rejected: "de"}} {
		assert.Equal(t, data.Size{Prompt: prompt, Answer: len(" fgh >")}, size(c))
	}
	assert.Equal(t, data.Size{Prompt: 9, Answer: 4}, size(sample))
	_, err = template.Size(conversation("[INST]", "x"))
	assert.ErrorIs(t, err, data.ErrTag)
	_, err = template.Size(3)
	assert.ErrorContains(t, err, "rows of int")
}

// bytesTokenizer has an id for each byte.
type bytesTokenizer struct{}

func (bytesTokenizer) Encode(text string) (ids []int32) {
	for _, b := range []byte(text) {
		ids = append(ids, 3+int32(b))
	}
	return ids
}
func (bytesTokenizer) BOS() int32 { return 1 }
func (bytesTokenizer) EOS() int32 { return 2 }

func TestLengthFilter(t *testing.T) {
	s := data.Size{Prompt: 3, Answer: 5}
	assert.Equal(t, 0, data.DefaultLengthFilter().Compare(s))
	for _, c := range []struct {
		of            data.Extent
		min, max, got int
	}{
		{data.WholeRow, 8, 8, 0}, {data.WholeRow, 9, 10, -1}, {data.WholeRow, 0, 7, 1},
		{data.PromptOnly, 3, 3, 0}, {data.PromptOnly, 4, 9, -1}, {data.AnswerOnly, 5, 5, 0}, {data.AnswerOnly, 0, 4, 1},
	} {
		f := data.LengthFilter{Min: c.min, Max: c.max, Of: c.of}
		require.NoError(t, f.Validate())
		assert.Equal(t, c.got, f.Compare(s), "%+v", f)
	}
	assert.ErrorContains(t, data.LengthFilter{Min: -1, Max: -2}.Validate(), "less than Min")
	assert.Equal(t, math.MaxInt, data.DefaultLengthFilter().Max)
}

func TestHeldOutIsSplit(t *testing.T) {
	var rows []data.Text
	for i := range 500 {
		rows = append(rows, data.Text{Text: strings.Repeat("x", i)})
	}
	train, heldOut, err := data.Split(rows, 0.3, 5)
	require.NoError(t, err)
	assert.InDelta(t, 150, len(heldOut), 50)
	for _, row := range train {
		require.False(t, data.HeldOut(row.Text, 0.3, 5))
	}
	for _, row := range heldOut {
		require.True(t, data.HeldOut("  "+row.Text+"\n", 0.3, 5))
	}
}

// looseConversation writes what Conversation refuses.
type looseConversation struct {
	Messages []data.Message `arrow:"messages"`
	Source   *string        `arrow:"source"`
}

func (looseConversation) Schema() data.Schema { return data.Conversation{}.Schema() }

func TestCheckNamesEveryBadRow(t *testing.T) {
	source := "x"
	var rows []looseConversation
	for i := range 3000 { // more than one record batch
		row := looseConversation{conversation("q", "a").Messages, &source}
		switch i {
		case 5:
			row.Messages = row.Messages[:1]
		case 1500:
			row.Source = nil
		case 2999:
			row.Messages[1].Content = "bad"
		}
		rows = append(rows, row)
	}
	path := filepath.Join(t.TempDir(), "x.arrow")
	require.NoError(t, data.Write(path, rows, data.Lineage{}))
	r, err := data.Open[data.Conversation](path)
	require.NoError(t, err)
	defer r.Close()
	n, err := r.Len()
	require.NoError(t, err)
	assert.Equal(t, 3000, n)

	bad := map[int]string{}
	n, err = r.Check(func(c data.Conversation) error {
		if c.Messages[1].Content == "bad" {
			return assert.AnError
		}
		return nil
	}, func(row int, err error) bool {
		bad[row] = err.Error()
		return true
	})
	require.NoError(t, err)
	assert.Equal(t, 3000, n)
	assert.Equal(t, map[int]string{
		5: "data: conversation has no answer to learn from", 1500: `column "source" is null`, 2999: assert.AnError.Error(),
	}, bad)

	n, err = r.Check(nil, func(row int, err error) bool { return false })
	require.NoError(t, err)
	assert.Equal(t, 6, n, "it stops where bad says so")
}
