package data_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
)

func weighted(weights ...float32) data.Conversation {
	return data.Conversation{Source: "x", Weights: weights, Messages: []data.Message{
		{Role: data.System, Content: "Be kind."}, {Role: data.User, Content: "Hi"}, {Role: data.Assistant, Content: "Hello"},
		{Role: data.User, Content: "Bye"}, {Role: data.Assistant, Content: "See you"},
	}}
}

// A file has the column of weights only if a row has some, wherever it is.
func TestWeightsColumn(t *testing.T) {
	plain, with := weighted(), weighted(0, 0, 0, 0, 1)
	many := make([]data.Conversation, 3000)
	for i := range many {
		many[i] = plain
	}
	for _, name := range []string{"a.arrow", "a.parquet"} {
		dir := t.TempDir()
		path, again := filepath.Join(dir, name), filepath.Join(dir, "again-"+name)
		for _, at := range []int{0, 1, 1024, 2999, -1} {
			rows := append([]data.Conversation{}, many...)
			if at >= 0 {
				rows[at] = with
			}
			require.NoError(t, data.Write(path, rows, data.Lineage{Stage: "test"}))
			got, l, err := data.Read[data.Conversation](path)
			require.NoError(t, err)
			assert.Equal(t, rows, got)
			assert.Equal(t, "test", l.Stage)
			_, err = data.Open[onlyWeights](path)
			if at < 0 {
				assert.ErrorContains(t, err, "none of the columns")
			} else {
				require.NoError(t, err)
			}
			require.NoError(t, data.Write(again, got, data.Lineage{Stage: "test"}))
			assert.Equal(t, fingerprint(t, path), fingerprint(t, again))
			files, err := filepath.Glob(filepath.Join(dir, "*"))
			require.NoError(t, err)
			assert.Len(t, files, 2, "no file is left behind")
		}
	}
}

// onlyWeights finds out whether there is such a column.
type onlyWeights struct {
	Weights []float32 `arrow:"weights,optional"`
}

func (onlyWeights) Schema() data.Schema { return data.Conversation{}.Schema() }

func fingerprint(t *testing.T, path string) string {
	t.Helper()
	print, err := data.Fingerprint(path)
	require.NoError(t, err)
	return print
}

func TestWeightsAreChecked(t *testing.T) {
	for want, c := range map[string]data.Conversation{
		"3 weights for 5 messages":          weighted(0, 0, 1),
		"message 2 has the weight -1":       weighted(0, 0, -1, 0, 1),
		"message 1 (user) has the weight 1": weighted(0, 1, 1, 0, 1),
		"all have weight 0":                 weighted(0, 0, 0, 0, 0),
	} {
		assert.ErrorContains(t, c.Validate(), want)
	}
	c := weighted(0, 0, 0, 0, 2)
	assert.NoError(t, c.Validate())
}

// The weight of an answer is that of its tokens, EOS included; a dialogue without weights is as before.
func TestEncodeConversation(t *testing.T) {
	tmpl, err := data.Llama2Template(bytesTokenizer{})
	require.NoError(t, err)
	plain, err := tmpl.EncodeDialog(weighted().Messages, data.AllTurns)
	require.NoError(t, err)
	got, err := tmpl.EncodeConversation(weighted(0, 0, 0, 0, 0.5), data.AllTurns)
	require.NoError(t, err)
	last, err := tmpl.EncodeDialog(weighted().Messages, data.LastTurn)
	require.NoError(t, err)
	assert.Equal(t, plain.Tokens, got.Tokens)
	for i, w := range last.Weights {
		assert.Equal(t, w/2, got.Weights[i], i)
	}
	got, err = tmpl.EncodeConversation(weighted(0, 0, 1, 0, 1), data.AllTurns)
	require.NoError(t, err)
	assert.Equal(t, plain, got)
	size, err := tmpl.Size(weighted(0, 0, 0, 0, 1))
	require.NoError(t, err)
	all, err := tmpl.Size(weighted())
	require.NoError(t, err)
	assert.Less(t, size.Answer, all.Answer)
	assert.Equal(t, all.Whole(), size.Whole())
}
