package hf

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"

	"github.com/tame-rlhf/tame/pkg/model/arch"
	"github.com/tame-rlhf/tame/pkg/model/internal/file"
)

// generationFile holds how transformers samples from a model unless it is told otherwise.
const generationFile = "generation_config.json"

// readGeneration reads the generation_config.json, if there is one. As in transformers' generate, its ids that end an answer count in
// place of config.json's. The other fields are kept for those who sample, and to be written again.
func (m *Model) readGeneration(dir string) error {
	parse := func(raw []byte) (*reader, error) {
		fields, err := file.Object(raw)
		return &reader{file.Fields{Raw: fields}}, err
	}
	path := filepath.Join(dir, generationFile)
	r, err := file.Parse(path, file.MaxConfigBytes, parse)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	ids := r.tokens("eos_token_id", -1)
	if err = errors.Join(r.Errs...); err == nil && ids[0] >= 0 {
		err = m.header.setEnds(ids)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	m.Generation = r.Raw
	maps.DeleteFunc(m.Generation, func(name string, raw json.RawMessage) bool { return notSampling[name] || file.IsNull(raw) })
	return nil
}

// notSampling are the fields of a generation_config.json that a model or its writer has itself.
var notSampling = map[string]bool{"bos_token_id": true, "eos_token_id": true, "pad_token_id": true, "transformers_version": true, "_from_model_config": true}

// encodeGeneration writes a generation_config.json: BOS, all ids that end an answer, and the fields that were read.
func encodeGeneration(c arch.Config, ends []int32, fields map[string]json.RawMessage) ([]byte, error) {
	h := make(map[string]any, len(fields)+2)
	for name, raw := range fields {
		h[name] = raw
	}
	if c.BOS >= 0 {
		h["bos_token_id"] = c.BOS
	}
	if c.EOS >= 0 {
		h["eos_token_id"] = c.EOS
		if len(ends) > 0 {
			h["eos_token_id"] = append([]int32{c.EOS}, ends...)
		}
	}
	raw, err := json.MarshalIndent(h, "", "  ")
	return append(raw, '\n'), err
}
