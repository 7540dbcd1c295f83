package meta

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/tame-rlhf/tame/internal/pth"
	"github.com/tame-rlhf/tame/pkg/model/arch"
	"github.com/tame-rlhf/tame/pkg/model/internal/file"
	"github.com/tame-rlhf/tame/pkg/model/internal/folder"
)

// Write writes a model's files into a folder. MaxSeqLen is not kept. An output projection that is
// the embedding is stored once, under both names.
func Write(dir string, c arch.Config, tensors []file.Tensor, weight func(name string) []float32, dtype string) error {
	if _, known := file.DTypeSize(dtype); !known {
		return fmt.Errorf("the type is %q, want F32, F16 or BF16", dtype)
	}
	params, err := encodeConfig(c)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, ParamsFile), params, 0o666); err != nil {
		return err
	}
	var sources []pth.Source
	for _, t := range tensors {
		write := func(w io.Writer) error { return t.Write(w, weight(t.Weight), dtype) }
		sources = append(sources, pth.Source{Name: t.Name, DType: dtype, Shape: t.Shape, Write: write})
	}
	if c.TieEmbeddings {
		embed := sources[0]
		sources = append(sources, pth.Source{Name: "output.weight", DType: embed.DType, Shape: embed.Shape, SameAs: embed.Name})
	}
	return folder.WriteFile(filepath.Join(dir, FirstFile), func(w io.Writer) error { return pth.Write(w, sources) })
}
