package main

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
)

func TestPreferences(t *testing.T) {
	assert.Equal(t, 2.0, quality("open oil kick test"))
	agree := 0
	rows := preferences(3, 500)
	for _, row := range rows {
		require.NoError(t, row.Validate())
		if quality(row.Chosen) >= quality(row.Rejected) {
			agree++
		}
	}
	assert.Greater(t, agree, 400, "the annotator is mostly right")
	assert.Less(t, agree, 500, "and sometimes wrong")
}

func TestRun(t *testing.T) {
	losses, e, err := run(context.Background(), t.Output())
	require.NoError(t, err)
	require.Len(t, losses, 40)
	assert.Less(t, losses[39], losses[0]/2)
	assert.Equal(t, 600, e.Accuracy.N)
	assert.Greater(t, e.Accuracy.Rate(), 0.75)
	sure, unsure := e.ByRating[data.SignificantlyBetter], e.ByRating[data.NegligiblyBetter]
	assert.Greater(t, sure.Rate(), 0.95)
	assert.Greater(t, sure.Rate(), unsure.Rate()+0.2, "accuracy rises with the rating")
}
