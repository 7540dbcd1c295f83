package hf

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tame-rlhf/tame/internal/jsontext"
	"github.com/tame-rlhf/tame/pkg/model/internal/file"
	"github.com/tame-rlhf/tame/pkg/model/internal/safetensors"
)

// openShards opens the weights of a folder: one file, or those that the index names.
func openShards(dir string) ([]*safetensors.File, error) {
	if _, err := os.Stat(filepath.Join(dir, WeightsFile)); err == nil {
		return file.OpenAll(dir, []string{WeightsFile}, safetensors.Open)
	}
	path := filepath.Join(dir, IndexFile)
	weights, err := file.Parse(path, file.MaxIndexBytes, parseIndex)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s has neither %s nor %s (weights in other formats must be converted first): %w", dir, WeightsFile, IndexFile, err)
	}
	if err != nil {
		return nil, err
	}
	names := slices.Compact(slices.Sorted(maps.Values(weights)))
	shards, err := file.OpenAll(dir, names, safetensors.Open)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		i, _ := slices.BinarySearch(names, weights[name])
		if _, ok := shards[i].Tensor(name); !ok {
			_ = file.Close(shards) // the first error is the one to tell
			return nil, fmt.Errorf("%s: tensor %q is not in %s", path, file.Short(name), file.Short(weights[name]))
		}
	}
	return shards, nil
}

// parseIndex gives the file of each tensor. Files lie beside the index: a name that leads elsewhere is not followed.
func parseIndex(raw []byte) (map[string]string, error) {
	fields, err := file.Object(raw)
	if err != nil {
		return nil, err
	}
	entries, err := file.Object(fields["weight_map"])
	if err != nil {
		return nil, fmt.Errorf("weight_map: %w", err)
	}
	weights := make(map[string]string, len(entries))
	for _, tensor := range slices.Sorted(maps.Keys(entries)) {
		var name string
		if err := jsontext.Unmarshal(entries[tensor], &name); err != nil {
			return nil, fmt.Errorf("tensor %q: %w", file.Short(tensor), err)
		}
		if strings.ContainsAny(name, `/\:`) || !filepath.IsLocal(name) || name == "." {
			return nil, fmt.Errorf("tensor %q lies in %q, want a file beside the index", file.Short(tensor), file.Short(name))
		}
		weights[tensor] = name
	}
	return weights, nil
}
