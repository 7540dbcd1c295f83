package bounded_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/bounded"
)

func TestReadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	_, err := bounded.ReadFile(path, 5)
	assert.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, os.WriteFile(path, []byte("12345"), 0o600))
	raw, err := bounded.ReadFile(path, 5)
	require.NoError(t, err)
	assert.Equal(t, "12345", string(raw))
	_, err = bounded.ReadFile(path, 4)
	assert.ErrorContains(t, err, path+" has more than 4 bytes")
	_, err = bounded.ReadAny(path, 4)
	assert.ErrorContains(t, err, path+" has more than 4 bytes")
	_, err = bounded.ReadFile(filepath.Dir(path), 5)
	assert.ErrorContains(t, err, "is no file")
}

func TestErrors(t *testing.T) {
	var e bounded.Errors
	assert.NoError(t, e.Err())
	told := 0
	for range 12 {
		e.Add(func() error { told++; return errors.New("wrong") })
	}
	assert.Equal(t, 12, e.Len())
	assert.Equal(t, 10, told, "the others are counted only")
	assert.ErrorContains(t, e.Err(), "wrong\nand 2 more such errors")
	assert.EqualError(t, bounded.Few([]error{fs.ErrExist}), fs.ErrExist.Error())
	assert.NoError(t, bounded.Few(nil))
}
