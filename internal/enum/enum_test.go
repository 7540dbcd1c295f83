package enum_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tame-rlhf/tame/internal/enum"
)

type color int

// The zero value has no name.
var colors = []string{1: "red", 2: "green"}

func TestNames(t *testing.T) {
	assert.Equal(t, "green", enum.String("Color", color(2), colors))
	text, err := enum.Marshal("color", color(1), colors)
	assert.NoError(t, err)
	assert.Equal(t, "red", string(text))
	var c color
	assert.NoError(t, enum.Unmarshal("color", []byte("green"), &c, colors))
	assert.Equal(t, color(2), c)
	assert.EqualError(t, enum.Unmarshal("color", []byte("blue"), &c, colors), `unknown color "blue", want red or green`)
	assert.EqualError(t, enum.Unmarshal("color", nil, &c, colors), `unknown color "", want red or green`)
	assert.Equal(t, color(2), c, "an error changes nothing")
}

func TestUnnamed(t *testing.T) {
	for value, want := range map[color]string{0: "Color(0)", 3: "Color(3)", -1: "Color(-1)"} {
		assert.Equal(t, want, enum.String("Color", value, colors))
		_, err := enum.Marshal("color", value, colors)
		assert.Error(t, err)
	}
	_, err := enum.Marshal("color", color(9), colors)
	assert.EqualError(t, err, "unknown color 9, want red or green")
	assert.EqualError(t, enum.Unmarshal("switch", nil, new(color), []string{"on", "off", "", "auto"}), `unknown switch "", want on, off or auto`)
	assert.EqualError(t, enum.Unmarshal("switch", []byte("x"), new(color), []string{"on"}), `unknown switch "x", want on`)
}
