package each_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tame-rlhf/tame/internal/each"
)

func TestOf(t *testing.T) {
	assert.Equal(t, []string{"3", "-1"}, each.Of([]int{3, -1}, strconv.Itoa))
	assert.Equal(t, []string{}, each.Of(nil, strconv.Itoa), "not nil, as a loop over make gives it")
}
