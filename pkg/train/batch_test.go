package train_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/train"
)

func TestBatch(t *testing.T) {
	items := [][]int32{{1, 2, 3}, {4, 5}, {6, 7, 8, 9}}
	add := func(r *data.Ragged, i int) error {
		_, err := r.Append(items[i], nil)
		return err
	}
	b := train.NewBatch(6, 2)
	micro, err := b.Fill([][]int{{2, 1}, {0}}, add)
	require.NoError(t, err)
	require.Len(t, micro, 2)
	assert.Equal(t, []int32{6, 7, 8, 9, 4, 5}, micro[0].Tokens)
	assert.Equal(t, []int32{1, 2, 3, 0, 0, 0}, micro[1].Tokens)
	assert.Equal(t, 9, train.UsedTokens(micro))

	first := micro[0]
	micro, err = b.Fill([][]int{{1}}, add)
	require.NoError(t, err)
	require.Len(t, micro, 1)
	assert.Same(t, first, micro[0], "the memory is used again")
	assert.Equal(t, []int32{4, 5, 0, 0, 0, 0}, micro[0].Tokens)

	_, err = b.Fill([][]int{{2, 0}}, add)
	assert.ErrorIs(t, err, data.ErrFull)
}
