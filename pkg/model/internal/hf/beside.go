package hf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tame-rlhf/tame/pkg/model/internal/file"
)

// generationFile holds how transformers samples from a model unless it is told otherwise. The ids that end an answer belong to the model.
// The rest are proposals for settings that everything here that samples has to be given.
const generationFile = "generation_config.json"

// foreign are files next to the weights that other programs read, and that make another model of them.
var foreign = []struct{ name, reason string }{
	{"adapter_config.json", "the folder holds an adapter (LoRA), which is not applied here: merge it into its base model first " +
		"(peft: model.merge_and_unload().save_pretrained(DIR)); if the weights are merged already, remove adapter_config.json and adapter_model.*"},
	{"value_head.safetensors", "a value head in a file of its own is not read: store its weights as score.weight in model.safetensors, or remove it"},
	{"value_head.bin", "a value head in a file of its own is not read: store its weights as score.weight in model.safetensors, or remove it"},
}

// checkForeign refuses a folder whose weights are not the whole model.
func checkForeign(dir string) error {
	for _, f := range foreign {
		if _, err := os.Lstat(filepath.Join(dir, f.name)); err == nil {
			return fmt.Errorf("%s has the file %s: %s", dir, f.name, f.reason)
		}
	}
	return nil
}

// readGeneration takes the ids that end an answer from the generation_config.json, if there is one that has some. As in transformers'
// generate, they count in place of config.json's.
func (m *header) readGeneration(dir string) error {
	parse := func(raw []byte) ([]int32, error) {
		fields, err := file.Object(raw)
		if err != nil {
			return nil, err
		}
		r := &reader{file.Fields{Raw: fields}}
		ids := r.tokens("eos_token_id", -1)
		return ids, errors.Join(r.Errs...)
	}
	path := filepath.Join(dir, generationFile)
	ids, err := file.Parse(path, file.MaxConfigBytes, parse)
	if errors.Is(err, fs.ErrNotExist) || err == nil && ids[0] < 0 {
		return nil
	}
	if err != nil {
		return err
	}
	if err := m.setEnds(ids); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
