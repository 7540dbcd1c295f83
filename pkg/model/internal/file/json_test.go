package file

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	require.NoError(t, os.WriteFile(path, []byte("12345"), 0o600))
	text := func(raw []byte) (string, error) { return string(raw), nil }
	got, err := Parse(path, 5, text)
	require.NoError(t, err)
	assert.Equal(t, "12345", got)
	_, err = Parse(path, 4, text)
	assert.ErrorContains(t, err, "more than 4 bytes")
	_, err = Parse(dir, 4, text)
	assert.ErrorContains(t, err, "is no file")
}
