package yamlconf

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// Inputs are in the order of the keys, those of embedded structs among them.
func TestInputs(t *testing.T) {
	type inner struct {
		Tokenizer string `conf:"input"`
		Output    string `conf:"required,place"`
	}
	cfg := struct {
		Model string `conf:"required,input"`
		inner
		Data  []string `conf:"required,input"`
		Mix   []string `conf:"input"`
		Names []string
	}{"m", inner{"", "o"}, []string{"a/b", "c"}, nil, []string{"n"}}
	assert.Equal(t, []string{"m", "", "a/b", "c"}, Inputs(&cfg))
}
