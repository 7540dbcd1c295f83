package pipeline_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/pipeline"
)

// Rewards 1, 2, 3, 6 have the mean 3 and the variance (4+1+0+9)/3; the interval is 1.96 standard errors.
func TestSummariseRewards(t *testing.T) {
	at := func(version int, combined float64, safety *float64) data.Sample {
		return data.Sample{Version: version, Combined: &combined, Safety: safety}
	}
	low, high := -1.0, 3.0
	list := pipeline.SummariseRewards([]data.Sample{at(2, 1, nil), at(0, 7, &low), at(2, 2, nil), at(2, 3, nil), at(0, 9, &high), at(2, 6, nil)})
	require.Len(t, list, 2)
	assert.Equal(t, 0, list[0].Version)
	assert.Equal(t, 8.0, list[0].Reward.Mean)
	require.NotNil(t, list[0].Safety)
	assert.Equal(t, 1.0, list[0].Safety.Mean)
	assert.Nil(t, list[0].Helpfulness)

	assert.Equal(t, 2, list[1].Version)
	assert.Equal(t, 3.0, list[1].Reward.Mean)
	assert.Equal(t, 4, list[1].Reward.N)
	assert.InDelta(t, 3-1.96*math.Sqrt(14.0/3/4), list[1].Reward.Lo, 1e-4)
	assert.Nil(t, list[1].Safety)
	assert.Empty(t, pipeline.SummariseRewards(nil))
}
