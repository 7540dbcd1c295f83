package file

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReadSmall(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	require.NoError(t, os.WriteFile(path, []byte("12345"), 0o600))
	raw, err := ReadSmall(path, 5)
	require.NoError(t, err)
	assert.Equal(t, "12345", string(raw))
	_, err = ReadSmall(path, 4)
	assert.ErrorContains(t, err, "more than 4 bytes")
	_, err = ReadSmall(dir, 4)
	assert.ErrorContains(t, err, "is no file")
}
