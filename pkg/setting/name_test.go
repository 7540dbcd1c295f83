package setting

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type colour int

var colours = []string{1: "red", 2: "green", 4: "dark blue"} // 0 and 3 are no values

func TestNames(t *testing.T) {
	for value, want := range map[colour]string{1: "red", 2: "green", 4: "dark blue"} {
		text, err := Name(value, "colour", colours)
		require.NoError(t, err)
		assert.Equal(t, want, string(text))
		var back colour
		require.NoError(t, ParseName(&back, "colour", text, colours))
		assert.Equal(t, value, back)
	}
	for _, value := range []colour{-1, 0, 3, 5} {
		_, err := Name(value, "colour", colours)
		assert.ErrorContains(t, err, ", want red, green or dark blue", value)
	}
	_, err := Name(colour(3), "colour", colours)
	assert.EqualError(t, err, "unknown colour 3, want red, green or dark blue")
	c := colour(2)
	assert.EqualError(t, ParseName(&c, "colour", []byte("blue"), colours), `unknown colour "blue", want red, green or dark blue`)
	assert.Error(t, ParseName(&c, "colour", nil, colours), "an empty name is no value")
	assert.Equal(t, colour(2), c, "an error changes nothing")
	assert.EqualError(t, ParseName(&c, "switch", []byte("x"), []string{"on", "off"}), `unknown switch "x", want on or off`)
	assert.EqualError(t, ParseName(&c, "switch", []byte("x"), []string{"on"}), `unknown switch "x", want on`)
}
