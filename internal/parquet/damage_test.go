package parquet

import (
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// LZ4 blocks, by the examples of its description: literals only, a copy, a copy that overlaps what it writes.
func TestUnpackLZ4(t *testing.T) {
	for in, want := range map[string]string{
		"\x30abc":                            "abc",
		"\x32abc\x03\x00\x10x":               "abcabcabcx",
		"\x1fa\x01\x00\x00\x00":              strings.Repeat("a", 20),
		"\xf0\x01" + strings.Repeat("b", 16): strings.Repeat("b", 16),
	} {
		got, err := new(column).unpackLZ4([]byte(in), len(want))
		require.NoError(t, err, "%q", in)
		assert.Equal(t, want, string(got))
		_, err = new(column).unpackLZ4([]byte(in), len(want)-1)
		assert.Error(t, err)
	}
	for _, damaged := range []string{"\x40abc", "\x11a\x02\x00", "\x11a\x00\x00", "\x11a\x01", "\xff", "\x1fa\x01\x00\xff"} {
		_, err := new(column).unpackLZ4([]byte(damaged), 1000)
		assert.Error(t, err, "%q", damaged)
	}
}

// A page cannot claim more memory than it may.
func TestUnpackBombs(t *testing.T) {
	zeros := make([]byte, 1<<20)
	c := &column{codec: 1}
	_, err := c.unpack(s2.EncodeSnappy(nil, zeros), 10)
	assert.Error(t, err)
	_, err = c.unpack([]byte("\xff\xff\xff\xff\x0f"), 1<<32-1)
	assert.Error(t, err)
	c.codec = 6
	_, err = c.unpack(zstdZeros(t, 64<<20), 1000)
	assert.ErrorContains(t, err, "unpacks to other than the 1000 bytes")
	_, err = c.unpack([]byte("no"), 1000)
	assert.Error(t, err)
	c.codec = 3
	_, err = c.unpack([]byte("no"), 0)
	assert.ErrorContains(t, err, "compressed with LZO (3)")
}

// Thrift that claims more than there is.
func TestThriftBombs(t *testing.T) {
	for _, raw := range []string{"\x19\xfc\xff\xff\xff\xff\x07", "\x18\xff\xff\xff\xff\x07", "\x1b\xff\xff\xff\xff\x07\x88", strings.Repeat("\x1c", 100), "\x19\x99" + strings.Repeat("\x19", 100), ""} {
		_, _, err := parseThrift([]byte(raw))
		assert.ErrorIs(t, err, errThrift, "%q", raw)
	}
}

// Numbers packed with differences, by the example of the format's description: 7, 5, 3, 1, 2, 3, 4, 5.
func TestDelta(t *testing.T) {
	// Blocks of 128 in 4 small ones, 8 values, first 7; least difference -2, then widths 2 0 0 0 and the rest of each
	// difference in 2 bits: 0 0 0 3 3 3 3.
	raw := append([]byte("\x80\x01\x04\x08\x0e\x03\x02\x00\x00\x00\xc0\x3f"), make([]byte, 6)...)
	d, err := newDelta(append(raw, "rest"...))
	require.NoError(t, err)
	again := *d
	for _, want := range []int64{7, 5, 3, 1, 2, 3, 4, 5} {
		got, err := d.next()
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	_, err = d.next()
	assert.ErrorIs(t, err, errPage)
	rest, err := again.rest()
	require.NoError(t, err)
	assert.Equal(t, "rest", string(rest))
}

func zstdZeros(t testing.TB, n int) []byte {
	w, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	return w.EncodeAll(make([]byte, n), nil)
}
