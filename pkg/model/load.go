package model

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tame-rlhf/tame/internal/gguf"
)

// Load reads weights as float32, in one of these forms:
//
//   - a folder in Hugging Face layout: config.json and model.safetensors, or shards with model.safetensors.index.json; F32, F16 or BF16
//   - a folder as Meta ships Llama: params.json and consolidated.00.pth, or several such files; or one of these files; F32, F16 or BF16
//   - a GGUF file of llama.cpp; F32, F16, BF16 or Q8_0
//   - a llama2.c file (.bin, version 0)
//
// Names, shapes and dtypes are compared with the config before anything of the model's size is allocated, and an error names file and
// tensor. What describes another model than Llama 2 is refused by its name.
//
// A scalar head is there if the checkpoint has score.weight. If a Save into that folder was interrupted between its last two steps, Load
// finishes or undoes it first.
func Load(path string) (*Params, error) {
	if err := recoverDir(path); err != nil {
		return nil, err
	}
	stat, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("model: %w", err)
	case stat.IsDir() && isMeta(path):
		return loadMeta(path)
	case stat.IsDir():
		return loadHF(path)
	case !stat.Mode().IsRegular():
		return nil, fmt.Errorf("model: %s is no file but %v", path, stat.Mode().Type())
	case isMetaShard(filepath.Base(path)):
		return loadMeta(filepath.Dir(path))
	case gguf.Sniff(path):
		return loadGGUF(path)
	case strings.EqualFold(filepath.Ext(path), llama2cSuffix):
		return loadLlama2C(path)
	}
	return nil, fmt.Errorf("model: %s is none of: a folder with %s and safetensors, one with %s and %s, a GGUF file, a llama2.c %s file",
		path, configFile, metaParams, metaFirst, llama2cSuffix)
}

// asideDir is where Save puts the old folder for the moment in which the new one takes its place.
func asideDir(dir string) string {
	dir = filepath.Clean(dir)
	return filepath.Join(filepath.Dir(dir), "."+filepath.Base(dir)+".replaced")
}

// recoverDir puts the old folder back if a Save was interrupted before the new one had taken its place.
func recoverDir(dir string) error {
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return nil // there, or an error that reading it will tell
	}
	aside := asideDir(dir)
	if _, err := os.Lstat(filepath.Join(aside, configFile)); err != nil {
		return nil
	}
	if err := os.Rename(aside, dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("model: the last checkpoint is in %s: %w", aside, err)
	}
	return nil
}
