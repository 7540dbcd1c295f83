package data_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
)

func conversation(texts ...string) data.Conversation {
	return data.Conversation{Messages: dialog(texts...)}
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
