package model

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/model/internal/file"
	"github.com/tame-rlhf/tame/pkg/model/internal/safetensors"
)

// writeRaw writes a safetensors file with that header and that many zero bytes of data.
func writeRaw(t testing.TB, header string, dataBytes []byte) string {
	t.Helper()
	raw := append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
	path := filepath.Join(t.TempDir(), "x.safetensors")
	require.NoError(t, os.WriteFile(path, append(raw, dataBytes...), 0o600))
	return path
}

func TestSafetensorsRoundTrip(t *testing.T) {
	tensors := []Tensor{
		{Name: "b", Shape: []int{2, 3}, Data: []float32{1, -2, float32(math.Inf(1)), math.SmallestNonzeroFloat32, math.MaxFloat32, float32(math.Copysign(0, -1))}},
		{Name: "empty", Shape: []int{0, 4}, Data: []float32{}},
		{Name: "a", Shape: []int{}, Data: []float32{7}},
		{Name: "large", Shape: []int{file.ChunkBytes/4 + 5}, Data: make([]float32, file.ChunkBytes/4+5)},
	}
	for i := range tensors[3].Data {
		tensors[3].Data[i] = float32(i)
	}
	var buf bytes.Buffer
	require.NoError(t, WriteSafetensors(&buf, tensors, map[string]string{"format": "pt"}))
	assert.Zero(t, binary.LittleEndian.Uint64(buf.Bytes())%8, "the numbers are aligned")
	path := filepath.Join(t.TempDir(), "x.safetensors")
	require.NoError(t, os.WriteFile(path, buf.Bytes(), 0o600))
	got, err := ReadSafetensors(path)
	require.NoError(t, err)
	require.Len(t, got, len(tensors))
	for i, w := range tensors {
		assert.Equal(t, w.Name, got[i].Name)
		assert.ElementsMatch(t, w.Shape, got[i].Shape)
		assert.Equal(t, bitsOf(w.Data), bitsOf(got[i].Data))
	}
}

func bitsOf(x []float32) []uint32 {
	out := make([]uint32, len(x))
	for i, v := range x {
		out[i] = math.Float32bits(v)
	}
	return out
}

func TestSafetensorsHalfPrecision(t *testing.T) {
	header := `{"h": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}, "b": {"dtype": "BF16", "shape": [1, 2], "data_offsets": [4, 8]}}`
	path := writeRaw(t, header, []byte{0x00, 0x3c, 0x55, 0x35, 0x80, 0x3f, 0x49, 0xc0})
	got, err := ReadSafetensors(path)
	require.NoError(t, err)
	assert.Equal(t, []Tensor{{"h", []int{2}, []float32{1, 0.333251953125}}, {"b", []int{1, 2}, []float32{1, -3.140625}}}, got)
}

func TestSafetensorsDamaged(t *testing.T) {
	entry := func(dtype, shape, offsets string) string {
		return fmt.Sprintf(`{"w": {"dtype": %q, "shape": %s, "data_offsets": %s}}`, dtype, shape, offsets)
	}
	for _, c := range []struct{ want, header string }{
		{"not a JSON object", `[]`},
		{"not a JSON object", ``},
		{"no JSON: it ends too early", `{"w": {"dtype": "F32"`},
		{"goes on after", `{} {}`},
		{"is there twice", `{"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "w": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}`},
		{"cut short or damaged", entry("F32", "[4]", "[0, 16]")},
		{"cut short or damaged", entry("F32", "[1]", "[0, 4]")}, // 4 bytes are nobody's
		{"lies at bytes 8 to 4", entry("F32", "[1]", "[8, 4]")},
		{"in 8 bytes", entry("F32", "[3]", "[0, 8]")},
		{"in 8 bytes", entry("F32", "[]", "[0, 8]")},
		{"too large", entry("F32", "[4294967296, 4294967296, 4294967296]", "[0, 8]")},
		{"too large", entry("F32", "[2147483647, 2147483647, 2147483647]", "[0, 8]")},
		{"too large", entry("F16", "[2147483647, 2147483647]", "[0, 8]")},
		{"want a list of whole numbers", entry("F32", "[-2]", "[0, 8]")},
		{"want a list of whole numbers", entry("F32", "[2]", "[0, 8.5]")},
		{"1 data_offsets", entry("F32", "[2]", "[8]")},
		{"9 dimensions", entry("F32", "[1,1,1,1,1,1,1,1,2]", "[0, 8]")},
		{"shape is missing", entry("F32", "null", "[0, 8]")},
		{"data_offsets is missing", `{"w": {"dtype": "F32", "shape": [2]}}`},
		{"dtype is missing", `{"w": {"DTYPE": "F32", "shape": [2], "data_offsets": [0, 8]}}`},
		{`"shape" is there twice`, `{"w": {"dtype": "F32", "shape": [2], "shape": [1], "data_offsets": [0, 8]}}`},
		{`tensor "w": not a JSON object`, `{"w": 7}`},
		{"exceeded max depth", `{"w": ` + strings.Repeat(`{"a":`, 20000) + `}`},
		{"want a list of whole numbers", entry("F32", "[2]", "[-8, 0]")},
		{"want a list of whole numbers", entry("F32", "[2]", "[0, 18446744073709551616]")},
		{"cut short or damaged", entry("F32", "[2]", "[0, 18446744073709551615]")},
		{`tensor "` + strings.Repeat("n", 100) + `...": `, `{"` + strings.Repeat("n", 1<<20) + `": 7}`},
		{"begins at byte 4", entry("F32", "[1]", "[4, 8]")},
		{"overlap", `{"v": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "w": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}`},
		{`tensor "w" is I64, want F32, F16 or BF16`, entry("I64", "[1]", "[0, 8]")},
	} {
		path := writeRaw(t, c.header, make([]byte, 8))
		_, err := ReadSafetensors(path)
		if assert.ErrorContains(t, err, c.want, c.header) {
			assert.ErrorContains(t, err, path, "the file is named")
		}
	}

	_, err := ReadSafetensors(filepath.Join(t.TempDir(), "none"))
	assert.ErrorIs(t, err, os.ErrNotExist)
	short := filepath.Join(t.TempDir(), "short")
	require.NoError(t, os.WriteFile(short, []byte("abc"), 0o600))
	_, err = ReadSafetensors(short)
	assert.ErrorContains(t, err, "no safetensors header")
	require.NoError(t, os.WriteFile(short, binary.LittleEndian.AppendUint64(nil, 1<<62), 0o600))
	_, err = ReadSafetensors(short)
	assert.ErrorContains(t, err, "not a safetensors file", "a giant header is not allocated")
}

// A file that gets shorter after its sizes have been checked is an error too. A map of it would end the process.
func TestSafetensorsAllocation(t *testing.T) {
	const n = 16 << 20 / 4
	path := filepath.Join(t.TempDir(), "x")
	for _, dtype := range []string{F32, F16} {
		var buf bytes.Buffer
		require.NoError(t, safetensors.Write(&buf, []safetensors.Source{{Name: "w", Shape: []int{n}, Data: make([]float32, n)}}, dtype, nil))
		require.NoError(t, os.WriteFile(path, buf.Bytes(), 0o600))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := ReadSafetensors(path)
		require.NoError(t, err)
		runtime.ReadMemStats(&after)
		besides := after.TotalAlloc - before.TotalAlloc - 4*n
		assert.LessOrEqual(t, besides, uint64(1<<20+2*(256<<10)*runtime.GOMAXPROCS(0)), dtype)
	}
}

func TestWriteSafetensorsRefuses(t *testing.T) {
	var buf bytes.Buffer
	assert.ErrorContains(t, WriteSafetensors(&buf, []Tensor{{"w", []int{2}, []float32{1}}}, nil), "has 1 numbers")
	assert.ErrorContains(t, WriteSafetensors(&buf, []Tensor{{"w", []int{1}, []float32{1}}, {"w", []int{1}, []float32{1}}}, nil), "twice")
	full := errors.New("no space left on device")
	err := WriteSafetensors(&failingFile{room: 100, err: full}, []Tensor{{"w", []int{99}, make([]float32, 99)}}, nil)
	assert.ErrorIs(t, err, full)
}

// failingFile takes some bytes and then fails, like a full disk.
type failingFile struct {
	room int
	err  error
}

func (f *failingFile) Write(p []byte) (int, error) {
	if len(p) > f.room {
		return 0, f.err
	}
	f.room -= len(p)
	return len(p), nil
}
func (f *failingFile) Sync() error  { return nil }
func (f *failingFile) Close() error { return nil }
