package memory

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// What the runtime reserves counts for ulimit -v, and is no memory for data.
func TestAddressSpace(t *testing.T) {
	var before unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_AS, &before))
	t.Cleanup(func() { assert.NoError(t, unix.Setrlimit(unix.RLIMIT_AS, &before)) })
	const gib = 1 << 30
	limit := before
	limit.Cur = uint64(addressSpace()) + gib
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_AS, &limit))
	got := Available()
	assert.Equal(t, "ulimit -v", got.Of)
	assert.InDelta(t, gib, got.Bytes, gib/16)
}
