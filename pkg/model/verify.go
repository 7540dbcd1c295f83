package model

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/tame-rlhf/tame/internal/checksum"
	"github.com/tame-rlhf/tame/pkg/model/arch"
	"github.com/tame-rlhf/tame/pkg/model/internal/folder"
	"github.com/tame-rlhf/tame/pkg/model/internal/hf"
)

// Inspect compares names, shapes and types of all tensors of a model with its settings, as Load does before it reads the numbers. No
// form of a model has checksums of its own: a flipped bit within the numbers is not seen.
func Inspect(path string) (Config, error) {
	m, err := open(path, arch.Llama())
	if err != nil {
		return Config{}, fmt.Errorf("model: %w", err)
	}
	return m.Has().Config, m.Close()
}

// Description is what Load reads of a model, and what it leaves.
type Description struct {
	Form          string   // hf, gguf, llama2c or meta
	Files         []string // that Load reads, by their names in the model's folder
	Tensors       int      // that Load reads
	UnusedTensors []string // that Load leaves, because others or the settings say the same
	UnusedKeys    []string // of config.json that Load leaves; nil in other forms
}

// Describe looks at a model as Inspect does.
func Describe(path string) (Description, error) {
	m, err := open(path, arch.Llama())
	if err != nil {
		return Description{}, fmt.Errorf("model: %w", err)
	}
	has := m.Has()
	d := Description{Form: has.Form, Files: has.Files, Tensors: len(has.Tensors), UnusedTensors: has.UnusedTensors, UnusedKeys: has.UnusedKeys}
	if has.Form == "hf" && exists(path, furtherFile) {
		d.Files = append(d.Files, furtherFile)
	}
	return d, m.Close()
}

// ErrDamaged is wrapped by the errors of Verify that name files with other bytes than were written.
var ErrDamaged = checksum.ErrDamaged

// Verify compares all files of a folder with their SHA-256 in its SHA256SUMS, which Save and SaveMeta write: an error that wraps
// ErrDamaged names those that differ or are missing, and files of weights or settings that were added. It returns the files that
// were compared, and others that are there, such as a README. A folder without SHA256SUMS, which other programs wrote, gives an
// error that wraps fs.ErrNotExist.
//
// If a Save into that folder was interrupted between its last two steps, Verify finishes or undoes it first, as Load does.
func Verify(ctx context.Context, dir string) (files, others []string, err error) {
	if err := folder.Recover(dir, hf.ConfigFile); err != nil {
		return nil, nil, fmt.Errorf("model: %w", err)
	}
	r, err := new(checksum.Hasher).Check(ctx, dir, checksum.Weights)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("model: there is nothing to compare %s with: %w", dir, err)
	}
	if err != nil {
		err = fmt.Errorf("model: %w", err)
	}
	return r.Files, r.Extra, err
}
