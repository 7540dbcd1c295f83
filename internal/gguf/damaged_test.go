package gguf

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func parseBytes(raw []byte) (*File, error) { return parse(bytes.NewReader(raw), int64(len(raw))) }

// patched gives a small file of one text and one tensor of 32 numbers, changed at some byte.
func patched(t testing.TB, change func(b []byte) []byte) []byte {
	t.Helper()
	raw := write(t, []KeyValue{{"text", "abc"}, {"list", []string{"d"}}}, source("w", F32, []int{4, 8}, make([]float32, 32)))
	return change(raw)
}

func TestDamaged(t *testing.T) {
	le := binary.LittleEndian
	const text = headerBytes + 8 + 4 // type of the first value
	const table = text + 4 + 8 + 3 + 8 + 4 + 4 + 4 + 8 + 8 + 1
	set64 := func(at int, v uint64) func([]byte) []byte {
		return func(b []byte) []byte { le.PutUint64(b[at:], v); return b }
	}
	set32 := func(at int, v uint32) func([]byte) []byte {
		return func(b []byte) []byte { le.PutUint32(b[at:], v); return b }
	}
	for _, c := range []struct {
		want   string
		change func([]byte) []byte
	}{
		{"not a GGUF file", func(b []byte) []byte { b[0] = 'g'; return b }},
		{"version 1, only 2 and 3", set32(4, 1)},
		{"version 4, only 2 and 3", set32(4, 4)},
		{"big endian", set32(4, 3<<24)},
		{"0 dimensions", set64(8, 1<<40)},                                               // tensors: the padding is no tensor
		{"byte 111: a metadata key needs", set64(16, 1<<50)},                            // entries
		{"byte 32: a metadata key needs 9223372036854775807", set64(24, math.MaxInt64)}, // key
		{"a text needs 18446744073709551615 bytes", set64(text+4, math.MaxUint64)},      // value
		{`metadata "text" at byte 24: the type of the value is 13`, set32(text, 13)},    // its type
		{"arrays of arrays", set32(text+4+8+3+8+4+4, kindArray)},                        // elements' type
		{"an array of 1152921504606846976 texts", set64(text+4+8+3+8+4+4+4, 1<<60)},     // their number
		{"an array of 9223372036854775808 values", func(b []byte) []byte { return set64(text+4+8+3+8+4+4+4, 1<<63)(set32(text+4+8+3+8+4+4, 0)(b)) }},
		{"a value needs", func(b []byte) []byte { return set64(text+4+8+3+8+4+4+4, 1<<20)(set32(text+4+8+3+8+4+4, 11)(b)) }},
		{`"text" is there twice`, func(b []byte) []byte { copy(b[text+4+8+3+8:], "text"); return b }},
		{`tensor "w" at byte 88: 5 dimensions`, set32(table+9, 5)},
		{"0 dimensions", set32(table+9, 0)},
		{"dimension 0 is 0", set64(table+13, 0)},
		{"dimension 0 is 4294967296", set64(table+13, 1<<32)},
		{"lies at bytes", set64(table+21, 5)},
		{"lies at bytes", set64(table+13, 1<<30)},
		{"rows of 8 numbers, Q8_0 has blocks of 32", set32(table+29, 8)},
		{"its offset 8 is no multiple of the alignment", set64(table+33, 8)},
		{"its data begin at 1099511627776", set64(table+33, 1<<40)},
		{"its data begin at 18446744073709551584", set64(table+33, 1<<64-32)},
		{"cut short", func(b []byte) []byte { return b[:len(b)-1] }},
	} {
		raw := patched(t, c.change)
		_, err := parseBytes(raw)
		assert.ErrorContains(t, err, c.want)
	}
	for n := range patched(t, func(b []byte) []byte { return b }) {
		_, err := parseBytes(patched(t, func(b []byte) []byte { return b[:n] }))
		require.Error(t, err, "%d bytes", n)
	}
	path := filepath.Join(t.TempDir(), "x.gguf")
	require.NoError(t, os.WriteFile(path, patched(t, set32(4, 9)), 0o600))
	_, err := Open(path)
	assert.ErrorContains(t, err, path+": GGUF version 9")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err = Open(path)
	assert.ErrorContains(t, err, "not a GGUF file")
	_, err = Open(filepath.Join(t.TempDir(), "none"))
	assert.ErrorIs(t, err, os.ErrNotExist)
	_, err = Open(t.TempDir())
	assert.Error(t, err)
}

func TestOverlap(t *testing.T) {
	x := make([]float32, 32)
	raw := write(t, nil, source("a", F32, []int{32}, x), source("b", F32, []int{32}, x))
	at := bytes.LastIndex(raw, []byte{128, 0, 0, 0, 0, 0, 0, 0}) // offset of b
	for offset, want := range map[byte]string{96: `tensors "a" and "b" overlap`, 0: "overlap"} {
		raw[at] = offset
		_, err := parseBytes(raw)
		assert.ErrorContains(t, err, want)
	}
}

func TestAlignment(t *testing.T) {
	x := []float32{1, 2, 3}
	head := func(v any) []byte {
		b, err := encodeHead([]KeyValue{{"general.alignmenX", v}}, []Source{source("a", F32, []int{3}, x)})
		require.NoError(t, err)
		return bytes.Replace(b, []byte("alignmenX"), []byte("alignment"), 1)
	}
	b := head(uint32(8))
	for len(b)%8 != 0 {
		b = append(b, 0)
	}
	b, err := F32.AppendRow(b, x)
	require.NoError(t, err)
	f, err := parseBytes(b)
	require.NoError(t, err)
	assert.Equal(t, x, numbers(t, f, "a"))
	for _, bad := range []any{uint32(0), uint32(12), uint32(1 << 31), int32(32), "32"} {
		_, err = parseBytes(append(head(bad), make([]byte, 64)...))
		assert.ErrorContains(t, err, "want a power of 2")
	}
}

// A file that somebody cuts short while it is open gives an error.
func TestCutWhileOpen(t *testing.T) {
	x := make([]float32, 1<<16)
	path := filepath.Join(t.TempDir(), "x.gguf")
	require.NoError(t, os.WriteFile(path, write(t, nil, source("a", F32, []int{64, 1 << 10}, x)), 0o600))
	f := open(t, path)
	require.NoError(t, os.Truncate(path, 4096))
	a, _ := f.Tensor("a")
	err := f.Decode(a, 0, 64, func(r int) []float32 { return x[r<<10:] })
	assert.ErrorContains(t, err, "cut short meanwhile")
	_, err = parse(bytes.NewReader(patched(t, func(b []byte) []byte { return b })[:60]), 1000)
	assert.ErrorContains(t, err, "cut short meanwhile")
}

// No bytes make the parser panic, or accept tensors that are not inside of the file. What it accepts can be decoded.
func FuzzParse(f *testing.F) {
	if raw, err := os.ReadFile(python); err == nil {
		f.Add(raw)
	}
	f.Add(patched(f, func(b []byte) []byte { return b }))
	f.Add([]byte(strings.Repeat("GGUF\x03\x00\x00\x00", 4)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		file, err := parseBytes(raw)
		if err != nil {
			return
		}
		for _, info := range file.Tensors {
			require.LessOrEqual(t, info.end, int64(len(raw)))
			rows, cols := rowsAndCols(info.Shape)
			if !info.Type.Readable() {
				continue
			}
			require.LessOrEqual(t, rows*cols, 2*len(raw))
			row := make([]float32, cols)
			require.NoError(t, file.Decode(info, 0, rows, func(int) []float32 { return row }))
		}
	})
}

// What is in front of the numbers may be large in a large file, but not without a limit.
func TestDescriptionIsLimited(t *testing.T) {
	raw := []byte(magic)
	for _, v := range []any{uint32(version), uint64(0), uint64(1), uint64(1), byte('k'), uint32(kindArray), uint32(0), uint64(maxDescription)} {
		var err error
		raw, err = binary.Append(raw, binary.LittleEndian, v)
		require.NoError(t, err)
	}
	_, err := parse(bytes.NewReader(raw), 1<<40)
	assert.ErrorContains(t, err, "take more than 67108864 bytes, which is the limit")
}
