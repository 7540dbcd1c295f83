package data_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
)

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
