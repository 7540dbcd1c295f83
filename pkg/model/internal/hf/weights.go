package hf

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/tame-rlhf/tame/internal/gguf"
	"github.com/tame-rlhf/tame/internal/parallel"
	"github.com/tame-rlhf/tame/internal/pth"
	"github.com/tame-rlhf/tame/pkg/model/internal/file"
	"github.com/tame-rlhf/tame/pkg/model/internal/safetensors"
)

// weights is one file of a folder's tensors.
type weights interface {
	io.Closer
	path() string
	names() []string
	shape(name string) ([]int, bool)
	readable(name string) error
}

// safeFile is a file of safetensors.
type safeFile struct{ *safetensors.File }

func openSafe(path string) (weights, error) {
	f, err := safetensors.Open(path)
	return safeFile{f}, err
}

func (f safeFile) path() string { return f.Path }

func (f safeFile) names() []string {
	list := make([]string, len(f.Tensors))
	for i, t := range f.Tensors {
		list[i] = t.Name
	}
	return list
}

func (f safeFile) shape(name string) ([]int, bool) { t, ok := f.Tensor(name); return t.Shape, ok }

func (f safeFile) readable(name string) error { t, _ := f.Tensor(name); return f.Readable(t) }

// torchFile is a file of torch.save, whose pickle is read and not executed. What it holds besides float32, float16 and bfloat16 is refused
// when it is opened.
type torchFile struct{ *pth.File }

func openTorch(path string) (weights, error) {
	f, err := pth.Open(path)
	return torchFile{f}, err
}

func (f torchFile) path() string { return f.Path() }

func (f torchFile) names() []string {
	list := make([]string, len(f.Tensors))
	for i, t := range f.Tensors {
		list[i] = t.Name
	}
	return list
}

func (f torchFile) shape(name string) ([]int, bool) { t, ok := f.Tensor(name); return t.Shape, ok }

func (f torchFile) readable(string) error { return nil }

// read converts the numbers of a tensor, and compares the archive's checksum with them.
func (f torchFile) read(name string, into []float32) error {
	t, _ := f.Tensor(name)
	r, err := f.Reader(t)
	if err != nil {
		return err
	}
	const piece = file.ChunkBytes / 4 // numbers
	in := bufio.NewReaderSize(r, file.ChunkBytes)
	for part := range slices.Chunk(into, piece) {
		if err := file.ReadRows(in, 1, len(part), t.DType, func(int) []float32 { return part }); err != nil {
			return errors.Join(fmt.Errorf("%s: tensor %q: %w", f.Path(), file.Short(name), err), r.Close())
		}
	}
	return r.Close()
}

// read is a tensor on its way from a file to where it stays.
type read struct {
	from weights
	name string
	into []float32
}

// readAll reads them all, on all processors.
func readAll(reads []read) error {
	var safe []safetensors.Read
	var torch []read
	for _, r := range reads {
		switch f := r.from.(type) {
		case safeFile:
			info, _ := f.Tensor(r.name)
			safe = append(safe, safetensors.Read{File: f.File, Info: info, Into: r.into})
		case torchFile:
			torch = append(torch, r)
		}
	}
	return errors.Join(safetensors.ReadAll(safe), parallel.Try(len(torch), 1, func(lo, hi int) error {
		for _, r := range torch[lo:hi] {
			if err := r.from.(torchFile).read(r.name, r.into); err != nil {
				return err
			}
		}
		return nil
	}))
}

// same is safetensors.ErrDiffers if a file has other numbers than those in memory.
func (r read) same() error {
	switch f := r.from.(type) {
	case safeFile:
		info, _ := f.Tensor(r.name)
		return safetensors.Compare(safetensors.Read{File: f.File, Info: info, Into: r.into})
	case torchFile:
		got := make([]float32, len(r.into))
		if err := f.read(r.name, got); err != nil {
			return err
		}
		if !bytes.Equal(gguf.BytesOf(got), gguf.BytesOf(r.into)) {
			return safetensors.ErrDiffers
		}
	}
	return nil
}
