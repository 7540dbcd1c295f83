package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/tame-rlhf/tame/internal/gguf"
	"github.com/tame-rlhf/tame/internal/parallel"
	"github.com/tame-rlhf/tame/pkg/model/internal/file"
)

// pieceBytes is what is read at once: little enough to be converted while it is in a processor's own cache.
const pieceBytes = 256 << 10

var buffers = sync.Pool{New: func() any { b := make([]byte, pieceBytes); return &b }}

// Read is a tensor on its way from a file to where it stays.
type Read struct {
	File *File
	Info Info
	Into []float32
}

// eachPiece calls do for pieces of the tensors that have at most pieceBytes bytes in the file, side by side on all processors. buf is
// scratch of pieceBytes bytes. Of several errors, that of the first piece is given.
func eachPiece(reads []Read, do func(r Read, lo, hi int, buf []byte) error) error {
	type piece struct{ read, lo, hi int }
	var pieces []piece
	for i, r := range reads {
		size, _ := file.DTypeSize(r.Info.DType)
		step := pieceBytes / int(size)
		for lo := 0; lo < len(r.Into); lo += step {
			pieces = append(pieces, piece{i, lo, min(lo+step, len(r.Into))})
		}
	}
	return parallel.Try(len(pieces), 1, func(lo, hi int) error {
		buf := buffers.Get().(*[]byte)
		defer buffers.Put(buf)
		for _, p := range pieces[lo:hi] {
			if err := do(reads[p.read], p.lo, p.hi, *buf); err != nil {
				return err
			}
		}
		return nil
	})
}

// ReadAll reads them all.
func ReadAll(reads []Read) error {
	return eachPiece(reads, func(r Read, lo, hi int, buf []byte) error {
		return r.File.readAt(r.Info, lo, r.Into[lo:hi], buf)
	})
}

// ErrDiffers is the error of Compare.
var ErrDiffers = errors.New("the file has other numbers")

// Compare is ErrDiffers if a file has other numbers than those in memory.
func Compare(r Read) error {
	return eachPiece([]Read{r}, func(r Read, lo, hi int, buf []byte) error {
		got := make([]float32, hi-lo)
		if err := r.File.readAt(r.Info, lo, got, buf); err != nil {
			return err
		}
		if !bytes.Equal(gguf.BytesOf(got), gguf.BytesOf(r.Into[lo:hi])) {
			return ErrDiffers
		}
		return nil
	})
}

// Source is a tensor to be written.
type Source struct {
	Name  string
	Shape []int
	Data  []float32 // row by row
}

// Write writes tensors in that dtype, in their order. Metadata goes into the header; nil for none.
func Write(w io.Writer, tensors []Source, dtype string, metadata map[string]string) error {
	header, err := encodeHeader(tensors, dtype, metadata)
	if err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	buf := make([]byte, 0, file.ChunkBytes)
	for _, t := range tensors {
		for lo, n := 0, len(t.Data); lo < n; lo += file.ChunkBytes / 4 {
			if buf, err = file.Encode(buf[:0], t.Data[lo:min(lo+file.ChunkBytes/4, n)], dtype); err == nil {
				_, err = w.Write(buf)
			}
			if err != nil {
				return fmt.Errorf("safetensors: tensor %q: %w", t.Name, err)
			}
		}
	}
	return nil
}

// encodeHeader gives the length and the JSON header, padded with blanks so that the numbers begin at a multiple of 8.
func encodeHeader(tensors []Source, dtype string, metadata map[string]string) ([]byte, error) {
	size, known := file.DTypeSize(dtype)
	if !known {
		return nil, fmt.Errorf("safetensors: dtype is %q, want F32, F16 or BF16", dtype)
	}
	type entry struct {
		DType   string   `json:"dtype"`
		Shape   []int    `json:"shape"`
		Offsets [2]int64 `json:"data_offsets"`
	}
	header := make(map[string]any, len(tensors)+1) // encoding/json sorts the keys: the same bytes every time
	if metadata != nil {
		header[MetadataKey] = metadata
	}
	at := int64(0)
	for _, t := range tensors {
		n := 1
		for _, d := range t.Shape {
			n *= d
		}
		if n != len(t.Data) {
			return nil, fmt.Errorf("safetensors: tensor %q of shape %v has %d numbers", t.Name, t.Shape, len(t.Data))
		}
		if _, dup := header[t.Name]; dup {
			return nil, fmt.Errorf("safetensors: tensor %q is there twice", t.Name)
		}
		end := at + size*int64(n)
		header[t.Name] = entry{DType: dtype, Shape: append([]int{}, t.Shape...), Offsets: [2]int64{at, end}}
		at = end
	}
	raw, err := json.Marshal(header)
	if err != nil {
		return nil, fmt.Errorf("safetensors: header: %w", err)
	}
	for len(raw)%8 != 0 {
		raw = append(raw, ' ')
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(raw))), raw...), nil
}
