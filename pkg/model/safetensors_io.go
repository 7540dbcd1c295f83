package model

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
)

// ioChunk is the number of bytes that files are written in.
const ioChunk = 1 << 20

// pieceBytes is what is read at once: little enough to be converted while it is in a processor's own cache.
const pieceBytes = 256 << 10

// Tensor is a named float32 tensor of a safetensors file.
type Tensor struct {
	Name  string
	Shape []int
	Data  []float32 // row by row
}

// ReadSafetensors reads all tensors of a file in the order of their places in it. F32 is read as it is, F16 and BF16 are converted to
// float32 exactly; other dtypes are refused. A damaged file gives an error before anything of its size is allocated.
func ReadSafetensors(path string) (_ []Tensor, err error) {
	f, err := openSafetensors(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var tensors []Tensor
	var reads []tensorRead
	for _, info := range f.infos {
		if err := f.readable(info); err != nil {
			return nil, err
		}
		t := Tensor{Name: info.name, Shape: info.shape, Data: make([]float32, info.elems())}
		tensors = append(tensors, t)
		reads = append(reads, tensorRead{f, info, t.Data})
	}
	if err := readTensors(reads); err != nil {
		return nil, err
	}
	return tensors, nil
}

// tensorRead is a tensor on its way from a file to where it stays.
type tensorRead struct {
	file *safetensorsFile
	info tensorInfo
	dst  []float32
}

// eachPiece calls do for pieces of the tensors that have at most pieceBytes bytes in the file, side by side on all processors. buf is
// scratch of pieceBytes bytes. Of several errors, that of the first piece is given.
func eachPiece(reads []tensorRead, do func(r tensorRead, lo, hi int, buf []byte) error) error {
	type piece struct{ read, lo, hi int }
	var pieces []piece
	for i, r := range reads {
		size, _ := dtypeSize(r.info.dtype)
		step := pieceBytes / int(size)
		for lo := 0; lo < len(r.dst); lo += step {
			pieces = append(pieces, piece{i, lo, min(lo+step, len(r.dst))})
		}
	}
	var (
		next  atomic.Int64
		wg    sync.WaitGroup
		mu    sync.Mutex
		first error
		at    = len(pieces)
	)
	for range min(runtime.GOMAXPROCS(0), len(pieces)) {
		wg.Go(func() {
			buf := make([]byte, pieceBytes)
			for i := int(next.Add(1)) - 1; i < len(pieces); i = int(next.Add(1)) - 1 {
				p := pieces[i]
				if err := do(reads[p.read], p.lo, p.hi, buf); err != nil {
					next.Store(int64(len(pieces))) // no more pieces; those before this one are done or under way
					mu.Lock()
					if i < at {
						first, at = err, i
					}
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return first
}

// readTensors reads them all.
func readTensors(reads []tensorRead) error {
	return eachPiece(reads, func(r tensorRead, lo, hi int, buf []byte) error {
		return r.file.readAt(r.info, lo, r.dst[lo:hi], buf)
	})
}

// compareTensors is an error if a file has other numbers than those in memory.
func compareTensors(reads []tensorRead) error {
	return eachPiece(reads, func(r tensorRead, lo, hi int, buf []byte) error {
		got := make([]float32, hi-lo)
		if err := r.file.readAt(r.info, lo, got, buf); err != nil {
			return err
		}
		if !bytes.Equal(bytesOf(got), bytesOf(r.dst[lo:hi])) {
			return fmt.Errorf("model: %s: tensor %q differs from the embedding", r.file.path, short(r.info.name))
		}
		return nil
	})
}

// WriteSafetensors writes tensors as F32, in their order. Metadata goes into the header; nil for none.
func WriteSafetensors(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	sources := make([]tensorSource, len(tensors))
	for i, t := range tensors {
		sources[i] = tensorSource{name: t.Name, shape: t.Shape, f32: t.Data}
	}
	return writeSafetensors(w, sources, F32, metadata)
}

// tensorSource is a tensor to be written: its numbers are in f32 or in f64.
type tensorSource struct {
	name  string
	shape []int
	f32   []float32
	f64   []float64
}

func (s tensorSource) len() int { return max(len(s.f32), len(s.f64)) }

// appendTo appends the numbers lo to hi in that dtype.
func (s tensorSource) appendTo(raw []byte, lo, hi int, dtype string) ([]byte, error) {
	if s.f64 == nil {
		return encodeFloats(raw, s.f32[lo:hi], dtype)
	}
	rounded := make([]float32, hi-lo)
	for i, v := range s.f64[lo:hi] {
		if rounded[i] = float32(v); math.IsInf(float64(rounded[i]), 0) && !math.IsInf(v, 0) {
			return nil, fmt.Errorf("%v would become infinite: the file's types end at 3.4e38", v)
		}
	}
	return encodeFloats(raw, rounded, dtype)
}

// writeSafetensors writes tensors in that dtype.
func writeSafetensors(w io.Writer, tensors []tensorSource, dtype string, metadata map[string]string) error {
	header, err := encodeHeader(tensors, dtype, metadata)
	if err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return fmt.Errorf("model: safetensors: %w", err)
	}
	buf := make([]byte, 0, ioChunk)
	for _, t := range tensors {
		for lo, n := 0, t.len(); lo < n; lo += ioChunk / 4 {
			if buf, err = t.appendTo(buf[:0], lo, min(lo+ioChunk/4, n), dtype); err == nil {
				_, err = w.Write(buf)
			}
			if err != nil {
				return fmt.Errorf("model: safetensors: tensor %q: %w", t.name, err)
			}
		}
	}
	return nil
}

// encodeHeader gives the length and the JSON header, padded with blanks so that the numbers begin at a multiple of 8.
func encodeHeader(tensors []tensorSource, dtype string, metadata map[string]string) ([]byte, error) {
	size, known := dtypeSize(dtype)
	if !known {
		return nil, fmt.Errorf("model: safetensors: dtype is %q, want F32, F16 or BF16", dtype)
	}
	type entry struct {
		DType   string   `json:"dtype"`
		Shape   []int    `json:"shape"`
		Offsets [2]int64 `json:"data_offsets"`
	}
	header := make(map[string]any, len(tensors)+1) // encoding/json sorts the keys: the same bytes every time
	if metadata != nil {
		header["__metadata__"] = metadata
	}
	at := int64(0)
	for _, t := range tensors {
		n := 1
		for _, d := range t.shape {
			n *= d
		}
		if n != t.len() {
			return nil, fmt.Errorf("model: safetensors: tensor %q of shape %v has %d numbers", t.name, t.shape, t.len())
		}
		if _, dup := header[t.name]; dup {
			return nil, fmt.Errorf("model: safetensors: tensor %q is there twice", t.name)
		}
		end := at + size*int64(n)
		header[t.name] = entry{DType: dtype, Shape: append([]int{}, t.shape...), Offsets: [2]int64{at, end}}
		at = end
	}
	raw, err := json.Marshal(header)
	if err != nil {
		return nil, fmt.Errorf("model: safetensors: header: %w", err)
	}
	for len(raw)%8 != 0 {
		raw = append(raw, ' ')
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(raw))), raw...), nil
}
