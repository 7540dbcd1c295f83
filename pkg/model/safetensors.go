package model

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
)

// A safetensors file is the length of its header (8 bytes, little endian), a JSON header that gives each tensor's dtype, shape and
// place, and the numbers, which the tensors fill without gaps.

// maxHeader is the longest header that is read, as in the format's own reader.
const maxHeader = 100_000_000

// tensorInfo is one tensor of a header.
type tensorInfo struct {
	name       string
	dtype      string
	shape      []int
	begin, end int64 // bytes, from the end of the header
}

// elems is the number of elements; parseHeader has checked that it fits.
func (t tensorInfo) elems() int {
	n := 1
	for _, d := range t.shape {
		n *= d
	}
	return n
}

// maxDims is the most dimensions of a tensor.
const maxDims = 8

// parseHeader reads a header. Each tensor must lie within the data bytes that follow and be as long as its shape says; together they
// must fill those bytes without gaps, as the format demands. Dtypes that cannot be read are found when the tensor is.
func parseHeader(raw []byte, dataLen int64) ([]tensorInfo, error) {
	entries, err := jsonObject(raw)
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	delete(entries, "__metadata__")
	infos := make([]tensorInfo, 0, len(entries))
	for _, name := range slices.Sorted(maps.Keys(entries)) { // in order, so that the same file gives the same error
		info, err := parseTensor(name, entries[name], dataLen)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", short(name), err)
		}
		infos = append(infos, info)
	}
	slices.SortStableFunc(infos, func(a, b tensorInfo) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	at := int64(0)
	for _, t := range infos {
		if t.begin != at {
			return nil, fmt.Errorf("tensor %q begins at byte %d of the data, want %d: tensors overlap or leave a gap", short(t.name), t.begin, at)
		}
		at = t.end
	}
	if at != dataLen {
		return nil, fmt.Errorf("tensors end at byte %d of the data, the file at %d: the file is cut short or damaged", at, dataLen)
	}
	return infos, nil
}

// parseTensor reads one entry of a header.
func parseTensor(name string, raw json.RawMessage, dataLen int64) (tensorInfo, error) {
	fields, err := jsonObject(raw)
	if err != nil {
		return tensorInfo{}, err
	}
	var (
		dtype          string
		shape, offsets []uint64
	)
	for _, f := range []struct {
		name string
		into any
	}{{"dtype", &dtype}, {"shape", &shape}, {"data_offsets", &offsets}} {
		if isNull(fields[f.name]) {
			return tensorInfo{}, fmt.Errorf("%s is missing", f.name)
		}
		if err := json.Unmarshal(fields[f.name], f.into); err != nil {
			return tensorInfo{}, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	if len(offsets) != 2 {
		return tensorInfo{}, fmt.Errorf("%d data_offsets, want 2", len(offsets))
	}
	begin, end := offsets[0], offsets[1]
	if begin > end || end > uint64(dataLen) {
		return tensorInfo{}, fmt.Errorf("lies at bytes %d to %d, the file has %d bytes of data: the file is cut short or damaged", begin, end, dataLen)
	}
	if len(shape) > maxDims {
		return tensorInfo{}, fmt.Errorf("%d dimensions, want at most %d", len(shape), maxDims)
	}
	info := tensorInfo{name: name, dtype: dtype, begin: int64(begin), end: int64(end)}
	n := uint64(1)
	for _, d := range shape {
		hi, lo := bits.Mul64(n, d)
		if hi != 0 || lo > math.MaxInt64/8 || d > math.MaxInt32 {
			return tensorInfo{}, fmt.Errorf("shape %v is too large", shape)
		}
		n = lo
		info.shape = append(info.shape, int(d))
	}
	if size, known := dtypeSize(dtype); known && int64(n)*size != info.end-info.begin {
		return tensorInfo{}, fmt.Errorf("shape %v and dtype %s, but lies in %d bytes", shape, dtype, end-begin)
	}
	return info, nil
}

// safetensorsFile is an open safetensors file.
type safetensorsFile struct {
	path   string
	file   *os.File
	start  int64 // of the data
	infos  []tensorInfo
	byName map[string]tensorInfo
}

func openSafetensors(path string) (_ *safetensorsFile, err error) {
	file, err := openRegular(path)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("model: %s: %w", path, err), file.Close())
		}
	}()
	stat, err := file.Stat()
	if err != nil {
		return nil, err
	}
	var length [8]byte
	if _, err := io.ReadFull(file, length[:]); err != nil {
		return nil, fmt.Errorf("no safetensors header: %w", err)
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n > maxHeader || int64(n) > stat.Size()-8 {
		return nil, fmt.Errorf("header of %d bytes in a file of %d: not a safetensors file, or cut short", n, stat.Size())
	}
	raw := make([]byte, n)
	if _, err := io.ReadFull(file, raw); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	f := &safetensorsFile{path: path, file: file, start: 8 + int64(n), byName: make(map[string]tensorInfo)}
	if f.infos, err = parseHeader(raw, stat.Size()-f.start); err != nil {
		return nil, err
	}
	for _, t := range f.infos {
		f.byName[t.name] = t
	}
	return f, nil
}

func (f *safetensorsFile) Close() error { return f.file.Close() }

// readable is an error if the numbers cannot be read.
func (f *safetensorsFile) readable(t tensorInfo) error {
	if _, known := dtypeSize(t.dtype); !known {
		return fmt.Errorf("model: %s: tensor %q is %s, want F32, F16 or BF16: convert the checkpoint first", f.path, short(t.name), short(t.dtype))
	}
	return nil
}

// readAt converts numbers of a tensor, from number at on, into dst. buf has room for their bytes.
//
// Files are read, not mapped. Reading into the place where the numbers stay copies once, as a mapped file does. It takes as much processor
// time and, with two free cores, 0.5 to 0.7 of the time that passes (BenchmarkLoad, F32). And a file that is cut short meanwhile is an
// error here, where a map would end the process with SIGBUS.
func (f *safetensorsFile) readAt(t tensorInfo, at int, dst []float32, buf []byte) error {
	size, _ := dtypeSize(t.dtype)
	direct := t.dtype == F32 && littleEndian
	raw := buf
	if direct {
		raw = bytesOf(dst)
	}
	raw = raw[:len(dst)*int(size)]
	if n, err := f.file.ReadAt(raw, f.start+t.begin+int64(at)*size); n < len(raw) {
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("%w: the file was cut short while it was read", io.ErrUnexpectedEOF)
		}
		return fmt.Errorf("model: %s: tensor %q: %w", f.path, short(t.name), err)
	}
	if !direct {
		decodeFloats(dst, raw, t.dtype)
	}
	return nil
}
