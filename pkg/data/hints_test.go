package data_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// What errors tell a program to call makes of the refused rows ones that are taken.
func TestHintsForProgramsWork(t *testing.T) {
	dir := t.TempDir()
	text := data.Text{Text: "caf\xe9"}
	require.ErrorContains(t, data.Write(filepath.Join(dir, "a.arrow"), []data.Text{text}, data.Lineage{}), "use strings.ToValidUTF8")
	text.Text = strings.ToValidUTF8(text.Text, "\uFFFD")
	assert.NoError(t, data.Write(filepath.Join(dir, "a.arrow"), []data.Text{text}, data.Lineage{}))

	ask := func(text string) data.Prompt {
		return data.Prompt{Messages: []data.Message{{Role: data.User, Content: text}}}
	}
	asked := []data.Prompt{ask("a"), ask("b")}
	require.ErrorContains(t, asked[0].Validate(), "use DialogID")
	for i := range asked {
		asked[i].ID = "same"
	}
	unique := func() error {
		return data.CheckIDs(len(asked), func(i int) (string, []data.Message) { return asked[i].ID, asked[i].Messages })
	}
	require.ErrorContains(t, unique(), "such as data.DialogID")
	for i := range asked {
		asked[i].ID = data.DialogID(asked[i].Messages)
		assert.NoError(t, asked[i].Validate())
	}
	assert.NoError(t, unique())

	train := func(tags []string) *tokenizer.Tokenizer {
		cfg := tokenizer.DefaultTrainConfig()
		cfg.VocabSize, cfg.UserDefined = 280, tags
		tok, err := tokenizer.Train(t.Context(), slices.Values([]string{"the cat sat on the mat", "a cat and a dog"}), cfg)
		require.NoError(t, err)
		return tok
	}
	_, err := data.PieceTemplate(train(nil))
	require.ErrorContains(t, err, "train it with data.Tags as user-defined pieces, or use Llama2Template")
	_, err = data.PieceTemplate(train(data.Tags()))
	assert.NoError(t, err)
	_, err = data.Llama2Template(train(nil))
	assert.NoError(t, err)
}
