package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
)

// SaveConfig says how SaveAs writes the weights.
type SaveConfig struct {
	// DType is the type of the numbers: F32, F16 or BF16. The latter two take half the space; numbers are rounded to nearest even, and one
	// that F16 does not reach is an error. Default: F32, which keeps every bit.
	DType string
	// MaxShardBytes is the most bytes of numbers of one file; a tensor that is larger has a file of its own. What does not fit one file is
	// written as model-00001-of-00003.safetensors and so on, with model.safetensors.index.json. Default: 5e9; Hugging Face's hub has the same.
	MaxShardBytes int64
}

// DefaultSaveConfig is what Save writes.
func DefaultSaveConfig() SaveConfig { return SaveConfig{DType: F32, MaxShardBytes: 5e9} }

// Validate reports everything that is wrong with the config at once.
func (c SaveConfig) Validate() error {
	var errs []error
	if _, known := dtypeSize(c.DType); !known {
		errs = append(errs, fmt.Errorf("model: save: DType is %q, want F32, F16 or BF16", c.DType))
	}
	if c.MaxShardBytes < 1 {
		errs = append(errs, fmt.Errorf("model: save: MaxShardBytes is %d, want a positive number (default: 5e9)", c.MaxShardBytes))
	}
	return errors.Join(errs...)
}

// writeModel writes the model's own files into a folder.
func (s saver) writeModel(dir string, p *Params) error {
	config, err := encodeHFConfig(p, s.cfg.DType)
	if err != nil {
		return err
	}
	if err := s.writeBytes(filepath.Join(dir, configFile), config); err != nil {
		return err
	}
	tensors := p.hfSources()
	if p.HasHead() && headBias(p, F32) == 0 { // other readers know of none
		tensors = slices.DeleteFunc(tensors, func(t tensorSource) bool { return t.name == scoreBias })
	}
	shards := s.cfg.split(tensors)
	for i, shard := range shards {
		err := s.writeFile(filepath.Join(dir, shardFile(i, len(shards))), func(w io.Writer) error {
			return writeSafetensors(w, shard, s.cfg.DType, map[string]string{"format": "pt"}) // other readers ask for it
		})
		if err != nil {
			return err
		}
	}
	if len(shards) == 1 {
		return nil
	}
	index, err := s.cfg.encodeIndex(shards)
	if err != nil {
		return err
	}
	return s.writeBytes(filepath.Join(dir, indexFile), index)
}

// shardFile is the name of the i-th of n files.
func shardFile(i, n int) string {
	if n == 1 {
		return weightsFile
	}
	return fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, n)
}

// split spreads the tensors over files, in their order.
func (c SaveConfig) split(tensors []tensorSource) [][]tensorSource {
	size, _ := dtypeSize(c.DType)
	shards := [][]tensorSource{nil}
	room := c.MaxShardBytes
	for _, t := range tensors {
		last := len(shards) - 1
		bytes := size * int64(t.len())
		if bytes > room && len(shards[last]) > 0 {
			shards = append(shards, nil)
			last++
			room = c.MaxShardBytes
		}
		shards[last] = append(shards[last], t)
		room -= bytes
	}
	return shards
}

// encodeIndex writes which file has which tensor.
func (c SaveConfig) encodeIndex(shards [][]tensorSource) ([]byte, error) {
	size, _ := dtypeSize(c.DType)
	weights := make(map[string]string)
	params := int64(0)
	for i, shard := range shards {
		for _, t := range shard {
			weights[t.name] = shardFile(i, len(shards))
			params += int64(t.len())
		}
	}
	raw, err := json.MarshalIndent(map[string]any{
		"metadata":   map[string]int64{"total_parameters": params, "total_size": size * params},
		"weight_map": weights,
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("model: index: %w", err)
	}
	return append(raw, '\n'), nil
}

// WriteWeights writes the weights in safetensors form, the same bytes for the same weights: a hash of it names a model.
func (p *Params) WriteWeights(w io.Writer) error {
	return writeSafetensors(w, p.hfSources(), F32, nil)
}

func (s saver) writeBytes(path string, raw []byte) error {
	return s.writeFile(path, func(w io.Writer) error {
		_, err := w.Write(raw)
		return err
	})
}
