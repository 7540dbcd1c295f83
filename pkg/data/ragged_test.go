package data_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
)

func TestRaggedAppend(t *testing.T) {
	r := data.NewRagged(8, 3)
	n, s := r.Used()
	assert.Equal(t, []int{0, 0}, []int{n, s})
	assert.Equal(t, []int32{0, 0, 0, 0, 0}, r.Layout)

	seg, err := r.Append([]int32{1, 10, 11, 2}, []bool{true, false, true, true})
	require.NoError(t, err)
	assert.Equal(t, 0, seg)
	assert.Equal(t, []int32{1, 0, 4, 4, 4}, r.Layout)
	seg, err = r.Append([]int32{1, 20}, nil)
	require.NoError(t, err)
	assert.Equal(t, 1, seg)

	// Written by hand from the slot convention.
	assert.Equal(t, []int32{1, 10, 11, 2, 1, 20, 0, 0}, r.Tokens)
	assert.Equal(t, []int32{10, 11, 2, -1, 20, -1, -1, -1}, r.Targets)
	assert.Equal(t, []int32{0, 0, 0, 0, 1, 1, -1, -1}, r.Segments)
	assert.Equal(t, []float32{0, 1, 1, 0, 0, 0, 0, 0}, r.Mask)
	assert.Equal(t, []int32{2, 0, 4, 6, 6}, r.Layout)
	assert.Equal(t, 2, r.Counted())
	lo, hi := r.Span(1)
	assert.Equal(t, []int{4, 6}, []int{lo, hi})
	n, s = r.Used()
	assert.Equal(t, []int{6, 2}, []int{n, s})

	assert.True(t, r.Fits(2))
	assert.False(t, r.Fits(3))
	_, err = r.Append([]int32{7}, nil)
	require.NoError(t, err)
	assert.Equal(t, []int32{3, 0, 4, 6, 7}, r.Layout)
	assert.False(t, r.Fits(1), "no segment left")
}

// Two answers to the prompt 1 10, the second one as a branch, then a sequence of its own with another branch.
func TestRaggedAppendBranch(t *testing.T) {
	r := data.NewRagged(12, 5)
	for _, add := range []func() (int, error){
		func() (int, error) { return r.Append([]int32{1, 10, 20, 2}, []bool{false, false, true, true}) },
		func() (int, error) { return r.AppendBranch(2, []int32{30, 31, 2}, []bool{true, true, true}) },
		func() (int, error) { return r.Append([]int32{1, 11}, nil) },
		func() (int, error) { return r.AppendBranch(2, []int32{40}, nil) },
		func() (int, error) { return r.AppendBranch(1, []int32{50, 51}, nil) },
	} {
		_, want := r.Used()
		seg, err := add()
		require.NoError(t, err)
		assert.Equal(t, want, seg)
	}
	assert.Equal(t, []int32{1, 10, 20, 2, 30, 31, 2, 1, 11, 40, 50, 51}, r.Tokens)
	assert.Equal(t, []int32{10, 20, 2, -1, 31, 2, -1, 11, -1, -1, 51, -1}, r.Targets)
	assert.Equal(t, []int32{0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 4, 4}, r.Segments)
	assert.Equal(t, []float32{0, 1, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0}, r.Mask, "nothing in the micro-batch predicts the 30")
	assert.Equal(t, []int32{5, 0, 4, 7, 9, 10, 12}, r.Layout)
	assert.Equal(t, []int32{0, 2, 0, 2, 1}, r.Shared)
}

func TestRaggedAppendBranchRefuses(t *testing.T) {
	_, err := data.NewRagged(8, 3).AppendBranch(1, []int32{1}, nil)
	assert.ErrorContains(t, err, "append its root first")
	filled := func() *data.Ragged {
		r := data.NewRagged(8, 3)
		_, err = r.Append([]int32{1, 2, 3}, nil)
		require.NoError(t, err)
		_, err = r.AppendBranch(1, []int32{4, 5, 6, 7}, nil)
		require.NoError(t, err)
		return r
	}
	r := filled()
	for shared, want := range map[int]string{
		0: "0 shared tokens, want 1 to the 3 of the root", 4: "4 shared tokens, want 1 to the 3 of the root", -1: "-1 shared tokens",
	} {
		_, err = r.AppendBranch(shared, []int32{1}, nil)
		assert.ErrorContains(t, err, want, "the root is what counts, not the branch")
	}
	_, err = r.AppendBranch(2, nil, nil)
	assert.ErrorContains(t, err, "at least one token")
	_, err = r.AppendBranch(2, []int32{1, 2}, nil)
	assert.ErrorIs(t, err, data.ErrFull)
	assert.Equal(t, filled(), r, "a refused segment leaves nothing behind")
}

func TestRaggedReset(t *testing.T) {
	r := data.NewRagged(4, 2)
	_, err := r.Append([]int32{3, 4, 5}, []bool{false, true, true})
	require.NoError(t, err)
	_, err = r.AppendBranch(2, []int32{6}, nil)
	require.NoError(t, err)
	r.TokenColumn("old_log_probs")[1] = -2
	r.SegmentColumn("score")[0] = 0.5
	r.Reset()

	want := data.NewRagged(4, 2)
	want.TokenColumn("old_log_probs")
	want.SegmentColumn("score")
	assert.Equal(t, want, r)
}

func TestRaggedAppendRefuses(t *testing.T) {
	r := data.NewRagged(4, 2)
	_, err := r.Append(nil, nil)
	assert.ErrorContains(t, err, "at least one token")
	_, err = r.Append([]int32{1, 2}, []bool{true})
	assert.ErrorContains(t, err, "1 counted flags for 2 tokens")
	_, err = r.Append([]int32{1, -1}, nil)
	assert.ErrorContains(t, err, "token 1 is -1")
	_, err = r.Append(make([]int32, 5), nil)
	assert.ErrorIs(t, err, data.ErrTooLong)
	assert.Equal(t, data.NewRagged(4, 2), r, "a refused segment leaves nothing behind")

	_, err = r.Append(make([]int32, 3), nil)
	require.NoError(t, err)
	_, err = r.Append(make([]int32, 2), nil)
	assert.ErrorIs(t, err, data.ErrFull)
}

func TestPack(t *testing.T) {
	// Decreasing: 6(#3) opens A, 5(#1) opens B, 4(#0) and 4(#4): the fuller A leaves 0, then B leaves 1; 2(#2) opens C.
	got, err := data.Pack([]int{4, 5, 2, 6, 4}, 10, 4)
	require.NoError(t, err)
	assert.Equal(t, [][]int{{0, 3}, {1, 4}, {2}}, got)

	got, err = data.Pack([]int{1, 1, 1, 1, 1}, 10, 2)
	require.NoError(t, err)
	assert.Equal(t, [][]int{{0, 1}, {2, 3}, {4}}, got)

	got, err = data.Pack(nil, 10, 2)
	require.NoError(t, err)
	assert.Empty(t, got)
}

func TestPackGroupsKeepsGroupsTogether(t *testing.T) {
	got, err := data.PackGroups([][]int{{3, 3}, {2, 2}, {5, 5}, {4}}, 10, 3)
	require.NoError(t, err)
	assert.Equal(t, [][]int{{0, 3}, {1}, {2}}, got) // {3,3} and {4} fill 10 slots and 3 segments
}

func TestPackTooLong(t *testing.T) {
	_, err := data.Pack([]int{3, 11}, 10, 2)
	var tooLong *data.TooLongError
	require.ErrorAs(t, err, &tooLong)
	assert.Equal(t, data.TooLongError{Index: 1, Length: 11, Budget: 10, Unit: "tokens"}, *tooLong)
	assert.True(t, errors.Is(err, data.ErrTooLong))

	_, err = data.PackGroups([][]int{{1}, {1, 1, 1}}, 10, 2)
	require.ErrorAs(t, err, &tooLong)
	assert.Equal(t, data.TooLongError{Index: 1, Length: 3, Budget: 2, Unit: "segments"}, *tooLong)

	_, err = data.Pack([]int{0}, 10, 2)
	assert.Error(t, err)
	_, err = data.Pack([]int{1}, 0, 2)
	assert.Error(t, err)
}

func TestBatches(t *testing.T) {
	items := [][]int{{4}, {4}, {4}, {4}, {4}}
	got, err := data.Batches(items, []int{4, 3, 2, 1, 0}, 3, 8, 2)
	require.NoError(t, err)
	assert.Equal(t, [][][]int{{{2, 3}, {4}}, {{0, 1}}}, got)

	_, err = data.Batches(items, []int{0, 0}, 3, 8, 2)
	assert.ErrorContains(t, err, "twice")
	_, err = data.Batches(items, nil, 0, 8, 2)
	assert.Error(t, err)
}

// Whatever the lengths, every sequence lies in exactly one micro-batch and no budget is exceeded.
func FuzzPack(f *testing.F) {
	f.Add([]byte{4, 5, 2, 6, 4, 1, 1, 1}, uint8(10), uint8(3))
	f.Fuzz(func(t *testing.T, raw []byte, n, s uint8) {
		if n == 0 || s == 0 {
			return
		}
		lengths := make([]int, len(raw))
		for i, b := range raw {
			lengths[i] = 1 + int(b)%int(n)
		}
		micro, err := data.Pack(lengths, int(n), int(s))
		require.NoError(t, err)
		seen := make([]int, len(lengths))
		for _, sequences := range micro {
			total := 0
			for _, i := range sequences {
				seen[i]++
				total += lengths[i]
			}
			assert.LessOrEqual(t, total, int(n))
			assert.LessOrEqual(t, len(sequences), int(s))
		}
		for i, times := range seen {
			assert.Equal(t, 1, times, "sequence %d", i)
		}
	})
}
