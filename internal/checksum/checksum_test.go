package checksum_test

import (
	"context"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/checksum"
)

// folder is one with files a and sub/b, and a folder deep with sums of its own.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, sub := range []string{"sub", "deep"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, sub), 0o755))
	}
	for _, name := range []string{"sub/b", "deep/c"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644))
	}
	deep := checksum.Sums{}
	require.NoError(t, deep.AddTree(filepath.Join(dir, "deep")))
	require.NoError(t, deep.Write(filepath.Join(dir, "deep")))
	sums := checksum.Sums{}
	require.NoError(t, sums.Create(dir, "a", func(w io.Writer) error { _, err := w.Write([]byte("abc")); return err }))
	assert.Equal(t, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", sums["a"], "FIPS 180-2, appendix B.1")
	require.NoError(t, sums.AddTree(dir))
	require.NoError(t, sums.Write(dir))
	return dir
}

func check(dir string) (checksum.Report, error) {
	return new(checksum.Hasher).Check(context.Background(), dir, checksum.All)
}

func TestCheck(t *testing.T) {
	dir := folder(t)
	r, err := check(dir)
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "deep/c", "sub/b"}, r.Files)

	for want, damage := range map[string]func(dir string) error{
		"a has other bytes":              func(dir string) error { return os.WriteFile(filepath.Join(dir, "a"), []byte("abd"), 0o644) },
		"deep/c has other bytes":         func(dir string) error { return os.WriteFile(filepath.Join(dir, "deep/c"), nil, 0o644) },
		"sub/b is missing":               func(dir string) error { return os.Remove(filepath.Join(dir, "sub/b")) },
		"deep/SHA256SUMS is missing":     func(dir string) error { return os.RemoveAll(filepath.Join(dir, "deep")) },
		"sub/x is not in SHA256SUMS":     func(dir string) error { return os.WriteFile(filepath.Join(dir, "sub/x"), nil, 0o644) },
		"deep/SHA256SUMS has other":      func(dir string) error { return checksum.Sums{}.Write(filepath.Join(dir, "deep")) },
		"SHA256SUMS is damaged itself":   func(dir string) error { return os.Truncate(filepath.Join(dir, "SHA256SUMS"), 90) },
		"a has other bytes, sub/b is mi": func(dir string) error { return os.Rename(filepath.Join(dir, "sub/b"), filepath.Join(dir, "a")) },
	} {
		dir := folder(t)
		require.NoError(t, damage(dir))
		_, err := check(dir)
		assert.ErrorIs(t, err, checksum.ErrDamaged)
		assert.ErrorContains(t, err, want)
	}
	_, err = check(t.TempDir())
	assert.ErrorIs(t, err, fs.ErrNotExist)
}

// What people add is told, hidden files are nobody's.
func TestExtraFiles(t *testing.T) {
	dir := folder(t)
	for _, name := range []string{".DS_Store", "README.md", "deep/notes"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o644))
	}
	r, err := new(checksum.Hasher).Check(t.Context(), dir, checksum.Weights)
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"README.md", "deep/notes"}, r.Extra)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "further.safetensors"), nil, 0o644))
	_, err = new(checksum.Hasher).Check(t.Context(), dir, checksum.Weights)
	assert.ErrorContains(t, err, "further.safetensors is not in SHA256SUMS")
}

// A flipped bit in any byte of the file itself is seen.
func TestSumsGuardThemselves(t *testing.T) {
	dir := folder(t)
	path := filepath.Join(dir, checksum.Name)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for i := range whole {
		raw := append([]byte{}, whole...)
		raw[i] ^= 1 << (i % 8)
		require.NoError(t, os.WriteFile(path, raw, 0o644))
		_, err := checksum.Read(dir)
		require.ErrorIs(t, err, checksum.ErrDamaged, "byte %d", i)
	}
	for n := range whole {
		require.NoError(t, os.WriteFile(path, whole[:n], 0o644))
		_, err := checksum.Read(dir)
		require.ErrorIs(t, err, checksum.ErrDamaged, "cut to %d", n)
	}
	assert.ErrorContains(t, checksum.Sums{"a\nb": "0"}.Write(dir), "line break")
}

// The program sha256sum reads the file.
func TestSha256sum(t *testing.T) {
	program, err := exec.LookPath("sha256sum")
	if err != nil {
		t.Skip("this system has no sha256sum")
	}
	cmd := exec.Command(program, "-c", checksum.Name)
	cmd.Dir = folder(t)
	out, err := cmd.CombinedOutput()
	assert.NoError(t, err, string(out))
}

// A file is hashed once while it stays as it is, and a context ends hashing.
func TestHasher(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	require.NoError(t, os.WriteFile(path, make([]byte, 3<<20), 0o644))
	read := int64(0)
	h := &checksum.Hasher{OnProgress: func(_ string, done, size int64) { read = max(read, done); assert.Equal(t, int64(3<<20), size) }}
	first, err := h.File(t.Context(), path)
	require.NoError(t, err)
	assert.Equal(t, int64(3<<20), read)
	read = 0
	again, err := h.File(t.Context(), path)
	require.NoError(t, err)
	assert.Equal(t, first, again)
	assert.Zero(t, read, "known")
	require.NoError(t, os.WriteFile(path, make([]byte, 2<<20), 0o644))
	h.OnProgress = nil
	other, err := h.File(t.Context(), path)
	require.NoError(t, err)
	assert.NotEqual(t, first, other)

	ctx, cancel := context.WithCancel(t.Context())
	read = 0
	h = &checksum.Hasher{OnProgress: func(_ string, done, _ int64) { read = done; cancel() }}
	_, err = h.File(ctx, path)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, int64(1<<20), read, "no further than the next look")
}
