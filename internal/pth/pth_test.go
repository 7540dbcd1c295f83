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
	"path/filepath"
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

// program puts a pickle's instructions together: bytes and texts.
func program(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			b = append(b, byte(p))
		case rune:
			b = append(b, byte(p))
		case string:
			b = append(b, p...)
		}
	}
	return b
}

func TestPickleRefused(t *testing.T) {
	evil := filepath.Join(t.TempDir(), "evil")
	for _, c := range []struct {
		want string
		code []byte
	}{
		{`byte 2: the name "os.system" has no place`, program(opProto, 2, "cos\nsystem\n", "X", 10, 0, 0, 0, "touch "+evil, ")R.")},
		{`the name "builtins.eval"`, program("cbuiltins\neval\n.")},
		{`the name "torch._utils._rebuild_device_tensor_from_numpy"`, program("ctorch._utils\n_rebuild_device_tensor_from_numpy\n.")},
		{`the name "collections.OrderedDict\x00"`, program("ccollections\nOrderedDict\x00\n.")},
		{"instruction 0x69 ('i')", program("(ios\nsystem\n.")}, // INST
		{"instruction 0x93", program(0x93, '.')},               // STACK_GLOBAL
		{"instruction 0x81", program(0x81, '.')},               // NEWOBJ
		{"instruction 0x82", program(0x82, 1, '.')},            // EXT1
		{"instruction 0x50 ('P')", program("Px\n.")},           // PERSID
		{"protocol 4", program(opProto, 4, '.')},
		{"a name without an end", program("cos")},
		{"a name without an end", program("c", strings.Repeat("x", 300), "\ny\n.")},
		{"a call of a string, which", program("X", 1, 0, 0, 0, "x)R.")},
		{"a call with a dictionary", program("ccollections\nOrderedDict\n}R.")},
		{"with 1 arguments, want none", program("ccollections\nOrderedDict\nN", opTuple1, "R.")},
		{"without a tensor", program("ctorch._utils\n_rebuild_parameter\n)R.")},
		{"a tensor of 0 parts", program("ctorch._utils\n_rebuild_tensor_v2\n)R.")},
		{"without storage, offset", program("ctorch._utils\n_rebuild_tensor_v2\n(NNNNtR.")},
		{"a reference None", program("NQ.")},
		{"a reference tuple of 1", program("N", opTuple1, "Q.")},
		{"it holds a None", program("N.")},
		{"it holds a torch.FloatStorage", program("ctorch\nFloatStorage\n.")},
		{"too few values", program("0.")[1:]},
		{"too few values", program("t.")},
		{"too few values", program("}u.")},
		{"too few values", program("}s.")},
		{"too few values", program("}(Nu.")},
		{"too few values", program("N(", opTuple1, ".")},
		{"too few values", program("(q", 0, ".")},
		{"too few values", program("b.")},
		{"too few values", program("e.")},
		{"too few values", program("Na.")},
		{"too few values", program("R.")},
		{"items for a None, want a dictionary", program("NNNs.")},
		{"elements for a dictionary, want a list", program("}Na.")},
		{"a state for a bool", program(opNewTrue, "Nb.")},
		{"nothing is remembered under 7", program("h", 7, ".")},
		{"nothing is remembered under 16909060", program("j", 4, 3, 2, 1, ".")},
		{"1 bytes wanted, 0 are left", program("N")},
		{"4 bytes wanted, 1 are left", program("J", 1)},
		{"a text of 4294967295 bytes", program("X", 255, 255, 255, 255)},
		{"100 bytes wanted", program("X", 100, 0, 0, 0, strings.Repeat("x", 97))},
		{"an integer of 255 bytes", program(opLong1, 255)},
	} {
		_, err := unpickle(c.code)
		assert.ErrorContains(t, err, c.want, "%q", c.code)
	}
	assert.NoFileExists(t, evil)
}

func TestPickleValues(t *testing.T) {
	d, err := unpickle(program(opProto, 2, "}(K", 200, "M", 0, 2, "J", 255, 255, 255, 255, opLong1, 0, opLong1, 1, 128, opLong1, 2, 255, 127,
		"G", 0x3f, 0xf8, 0, 0, 0, 0, 0, 0, opNewFalse, "u."))
	require.NoError(t, err)
	assert.Equal(t, []item{{int64(200), int64(512)}, {int64(-1), int64(0)}, {int64(-128), int64(32767)}, {1.5, false}}, d.items)

	// A dictionary remembered, one pair, two lists, a state that is dropped.
	d, err = unpickle(program(opProto, 2, "}q", 0, "X", 1, 0, 0, 0, "k", "r", 1, 0, 0, 0, "](NNeNas", "h", 0, "j", 1, 0, 0, 0, opNewTrue, "s", "Nb."))
	require.NoError(t, err)
	assert.Equal(t, []item{{"k", list{}}, {"k", true}}, d.items)

	d, err = unpickle(program("}NN", opTuple2, "N", opTuple1, "NNN", opTuple3, opTuple2, "Ns."))
	require.ErrorContains(t, err, "items for a tuple of 2")
	assert.Nil(t, d)
}

// Tuples of tuples that share their parts would print as 2^60 values: no error shows them.
func TestNestedTuples(t *testing.T) {
	var nested any = tuple{"x"}
	for range 60 {
		nested = tuple{nested, nested}
	}
	_, err := rebuildTensor(tensorArgs(6, 0, tuple{nested}, tuple{int64(1)}))
	assert.ErrorContains(t, err, "without storage, offset, shape and strides")
	twice := program("N", opTuple1)
	for range 60 {
		twice = append(twice, program("q", 0, "h", 0, opTuple2)...)
	}
	for _, end := range []string{"Q.", "R.", ".", "NR.", "a.", "s."} {
		_, err := unpickle(append(append([]byte{'}'}, twice...), end...))
		assert.Error(t, err)
	}
}

func tensorArgs(elems, offset int64, shape, strides tuple) tuple {
	return tuple{storage{"F32", "0", elems}, offset, shape, strides}
}

func TestRebuildRefused(t *testing.T) {
	i := func(v ...int64) (out tuple) {
		for _, x := range v {
			out = append(out, x)
		}
		return out
	}
	for _, c := range []struct {
		want string
		args tuple
	}{
		{"", tensorArgs(6, 0, i(2, 3), i(3, 1))},
		{"", tensorArgs(6, 3, i(1, 3), i(99, 1))}, // the stride of one row does not matter
		{"", tensorArgs(6, 6, i(0, 3), i(3, 1))},
		{"", tensorArgs(1, 0, nil, nil)},
		{"in a storage of 6", tensorArgs(6, 1, i(2, 3), i(3, 1))},
		{"in a storage of 6", tensorArgs(6, -1, i(1), i(1))},
		{"in a storage of 6", tensorArgs(6, math.MaxInt64, i(2, 3), i(3, 1))},
		{"in a storage of 6", tensorArgs(6, 7, i(0), i(1))},
		{"row by row", tensorArgs(6, 0, i(2, 3), i(1, 2))},
		{"row by row", tensorArgs(6, 0, i(6), i(0))},
		{"is damaged", tensorArgs(6, 0, i(-1), i(1))},
		{"is damaged", tensorArgs(6, 0, i(1<<40), i(1))},
		{"too large", tensorArgs(6, 0, i(1<<30, 1<<30, 1<<30), i(1<<60, 1<<30, 1))},
		{"is damaged", tensorArgs(6, 0, i(2), i(1, 1))},
		{"is damaged", tensorArgs(6, 0, i(1, 1, 1, 1, 1, 1, 1, 1, 1), i(1, 1, 1, 1, 1, 1, 1, 1, 1))},
		{"is damaged", tensorArgs(6, 0, tuple{"2"}, i(1))},
	} {
		_, err := rebuildTensor(c.args)
		if c.want == "" {
			assert.NoError(t, err)
		} else {
			assert.ErrorContains(t, err, c.want)
		}
	}
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
