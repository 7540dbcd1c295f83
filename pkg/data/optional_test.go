package data_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
)

// Conversations of others hardly ever say where they are from.
func TestOptionalColumn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.arrow")
	messages := []data.Message{{data.User, "Hi"}, {data.Assistant, "Hello"}}
	require.NoError(t, data.Write(path, []bareConversation{{messages}}, data.Lineage{}))
	rows, _, err := data.Read[data.Conversation](path)
	require.NoError(t, err)
	assert.Equal(t, []data.Conversation{{Messages: messages}}, rows)
}

type bareConversation struct {
	Messages []data.Message `arrow:"messages"`
}

func (bareConversation) Schema() data.Schema { return data.Conversation{}.Schema() }
