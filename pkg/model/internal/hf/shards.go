package hf

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tame-rlhf/tame/pkg/model/internal/file"
	"github.com/tame-rlhf/tame/pkg/model/internal/safetensors"
)

// openShards opens the weights of a folder: one file, or those that the index names.
func openShards(dir string) (_ []*safetensors.File, err error) {
	if _, err := os.Stat(filepath.Join(dir, WeightsFile)); err == nil {
		f, err := safetensors.Open(filepath.Join(dir, WeightsFile))
		if err != nil {
			return nil, err
		}
		return []*safetensors.File{f}, nil
	}
	path := filepath.Join(dir, IndexFile)
	weights, err := readIndex(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s has neither %s nor %s (weights in other formats must be converted first): %w", dir, WeightsFile, IndexFile, err)
	}
	if err != nil {
		return nil, err
	}
	names := slices.Compact(slices.Sorted(maps.Values(weights)))
	var shards []*safetensors.File
	defer func() {
		if err != nil {
			_ = file.Close(shards) // the first error is the one to tell
		}
	}()
	for _, name := range names {
		f, err := safetensors.Open(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		shards = append(shards, f)
	}
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		i, _ := slices.BinarySearch(names, weights[name])
		if _, ok := shards[i].Tensor(name); !ok {
			return nil, fmt.Errorf("%s: tensor %q is not in %s", path, file.Short(name), file.Short(weights[name]))
		}
	}
	return shards, nil
}

// readIndex gives the file of each tensor. Files lie beside the index: a name that leads elsewhere is not followed.
func readIndex(path string) (map[string]string, error) {
	raw, err := file.ReadSmall(path, file.MaxIndexBytes)
	if err != nil {
		return nil, err
	}
	weights, err := parseIndex(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return weights, nil
}

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
		if err := json.Unmarshal(entries[tensor], &name); err != nil {
			return nil, fmt.Errorf("tensor %q: %w", file.Short(tensor), err)
		}
		if strings.ContainsAny(name, `/\:`) || !filepath.IsLocal(name) || name == "." {
			return nil, fmt.Errorf("tensor %q lies in %q, want a file beside the index", file.Short(tensor), file.Short(name))
		}
		weights[tensor] = name
	}
	return weights, nil
}
