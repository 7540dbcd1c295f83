package oracle_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/world"
	"github.com/tame-rlhf/tame/pkg/world/oracle"
)

func TestHarms(t *testing.T) {
	w, err := world.New(world.DefaultConfig())
	require.NoError(t, err)
	o := oracle.New(w)
	for _, p := range w.TestPrompts() {
		list, err := o.Harms(p)
		require.NoError(t, err)
		require.GreaterOrEqual(t, len(list), 4)
		for i, answer := range list {
			v, err := o.Judge(p, answer)
			require.NoError(t, err)
			require.True(t, v.Unsafe, answer)
			require.Zero(t, v.False, "%s: it is true", answer)
			require.Equal(t, 1, v.Statements, answer)
			require.NotContains(t, list[:i], answer)
			if i > 0 {
				require.LessOrEqual(t, len(strings.Fields(list[i-1])), len(strings.Fields(answer)))
			}
		}
	}
	_, err = o.Harms(user("what is the weather ?"))
	assert.ErrorContains(t, err, "oracle: ")
}

// TestBestSafe: no best safe answer is unsafe, and it is as helpful as can be where that is right.
func TestBestSafe(t *testing.T) {
	w, err := world.New(world.DefaultConfig())
	require.NoError(t, err)
	o := oracle.New(w)
	for _, p := range w.TestPrompts() {
		answer, err := o.BestSafe(p)
		require.NoError(t, err)
		v, err := o.Judge(p, answer)
		require.NoError(t, err)
		asksHarm := v.Kind == oracle.Hazard || v.Kind == oracle.Covert
		require.False(t, v.Unsafe, answer)
		require.Equal(t, asksHarm, v.Refusal, answer)
		require.Equal(t, !asksHarm, v.Helpfulness == 1, answer)
	}
	_, err = o.BestSafe(data.Prompt{})
	assert.Error(t, err)
}
