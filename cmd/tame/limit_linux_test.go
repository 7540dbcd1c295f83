package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A limit of the address space, as batch systems set it, ends in an error and not in a dump of the runtime. The model is a llama2.c file
// of zeros, which takes no room on the disk.
func TestLowLimitIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.bin")
	const dim, hidden, layers, heads, vocab, context = 1024, 4096, 16, 16, 290, 64
	raw, err := binary.Append(nil, binary.LittleEndian, []int32{dim, hidden, layers, heads, heads, vocab, context})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, raw, 0o600))
	weights := vocab*dim + layers*(4*dim*dim+3*dim*hidden+2*dim) + dim
	require.NoError(t, os.Truncate(path, int64(len(raw)+4*(weights+context*dim/heads))))
	cmd := process("generate", "--model", path, "--tokenizer", filepath.Join(policyModel(t), "tokenizer.model"))
	cmd.Args = append([]string{"sh", "-c", `ulimit -v 2000000; exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
	cmd.Stdin = strings.NewReader(`{"tokens": [1]}` + "\n")
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "ThreadSanitizer") {
		t.Skip("the race detector needs more address space than that")
	}
	assert.Error(t, err)
	assert.Regexp(t, fmt.Sprintf(`its %d weights take 1025\.3 MiB of memory, and ulimit -v leaves \d+\.\d: take a smaller model, or allow more memory`, weights), string(out))
	assert.NotContains(t, string(out), "goroutine")
}
