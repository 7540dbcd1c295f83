package data

import (
	"reflect"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A small packed file may hold a text that takes all memory.
func TestLongTextIsRefused(t *testing.T) {
	b := array.NewStringBuilder(memory.DefaultAllocator)
	defer b.Release()
	b.Append(strings.Repeat("a", maxText))
	b.Append(strings.Repeat("a", maxText+1))
	texts := b.NewStringArray()
	defer texts.Release()
	c, err := newColumn("text", reflect.TypeFor[string]())
	require.NoError(t, err)
	text := reflect.New(reflect.TypeFor[string]()).Elem()
	require.NoError(t, c.get(texts, 0, text))
	assert.Len(t, text.String(), maxText)
	assert.EqualError(t, c.get(texts, 1, text), `column "text" has a text of 67108865 bytes, the limit is 67108864`)
}
