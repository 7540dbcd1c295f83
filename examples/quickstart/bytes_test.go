package main

import (
	"crypto/sha256"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// outEnv names the folder that a process started by TestSameBytes writes to.
const outEnv = "QUICKSTART_TEST_OUT"

// TestSameBytes runs the whole chain on other numbers of threads and with narrower vectors: every model has the same bytes at the end.
func TestSameBytes(t *testing.T) {
	if testing.Short() {
		t.Skip("several runs of the whole chain")
	}
	exe, err := os.Executable()
	require.NoError(t, err)
	var first map[string][sha256.Size]byte
	for _, env := range [][]string{
		{"GOMAXPROCS=1"},
		{"GOMAXPROCS=2"},
		{"GOMAXPROCS=5", "GODEBUG=cpu.avx512f=off"}, // AVX2 where there is AVX-512
	} {
		out := filepath.Join(t.TempDir(), "out")
		cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestOneRun$")
		cmd.Env = append(append(os.Environ(), env...), outEnv+"="+out)
		log, err := cmd.CombinedOutput()
		require.NoError(t, err, "%v: %s", env, log)
		got := weightsIn(t, out)
		require.Len(t, got, 8, "the start, and two versions with two reward models each, one of them with PPO")
		if first == nil {
			first = got
		}
		assert.Equal(t, first, got, "%v", env)
	}
}

// TestOneRun is what TestSameBytes starts.
func TestOneRun(t *testing.T) {
	out := os.Getenv(outEnv)
	if out == "" {
		t.Skip("started by TestSameBytes only")
	}
	require.NoError(t, quickstart(t.Context(), silent(t), 1, "none", true, out))
}

// weightsIn are the checksums of all weights under a folder.
func weightsIn(t *testing.T, dir string) map[string][sha256.Size]byte {
	t.Helper()
	sums := map[string][sha256.Size]byte{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".safetensors") {
			return err
		}
		raw, err := os.ReadFile(path)
		sums[strings.TrimPrefix(path, dir)] = sha256.Sum256(raw)
		return err
	}))
	return sums
}
