package model

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

// dtypeSize is the bytes of one element of the dtypes that are read.
func dtypeSize(dtype string) (int64, bool) {
	switch dtype {
	case "F32":
		return 4, true
	case "F16", "BF16":
		return 2, true
	}
	return 0, false
}

// parseHeader reads a header. Each tensor must lie within the data bytes that follow and be as long as its shape says; together they
// must fill those bytes. Dtypes that cannot be read are found when the tensor is.
func parseHeader(raw []byte, dataLen int64) ([]tensorInfo, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return nil, errors.New("header is not a JSON object")
	}
	var infos []tensorInfo
	seen := make(map[string]bool)
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("header: %w", err)
		}
		name := key.(string) // keys of objects are strings
		if seen[name] {
			return nil, fmt.Errorf("tensor %q is there twice", name)
		}
		seen[name] = true
		if name == "__metadata__" {
			var ignored json.RawMessage
			if err := dec.Decode(&ignored); err != nil {
				return nil, fmt.Errorf("header: %w", err)
			}
			continue
		}
		info, err := parseTensor(dec, name, dataLen)
		if err != nil {
			return nil, err
		}
		infos = append(infos, info)
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if len(bytes.TrimSpace(raw[dec.InputOffset():])) != 0 {
		return nil, errors.New("header goes on after its JSON object")
	}
	slices.SortStableFunc(infos, func(a, b tensorInfo) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	at := int64(0)
	for _, t := range infos {
		if t.begin != at {
			return nil, fmt.Errorf("tensor %q begins at byte %d of the data, want %d: tensors overlap or leave a gap", t.name, t.begin, at)
		}
		at = t.end
	}
	if at != dataLen {
		return nil, fmt.Errorf("tensors end at byte %d of the data, the file at %d: the file is cut short or damaged", at, dataLen)
	}
	return infos, nil
}

func parseTensor(dec *json.Decoder, name string, dataLen int64) (tensorInfo, error) {
	var entry struct {
		DType   string   `json:"dtype"`
		Shape   []uint64 `json:"shape"`
		Offsets []uint64 `json:"data_offsets"`
	}
	if err := dec.Decode(&entry); err != nil {
		return tensorInfo{}, fmt.Errorf("tensor %q: %w", name, err)
	}
	if len(entry.Offsets) != 2 {
		return tensorInfo{}, fmt.Errorf("tensor %q has %d data_offsets, want 2", name, len(entry.Offsets))
	}
	begin, end := entry.Offsets[0], entry.Offsets[1]
	if begin > end || end > uint64(dataLen) {
		return tensorInfo{}, fmt.Errorf("tensor %q lies at bytes %d to %d, the file has %d bytes of data: the file is cut short or damaged",
			name, begin, end, dataLen)
	}
	info := tensorInfo{name: name, dtype: entry.DType, begin: int64(begin), end: int64(end)}
	n := uint64(1)
	for _, d := range entry.Shape {
		hi, lo := bits.Mul64(n, d)
		if hi != 0 || lo > math.MaxInt64 || d > math.MaxInt32 {
			return tensorInfo{}, fmt.Errorf("tensor %q: shape %v is too large", name, entry.Shape)
		}
		n = lo
		info.shape = append(info.shape, int(d))
	}
	if size, known := dtypeSize(info.dtype); known && (n > math.MaxInt64/8 || int64(n)*size != info.end-info.begin) {
		return tensorInfo{}, fmt.Errorf("tensor %q of shape %v and dtype %s lies in %d bytes", name, entry.Shape, info.dtype, end-begin)
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
	file, err := os.Open(path)
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

// read converts a tensor into dst, which has room for it. buf is scratch of any length that holds an element.
func (f *safetensorsFile) read(t tensorInfo, dst []float32, buf []byte) error {
	size, known := dtypeSize(t.dtype)
	if !known {
		return fmt.Errorf("model: %s: tensor %q is %s, want F32, F16 or BF16", f.path, t.name, t.dtype)
	}
	buf = buf[:len(buf)/int(size)*int(size)]
	r := io.NewSectionReader(f.file, f.start+t.begin, t.end-t.begin)
	for len(dst) > 0 {
		part := buf[:min(len(buf), len(dst)*int(size))]
		if _, err := io.ReadFull(r, part); err != nil {
			return fmt.Errorf("model: %s: tensor %q: %w", f.path, t.name, err)
		}
		dst = dst[decodeFloats(dst, part, t.dtype):]
	}
	return nil
}

// decodeFloats converts the elements in raw and returns their number.
func decodeFloats(dst []float32, raw []byte, dtype string) int {
	switch dtype {
	case "F32":
		for i := range len(raw) / 4 {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
		return len(raw) / 4
	case "F16":
		for i := range len(raw) / 2 {
			dst[i] = halfToFloat(binary.LittleEndian.Uint16(raw[2*i:]))
		}
	case "BF16": // the upper half of a float32
		for i := range len(raw) / 2 {
			dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(raw[2*i:])) << 16)
		}
	}
	return len(raw) / 2
}

// halfToFloat converts an IEEE 754 binary16 number, exactly.
func halfToFloat(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exp, frac := uint32(h>>10)&0x1f, uint32(h)&0x3ff
	switch exp {
	case 0: // zero and subnormal numbers: frac * 2^-24
		v := float32(frac) * (1.0 / (1 << 24))
		return math.Float32frombits(sign | math.Float32bits(v))
	case 0x1f: // infinity and NaN
		return math.Float32frombits(sign | 0xff<<23 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+127-15)<<23 | frac<<13)
}
