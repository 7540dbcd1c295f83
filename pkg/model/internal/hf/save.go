package hf

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/tame-rlhf/tame/pkg/model/arch"
	"github.com/tame-rlhf/tame/pkg/model/internal/file"
	"github.com/tame-rlhf/tame/pkg/model/internal/folder"
	"github.com/tame-rlhf/tame/pkg/model/internal/safetensors"
)

// Writer writes the files of a model into a folder.
type Writer struct {
	Create   folder.Create
	DType    string  // F32, F16 or BF16
	MaxBytes int64   // the most bytes of numbers of one file, but for a larger tensor
	Ends     []int32 // ids besides EOS that end an answer

	// Generation are fields of generation_config.json, which is written for models that generate.
	Generation map[string]json.RawMessage
}

// Write writes config.json and the weights. The tensors are those that the model has, in the order
// of the table.
func (w Writer) Write(dir string, c arch.Config, tensors []file.Tensor, weight func(name string) []float32) error {
	m := header{Config: c, ends: w.Ends}
	sources := Sources(tensors, weight)
	for _, s := range sources {
		switch s.Name {
		case arch.ScoreWeight:
			m.classifier = true
		case arch.ScoreBias:
			m.scoreBias = rounded(s.Data[0], w.DType)
		}
	}
	if m.scoreBias == 0 { // other readers know of none
		sources = slices.DeleteFunc(sources, func(s safetensors.Source) bool { return s.Name == arch.ScoreBias })
	}
	config, err := encodeConfig(m, w.DType)
	if err != nil {
		return err
	}
	if err := w.Create.Bytes(filepath.Join(dir, ConfigFile), config); err != nil {
		return err
	}
	if !m.classifier {
		generation, err := encodeGeneration(c, w.Ends, w.Generation)
		if err != nil {
			return fmt.Errorf("%s: %w", generationFile, err)
		}
		if err := w.Create.Bytes(filepath.Join(dir, generationFile), generation); err != nil {
			return err
		}
	}
	shards := w.split(sources)
	for i, shard := range shards {
		err := w.Create.File(filepath.Join(dir, shardFile(i, len(shards))), func(out io.Writer) error {
			return safetensors.Write(out, shard, w.DType, map[string]string{"format": "pt"}) // other readers ask for it
		})
		if err != nil {
			return err
		}
	}
	if len(shards) == 1 {
		return nil
	}
	index, err := w.encodeIndex(shards)
	if err != nil {
		return err
	}
	return w.Create.Bytes(filepath.Join(dir, IndexFile), index)
}

// Sources gives the tensors with their numbers.
func Sources(tensors []file.Tensor, weight func(name string) []float32) []safetensors.Source {
	var list []safetensors.Source
	for _, t := range tensors {
		lo, hi := t.Span()
		list = append(list, safetensors.Source{Name: t.Name, Shape: t.Shape, Data: weight(t.Weight)[lo:hi]})
	}
	return list
}

// rounded is a number as a file in that dtype holds it. One that the dtype does
// not reach is 0 here; writing it is an error.
func rounded(x float32, dtype string) float64 {
	var back [1]float32
	if raw, err := file.Encode(nil, []float32{x}, dtype); err == nil {
		file.Decode(back[:], raw, dtype)
	}
	return float64(back[0])
}

// shardFile is the name of the i-th of n files.
func shardFile(i, n int) string {
	if n == 1 {
		return WeightsFile
	}
	return fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, n)
}

// split spreads the tensors over files, in their order.
func (w Writer) split(tensors []safetensors.Source) [][]safetensors.Source {
	size, _ := file.DTypeSize(w.DType)
	shards := [][]safetensors.Source{nil}
	room := w.MaxBytes
	for _, t := range tensors {
		last := len(shards) - 1
		bytes := size * int64(len(t.Data))
		if bytes > room && len(shards[last]) > 0 {
			shards = append(shards, nil)
			last++
			room = w.MaxBytes
		}
		shards[last] = append(shards[last], t)
		room -= bytes
	}
	return shards
}

// encodeIndex writes which file has which tensor.
func (w Writer) encodeIndex(shards [][]safetensors.Source) ([]byte, error) {
	size, _ := file.DTypeSize(w.DType)
	weights := make(map[string]string)
	params := int64(0)
	for i, shard := range shards {
		for _, t := range shard {
			weights[t.Name] = shardFile(i, len(shards))
			params += int64(len(t.Data))
		}
	}
	raw, err := json.MarshalIndent(map[string]any{
		"metadata":   map[string]int64{"total_parameters": params, "total_size": size * params},
		"weight_map": weights,
	}, "", "  ")
	return append(raw, '\n'), err
}
