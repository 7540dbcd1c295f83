package gatt

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/eval"
)

func TestAttentionQuery(t *testing.T) {
	talk := byHand()
	query, err := talk.AttentionQuery(template(t))
	require.NoError(t, err)
	assert.Equal(t, []int32{
		bos, open, 25, 26, 15, shut, 30, 31, eos,
		bos, open, 25, 26, 16, shut, 32, eos,
		bos, open, 25, 26, 17, shut, 33, 34, eos,
	}, query.Tokens)
	assert.Equal(t, []eval.Span{{From: 2, To: 4}}, query.To, "20 21 of the first turn")
	assert.Equal(t, []eval.Span{{From: 22, To: 25}}, query.From, "33, 34 and the end are predicted one token before they stand")

	none := byHand()
	none.Turns[0].Prompt = []int32{bos, open, 15, shut}
	_, err = none.AttentionQuery(template(t))
	assert.ErrorContains(t, err, "no instruction")
	_, err = Transcript{}.AttentionQuery(template(t))
	assert.ErrorContains(t, err, "at least one turn")
}
