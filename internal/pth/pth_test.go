package pth

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The files of testdata were written by torch 2.15.0.

func open(t testing.TB, path string) *File {
	t.Helper()
	f, err := Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, f.Close()) })
	return f
}

func bytesOf(t testing.TB, f *File, name string) []byte {
	t.Helper()
	info, ok := f.Tensor(name)
	require.True(t, ok, name)
	r, err := f.Reader(info)
	require.NoError(t, err)
	raw := make([]byte, info.elems*dtypeBytes(info.DType))
	_, err = io.ReadFull(r, raw)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	return raw
}

// float32s are the numbers from, from+step and so on as a file has them.
func float32s(n int, from, step float32) []byte {
	var b []byte
	for i := range n {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(from+float32(i)*step))
	}
	return b
}

func TestTorch(t *testing.T) {
	f := open(t, "testdata/torch.pth")
	names := []string{}
	for _, info := range f.Tensors {
		names = append(names, info.Name)
	}
	assert.Equal(t, []string{"a", "half", "bf16", "param", "view", "same", "scalar", "column"}, names)
	quarters := float32s(6, 0, 0.25)
	assert.Equal(t, quarters, bytesOf(t, f, "a"))
	assert.Equal(t, quarters, bytesOf(t, f, "param"))
	assert.Equal(t, quarters, bytesOf(t, f, "same"))
	assert.Equal(t, float32s(8, 4, 1), bytesOf(t, f, "view"), "rows 1 and 2 of a larger one")
	assert.Equal(t, float32s(1, 7.5, 0), bytesOf(t, f, "scalar"))
	assert.Equal(t, float32s(5, 0, 4), bytesOf(t, f, "column"))
	// 0, 0.25, 0.5, 0.75, 1, 1.25 in binary16 and bfloat16
	assert.Equal(t, []byte{0, 0, 0, 0x34, 0, 0x38, 0, 0x3a, 0, 0x3c, 0, 0x3d}, bytesOf(t, f, "half"))
	assert.Equal(t, []byte{0, 0, 0x80, 0x3e, 0, 0x3f, 0x40, 0x3f, 0x80, 0x3f, 0xa0, 0x3f}, bytesOf(t, f, "bf16"))

	info := func(name string) Tensor {
		i, ok := f.Tensor(name)
		require.True(t, ok)
		return i
	}
	assert.Equal(t, []int{2, 3}, info("half").Shape)
	assert.Equal(t, "F16", info("half").DType)
	assert.Equal(t, "BF16", info("bf16").DType)
	assert.Equal(t, []int{2, 4}, info("view").Shape)
	assert.Empty(t, info("scalar").Shape)
	assert.True(t, info("a").Shares(info("same")))
	assert.False(t, info("a").Shares(info("param")))
	_, ok := f.Tensor("none")
	assert.False(t, ok)
	assert.Equal(t, "testdata/torch.pth", f.Path())
}

func TestStateDict(t *testing.T) {
	f := open(t, "testdata/state_dict.pth")
	require.Len(t, f.Tensors, 1)
	assert.Equal(t, float32s(6, 0, 0.25), bytesOf(t, f, "0.weight"))
}

func TestTorchRefused(t *testing.T) {
	for path, want := range map[string]string{
		"transposed": "only numbers that lie row by row",
		"nested":     `"model" is a dictionary, want a tensor`,
		"long":       `the name "torch.LongStorage" has no place`,
	} {
		path = "testdata/" + path + ".pth"
		_, err := Open(path)
		assert.ErrorContains(t, err, want)
		assert.ErrorContains(t, err, path)
	}
	_, err := Open("pth_test.go")
	assert.ErrorContains(t, err, "not a zip archive")
	_, err = Open("testdata/none")
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// entry is a file in an archive.
type entry struct {
	name string
	data []byte
}

func archiveOf(t testing.TB, method uint16, entries ...entry) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, e := range entries {
		part, err := w.CreateHeader(&zip.FileHeader{Name: e.name, Method: method})
		require.NoError(t, err)
		_, err = part.Write(e.data)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return buf.Bytes()
}

func readBytes(raw []byte) (*File, error) { return read(bytes.NewReader(raw), int64(len(raw))) }

// one is the description of a tensor w of 4 numbers.
func one(t testing.TB) []byte {
	t.Helper()
	raw, err := encodePickle([]Source{{Name: "w", DType: "F32", Shape: []int{2, 2}}})
	require.NoError(t, err)
	return raw
}

func TestArchiveRefused(t *testing.T) {
	pickle, numbers := entry{"x/data.pkl", one(t)}, entry{"x/data/0", make([]byte, 16)}
	f, err := readBytes(archiveOf(t, zip.Store, pickle, numbers))
	require.NoError(t, err)
	require.Len(t, f.Tensors, 1)
	for _, c := range []struct {
		want    string
		method  uint16
		entries []entry
	}{
		{"without a data.pkl", zip.Store, nil},
		{"without a data.pkl", zip.Store, []entry{{"a/b/data.pkl", pickle.data}, numbers}},
		{"is in the archive twice", zip.Store, []entry{pickle, numbers, numbers}},
		{"want one", zip.Store, []entry{pickle, {"y/data.pkl", pickle.data}, numbers}},
		{"x/data.pkl is compressed", zip.Deflate, []entry{pickle, numbers}},
		{"data/0, are not in the archive", zip.Store, []entry{pickle, {"y/data/0", numbers.data}}},
		{"data/0, are not in the archive", zip.Store, []entry{pickle, {"/x/data/0", numbers.data}, {"../x/data/0", numbers.data}}},
		{"has 12 bytes, want 4 numbers of F32", zip.Store, []entry{pickle, {"x/data/0", make([]byte, 12)}}},
		{`the byte order is "big"`, zip.Store, []entry{pickle, numbers, {"x/byteorder", []byte("big")}}},
		{"want at most 16", zip.Store, []entry{pickle, numbers, {"x/byteorder", make([]byte, 17)}}},
		{"x/data.pkl: pickle, byte 0", zip.Store, []entry{{"x/data.pkl", nil}, numbers}},
	} {
		_, err := readBytes(archiveOf(t, c.method, c.entries...))
		assert.ErrorContains(t, err, c.want)
	}
	whole := archiveOf(t, zip.Store, pickle, numbers)
	for n := range whole {
		_, err := readBytes(whole[:n])
		require.Error(t, err, "%d bytes", n)
	}
}

// A wrong number is found by the archive's checksum.
func TestChecksum(t *testing.T) {
	data := []byte("sixteen numbers.")
	raw := archiveOf(t, zip.Store, entry{"x/data.pkl", one(t)}, entry{"x/data/0", data})
	raw[bytes.Index(raw, data)] ^= 1
	f, err := readBytes(raw)
	require.NoError(t, err)
	r, err := f.Reader(f.Tensors[0])
	require.NoError(t, err)
	_, err = io.ReadFull(r, make([]byte, 16))
	require.NoError(t, err)
	assert.ErrorContains(t, r.Close(), "the checksum is wrong")
	r, err = f.Reader(f.Tensors[0])
	require.NoError(t, err)
	assert.ErrorContains(t, r.Close(), "not all of it was read")
}

func sources() []Source {
	raw := func(b []byte) func(io.Writer) error { return text(b) }
	return []Source{
		{Name: "a", DType: "F32", Shape: []int{2, 3}, Write: raw(float32s(6, 0, 0.25))},
		{Name: "h", DType: "F16", Shape: []int{3}, Write: raw([]byte{0, 0x3c, 0, 0x40, 0, 0x42})},
		{Name: "b", DType: "BF16", Shape: []int{1, 1}, Write: raw([]byte{0x80, 0x3f})},
		{Name: "same", DType: "F32", Shape: []int{2, 3}, SameAs: "a"},
		{Name: "scalar", DType: "F32", Shape: []int{}, Write: raw(float32s(1, 9, 0))},
	}
}

func TestRoundTrip(t *testing.T) {
	var buf, again bytes.Buffer
	require.NoError(t, Write(&buf, sources()))
	require.NoError(t, Write(&again, sources()))
	assert.Equal(t, buf.Bytes(), again.Bytes(), "the same bytes every time")
	f, err := readBytes(buf.Bytes())
	require.NoError(t, err)
	require.Len(t, f.Tensors, 5)
	for i, s := range sources() {
		got := f.Tensors[i]
		assert.Equal(t, s.Name, got.Name)
		assert.Equal(t, s.DType, got.DType)
		assert.Equal(t, s.Shape, got.Shape)
		begin, err := f.place(f.entries[f.prefix+"/data/"+got.storage.key])
		require.NoError(t, err)
		assert.Zero(t, begin%alignment, "%s begins at %d", s.Name, begin)
		if s.Write != nil {
			var want bytes.Buffer
			require.NoError(t, s.Write(&want))
			assert.Equal(t, want.Bytes(), bytesOf(t, f, s.Name))
		}
	}
	assert.True(t, f.Tensors[0].Shares(f.Tensors[3]))
	assert.Equal(t, bytesOf(t, f, "a"), bytesOf(t, f, "same"))
}

func TestWriteRefuses(t *testing.T) {
	for want, s := range map[string][]Source{
		"is there twice":      {{Name: "a", DType: "F32"}, {Name: "a", DType: "F32"}},
		`is to be "F64"`:      {{Name: "a", DType: "F64"}},
		"no earlier tensor":   {{Name: "a", DType: "F32", SameAs: "b"}},
		"has 8 bytes, want 4": {{Name: "a", DType: "F32", Shape: []int{1}, Write: text(make([]byte, 8))}},
	} {
		assert.ErrorContains(t, Write(io.Discard, s), want)
	}
	full := errors.New("no space left on device")
	for _, room := range []int{0, 10, 600, 1200} {
		assert.ErrorIs(t, Write(&disk{room, full}, sources()), full)
	}
}

// disk takes some bytes and then fails.
type disk struct {
	room int
	err  error
}

func (d *disk) Write(p []byte) (int, error) {
	if d.room -= len(p); d.room < 0 {
		return 0, d.err
	}
	return len(p), nil
}

// torch 2.15.0 was given the file of sources, once read whole and once mapped, with weights_only=True: it found the numbers, and one
// memory behind "a" and "same". These are the instructions it followed.
func TestTorchReads(t *testing.T) {
	raw, err := encodePickle(sources())
	require.NoError(t, err)
	assert.Equal(t, "9472f3df23331c2e59e65c2f02e96e5e4168dd92f3a4fca52631317b43231f99", fmt.Sprintf("%x", sha256.Sum256(raw)))
}

// No bytes make the readers panic, or accept a tensor that is not in the archive. The pickle is fuzzed by itself and inside an archive.
func FuzzPickle(f *testing.F) {
	for _, path := range []string{"torch", "state_dict", "nested", "transposed"} {
		if file, err := zip.OpenReader("testdata/" + path + ".pth"); err == nil {
			for _, e := range file.File {
				if strings.HasSuffix(e.Name, "data.pkl") {
					r, _ := e.Open()
					raw, _ := io.ReadAll(r)
					f.Add(raw)
				}
			}
		}
	}
	f.Add(one(f))
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := unpickle(raw)
		if err != nil {
			return
		}
		for _, it := range d.items {
			if info, ok := it.value.(*Tensor); ok {
				require.LessOrEqual(t, info.offset+info.elems, info.storage.elems)
			}
		}
		file, err := readBytes(archiveOf(t, zip.Store, entry{"x/data.pkl", raw}, entry{"x/data/0", make([]byte, 64)}))
		if err == nil {
			for _, info := range file.Tensors {
				require.LessOrEqual(t, int64(len(bytesOf(t, file, info.Name))), int64(64))
			}
		}
	})
}

func FuzzArchive(f *testing.F) {
	for _, path := range []string{"torch", "state_dict", "long"} {
		if raw, err := os.ReadFile("testdata/" + path + ".pth"); err == nil {
			f.Add(raw)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		file, err := readBytes(raw)
		if err != nil {
			return
		}
		for _, info := range file.Tensors {
			r, err := file.Reader(info)
			if err != nil {
				continue
			}
			n, _ := io.Copy(io.Discard, r)
			require.LessOrEqual(t, n, int64(len(raw)))
			_ = r.Close() // damaged numbers are an error
		}
	})
}

// An archive may have a long directory, whose entries take several times its size in memory.
func TestDirectoryIsLimited(t *testing.T) {
	entries := []entry{{"x/data.pkl", one(t)}, {"x/data/0", make([]byte, 16)}}
	for len(entries)*60_000 < maxDirectory+200_000 {
		entries = append(entries, entry{fmt.Sprintf("x/%060000d", len(entries)), nil})
	}
	_, err := readBytes(archiveOf(t, zip.Store, entries...))
	assert.ErrorContains(t, err, "has more than 16777216 bytes, which is the limit")
	_, err = readBytes(archiveOf(t, zip.Store, entries[:10]...))
	assert.NoError(t, err)
}
