package hf

import (
	"fmt"
	"os"
	"path/filepath"
)

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
