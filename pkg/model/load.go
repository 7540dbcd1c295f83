package model

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/gguf"
	"github.com/tame-rlhf/tame/internal/memory"
	"github.com/tame-rlhf/tame/pkg/model/arch"
	"github.com/tame-rlhf/tame/pkg/model/internal/file"
	"github.com/tame-rlhf/tame/pkg/model/internal/folder"
	"github.com/tame-rlhf/tame/pkg/model/internal/hf"
	"github.com/tame-rlhf/tame/pkg/model/internal/llama2c"
	"github.com/tame-rlhf/tame/pkg/model/internal/llamacpp"
	"github.com/tame-rlhf/tame/pkg/model/internal/meta"
)

// Load reads weights as float32, in one of these forms:
//
//   - a folder in Hugging Face layout: config.json and model.safetensors, or shards with model.safetensors.index.json; F32, F16 or BF16.
//     Without these, pytorch_model.bin or shards with pytorch_model.bin.index.json, whose pickles are read and not executed
//   - a folder as Meta ships Llama: params.json and consolidated.00.pth, or several such files; or one of these files; F32, F16 or BF16
//   - a GGUF file of llama.cpp; F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K or Q6_K
//   - a llama2.c file (.bin, version 0)
//
// Names, shapes and dtypes are compared with the config before anything of the model's size is allocated, and an error names file and
// tensor. A model of another family than those of arch.Family is refused by its name.
//
// A scalar head is there if the checkpoint has score.weight, further weights (Params.Add) if the folder has further.safetensors. If a Save into that folder was interrupted between its last two steps, Load
// finishes or undoes it first.
func Load(path string) (*Params, error) {
	p, err := load(path, arch.Llama())
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	return p, nil
}

// opened is a model's file or folder, whose names, shapes and types fit its settings.
type opened interface {
	Has() *file.Contents
	Read(weight func(name string) []float32) error
	Close() error
}

func load(path string, table arch.Table) (_ *Params, err error) {
	if err := folder.Recover(path, hf.ConfigFile); err != nil {
		return nil, err
	}
	m, err := open(path, table)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	has := make(map[string]bool)
	for _, t := range m.Has().Tensors {
		has[t.Weight] = true
	}
	if err := memory.Check(fmt.Sprintf("%s: its %d weights", path, m.Has().Config.NumParams()), 4*m.Has().Config.NumParams()); err != nil {
		return nil, fmt.Errorf("%w: take a smaller model, or allow more memory", err)
	}
	p := newParams(table, m.Has().Config, tensor.Float32)
	p.ends, p.generation, p.aside = m.Has().Ends, m.Has().Generation, m.Has().LeftAside
	if has[arch.ScoreWeight] {
		p.AddHead(nil)
	}
	if !has["output"] {
		p.DropOutput()
	}
	for _, q := range p.list {
		if !has[q.Name] {
			return nil, fmt.Errorf("%s: the format has no place for weight %q", path, q.Name)
		}
	}
	if err := m.Read(p.numbers); err != nil {
		return nil, err
	}
	if exists(path, furtherFile) {
		if err := p.readFurther(path); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// open finds out what form a model is in.
func open(path string, table arch.Table) (opened, error) {
	stat, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case stat.IsDir() && exists(path, meta.FirstFile) && !exists(path, hf.ConfigFile):
		return meta.Open(path, table)
	case stat.IsDir():
		return hf.Open(path, table)
	case !stat.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no file but %v", path, stat.Mode().Type())
	case meta.IsShard(filepath.Base(path)):
		return meta.Open(filepath.Dir(path), table)
	case gguf.Sniff(path):
		return llamacpp.Open(path, table)
	case strings.EqualFold(filepath.Ext(path), llama2c.Suffix):
		return llama2c.Open(path, table)
	}
	return nil, fmt.Errorf("%s is none of: a folder with %s and safetensors, one with %s and %s, a GGUF file, a llama2.c %s file",
		path, hf.ConfigFile, meta.ParamsFile, meta.FirstFile, llama2c.Suffix)
}

func exists(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}
