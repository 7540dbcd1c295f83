package ppo

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestChoicesHaveNames(t *testing.T) {
	for name, value := range map[string]Unfinished{"penalty": UnfinishedPenalty, "fixed": UnfinishedFixed, "keep": UnfinishedKeep} {
		text, err := value.MarshalText()
		require.NoError(t, err)
		assert.Equal(t, name, string(text))
		var back Unfinished
		require.NoError(t, back.UnmarshalText(text))
		assert.Equal(t, value, back)
	}
	for name, value := range map[string]KLControl{"fixed": KLFixed, "adaptive": KLAdaptive} {
		raw, err := json.Marshal(value)
		require.NoError(t, err)
		assert.Equal(t, `"`+name+`"`, string(raw))
		var back KLControl
		require.NoError(t, json.Unmarshal(raw, &back))
		assert.Equal(t, value, back)
	}
	var k KLControl
	assert.EqualError(t, k.UnmarshalText([]byte("adaptiv")), `unknown choice "adaptiv", want fixed or adaptive`)
	_, err := Unfinished(7).MarshalText()
	assert.ErrorContains(t, err, "unknown choice 7, want penalty, fixed or keep")
}
