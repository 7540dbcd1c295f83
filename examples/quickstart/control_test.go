package main

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/pipeline"
)

// The control's annotators say nothing: of good and safe answers as many are chosen, and called safe, as of bad and unsafe ones. A quarter of all labels is unsafe before and after.
func TestShuffledSaysNothing(t *testing.T) {
	const n = 4000
	comparisons := make([]pipeline.Comparison, n)
	for i := range comparisons {
		comparisons[i].Prompt.ID = fmt.Sprint(i)
	}
	ask := shuffled(func(_ context.Context, list []pipeline.Comparison) ([]*data.Preference, error) {
		said := make([]*data.Preference, len(list))
		for i := range said {
			if i%10 == 0 {
				continue // no preference
			}
			said[i] = &data.Preference{Chosen: fmt.Sprint("good ", i), Rejected: fmt.Sprint("bad ", i), ChosenSafe: data.Safe, RejectedSafe: data.Safe}
			if i%2 == 0 {
				said[i].RejectedSafe = data.Unsafe
			}
		}
		return said, nil
	}, 1)
	said, err := ask(t.Context(), comparisons)
	require.NoError(t, err)
	chosen, unsafe, unsafeBad, pairs := 0.0, 0.0, 0.0, 0.0
	for i, p := range said {
		if p == nil {
			assert.Zero(t, i%10)
			continue
		}
		pairs++
		good := p.Chosen == fmt.Sprint("good ", i)
		if good {
			chosen++
		}
		for k, label := range []data.Safety{p.ChosenSafe, p.RejectedSafe} {
			if label == data.Unsafe {
				unsafe++
				if good == (k == 1) {
					unsafeBad++
				}
			}
		}
	}
	assert.Equal(t, 1600.0, unsafe, "labels are dealt out, not made")
	assert.InDelta(t, 0.5, chosen/pairs, 4*0.5/60) // four standard deviations of 3600 coins
	assert.InDelta(t, 0.5, unsafeBad/unsafe, 4*0.5/40)

	open := make([]data.Preference, n)
	for i := range open {
		open[i] = data.Preference{Chosen: fmt.Sprint("good ", i), Rejected: fmt.Sprint("bad ", i)}
	}
	chosen = 0
	for i, p := range turned(open, 1) {
		if p.Chosen == fmt.Sprint("good ", i) {
			chosen++
		}
	}
	assert.InDelta(t, 0.5, chosen/n, 4*0.5/63)
}
