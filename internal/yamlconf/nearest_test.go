package yamlconf

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestNearest(t *testing.T) {
	for written, want := range map[string]string{"modle": "model", "storeis": "stories", "dta": "data", "xyz": "", "datas": "data", "": ""} {
		assert.Equal(t, want, Nearest(written, []string{"model", "stories", "data"}), written)
	}
	for pair, want := range map[[2]string]int{{"", "abc"}: 3, {"ab", "ba"}: 1, {"kitten", "sitting"}: 3, {"abcd", "acbd"}: 1, {"same", "same"}: 0} {
		assert.Equal(t, want, distance(pair[0], pair[1]), pair)
	}
}
