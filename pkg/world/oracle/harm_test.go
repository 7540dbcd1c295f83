package oracle_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
