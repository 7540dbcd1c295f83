package data

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAnswerExample: the loss is on the answer's tokens alone.
func TestAnswerExample(t *testing.T) {
	a := Answer{Prompt: TokenPrompt{Tokens: []int32{1, 5, 6}}, Tokens: []int32{7, 2}}
	e := a.Example()
	assert.Equal(t, Example{Tokens: []int32{1, 5, 6, 7, 2}, Weights: []float32{0, 0, 0, 1, 1}}, e)
	assert.Equal(t, []bool{false, false, false, true, true}, e.Counted())
	assert.Equal(t, []bool{true, false}, Example{Weights: []float32{0.5, 0}}.Counted())
}

func TestEachAnswer(t *testing.T) {
	length := EachAnswer(func(a Answer) float64 { return float64(len(a.Tokens)) })
	rewards, err := length(t.Context(), []Answer{{Tokens: []int32{1, 2}}, {}, {Tokens: []int32{3}}})
	require.NoError(t, err)
	assert.Equal(t, []float64{2, 0, 1}, rewards)
}

// A slot's action is the next token: those of the answer are predicted from the prompt's last token on.
func TestAnswerSlots(t *testing.T) {
	r := NewRagged(12, 2)
	_, err := r.Append([]int32{1, 2}, nil)
	require.NoError(t, err)
	a := Answer{Prompt: TokenPrompt{Tokens: []int32{3, 4, 5}}, Tokens: []int32{6, 7}}
	seg, err := r.Append(a.Sequence(), nil)
	require.NoError(t, err)
	lo, hi := a.Slots(r, seg)
	assert.Equal(t, a.Tokens, r.Targets[lo:hi])
}
