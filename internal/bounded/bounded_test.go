package bounded_test

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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

func TestReadLine(t *testing.T) {
	r := bufio.NewReaderSize(strings.NewReader(strings.Repeat("a", 99)+"\n"+strings.Repeat("b", 100)+"\n\nc\n"+strings.Repeat("d", 101)), 16)
	var long *bounded.LineError
	line, err := bounded.ReadLine(r, 100)
	require.NoError(t, err)
	assert.Equal(t, strings.Repeat("a", 99)+"\n", string(line))
	_, err = bounded.ReadLine(r, 100)
	require.ErrorAs(t, err, &long)
	assert.EqualError(t, err, "the line has more than 100 bytes, which is the limit")
	for _, want := range []string{"\n", "c\n"} {
		line, err = bounded.ReadLine(r, 100)
		require.NoError(t, err)
		assert.Equal(t, want, string(line))
	}
	_, err = bounded.ReadLine(r, 100)
	assert.ErrorAs(t, err, &long)
	assert.ErrorIs(t, err, io.EOF)
}
