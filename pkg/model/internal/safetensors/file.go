// Package safetensors reads and writes files of named tensors in the safetensors format.
package safetensors

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/bits"
	"os"
	"slices"

	"github.com/tame-rlhf/tame/internal/bounded"
	"github.com/tame-rlhf/tame/internal/gguf"
	"github.com/tame-rlhf/tame/pkg/model/internal/file"
)

// A safetensors file is the length of its header (8 bytes, little endian), a JSON header that gives each tensor's dtype, shape and
// place, and the numbers, which the tensors fill without gaps.

// maxHeader is the longest header that is read, as in the format's own reader.
const maxHeader = 100_000_000

// Info is one tensor of a header.
type Info struct {
	Name       string
	DType      string
	Shape      []int
	begin, end int64 // bytes, from the end of the header
}

// Len is the number of elements; parseHeader has checked that it fits.
func (t Info) Len() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// MetadataKey is the entry of the header that is no tensor.
const MetadataKey = "__metadata__"

// maxDims is the most dimensions of a tensor.
const maxDims = 8

// parseHeader reads a header. Each tensor must lie within the data bytes that follow and be as long as its shape says; together they
// must fill those bytes without gaps, as the format demands. Dtypes that cannot be read are found when the tensor is.
func parseHeader(raw []byte, dataLen int64) ([]Info, map[string]string, error) {
	entries, err := file.Object(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("header: %w", err)
	}
	var metadata map[string]string
	if raw, ok := entries[MetadataKey]; ok && json.Unmarshal(raw, &metadata) != nil {
		metadata = nil // the format wants texts; what is not is nobody's
	}
	delete(entries, MetadataKey)
	infos := make([]Info, 0, len(entries))
	for _, name := range slices.Sorted(maps.Keys(entries)) { // in order, so that the same file gives the same error
		info, err := parseTensor(name, entries[name], dataLen)
		if err != nil {
			return nil, nil, fmt.Errorf("tensor %q: %w", file.Short(name), err)
		}
		infos = append(infos, info)
	}
	slices.SortStableFunc(infos, func(a, b Info) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	at := int64(0)
	for _, t := range infos {
		if t.begin != at {
			return nil, nil, fmt.Errorf("tensor %q begins at byte %d of the data, want %d: tensors overlap or leave a gap", file.Short(t.Name), t.begin, at)
		}
		at = t.end
	}
	if at != dataLen {
		return nil, nil, fmt.Errorf("tensors end at byte %d of the data, the file at %d: the file is cut short or damaged", at, dataLen)
	}
	return infos, metadata, nil
}

// parseTensor reads one entry of a header.
func parseTensor(name string, raw json.RawMessage, dataLen int64) (Info, error) {
	fields, err := file.Object(raw)
	if err != nil {
		return Info{}, err
	}
	for _, name := range []string{"dtype", "shape", "data_offsets"} {
		if file.IsNull(fields[name]) {
			return Info{}, fmt.Errorf("%s is missing", name)
		}
	}
	f := &file.Fields{Raw: fields}
	dtype, shape, offsets := file.Field(f, "dtype", ""), file.Field[[]uint64](f, "shape", nil), file.Field[[]uint64](f, "data_offsets", nil)
	if len(f.Errs) > 0 {
		return Info{}, f.Errs[0]
	}
	if len(offsets) != 2 {
		return Info{}, fmt.Errorf("%d data_offsets, want 2", len(offsets))
	}
	begin, end := offsets[0], offsets[1]
	if begin > end || end > uint64(dataLen) {
		return Info{}, fmt.Errorf("lies at bytes %d to %d, the file has %d bytes of data: the file is cut short or damaged", begin, end, dataLen)
	}
	if len(shape) > maxDims {
		return Info{}, fmt.Errorf("%d dimensions, want at most %d", len(shape), maxDims)
	}
	info := Info{Name: name, DType: dtype, begin: int64(begin), end: int64(end)}
	n := uint64(1)
	for _, d := range shape {
		hi, lo := bits.Mul64(n, d)
		if hi != 0 || lo > math.MaxInt64/8 || d > math.MaxInt32 {
			return Info{}, fmt.Errorf("shape %v is too large", shape)
		}
		n = lo
		info.Shape = append(info.Shape, int(d))
	}
	if size, known := file.DTypeSize(dtype); known && int64(n)*size != info.end-info.begin {
		return Info{}, fmt.Errorf("shape %v and dtype %s, but lies in %d bytes", shape, dtype, end-begin)
	}
	return info, nil
}

// File is an open safetensors file.
type File struct {
	// Path is the name it was opened by.
	Path string
	// Tensors are in the order of their places in the file.
	Tensors []Info
	// Metadata are the header's own entries.
	Metadata map[string]string

	file   *os.File
	start  int64 // of the data
	byName map[string]Info
}

// Open reads a file's header.
func Open(path string) (_ *File, err error) {
	opened, err := bounded.OpenRegular(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("%s: %w", path, err), opened.Close())
		}
	}()
	stat, err := opened.Stat()
	if err != nil {
		return nil, err
	}
	var length [8]byte
	if _, err := io.ReadFull(opened, length[:]); err != nil {
		return nil, fmt.Errorf("no safetensors header: %w", err)
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n > maxHeader || int64(n) > stat.Size()-8 {
		return nil, fmt.Errorf("header of %d bytes in a file of %d: not a safetensors file, or cut short", n, stat.Size())
	}
	raw := make([]byte, n)
	if _, err := io.ReadFull(opened, raw); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	f := &File{Path: path, file: opened, start: 8 + int64(n), byName: make(map[string]Info)}
	if f.Tensors, f.Metadata, err = parseHeader(raw, stat.Size()-f.start); err != nil {
		return nil, err
	}
	for _, t := range f.Tensors {
		f.byName[t.Name] = t
	}
	return f, nil
}

// Tensor is the entry of that name.
func (f *File) Tensor(name string) (Info, bool) {
	t, ok := f.byName[name]
	return t, ok
}

// Close releases the file.
func (f *File) Close() error { return f.file.Close() }

// Readable is an error if the numbers cannot be read.
func (f *File) Readable(t Info) error {
	if _, known := file.DTypeSize(t.DType); !known {
		return fmt.Errorf("%s: tensor %q is %s, want F32, F16 or BF16: convert the checkpoint first", f.Path, file.Short(t.Name), file.Short(t.DType))
	}
	return nil
}

// readAt converts numbers of a tensor, from number at on, into dst. buf has room for their bytes.
//
// Files are read, not mapped. Reading into the place where the numbers stay copies once, as a mapped file does. It takes as much processor
// time and, with two free cores, 0.5 to 0.7 of the time that passes (BenchmarkLoad, F32). And a file that is cut short meanwhile is an
// error here, where a map would end the process with SIGBUS.
func (f *File) readAt(t Info, at int, dst []float32, buf []byte) error {
	size, _ := file.DTypeSize(t.DType)
	direct := t.DType == file.F32 && gguf.LittleEndian
	raw := buf
	if direct {
		raw = gguf.BytesOf(dst)
	}
	raw = raw[:len(dst)*int(size)]
	if n, err := f.file.ReadAt(raw, f.start+t.begin+int64(at)*size); n < len(raw) {
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("%w: the file was cut short while it was read", io.ErrUnexpectedEOF)
		}
		return fmt.Errorf("%s: tensor %q: %w", f.Path, file.Short(t.Name), err)
	}
	if !direct {
		file.Decode(dst, raw, t.DType)
	}
	return nil
}
