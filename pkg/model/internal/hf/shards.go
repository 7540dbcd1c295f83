package hf

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tame-rlhf/tame/internal/jsontext"
	"github.com/tame-rlhf/tame/pkg/model/internal/file"
)

// forms are the forms of weights in the order in which they are looked for, which is that of transformers.
var forms = []struct {
	file, index string
	open        func(path string) (weights, error)
}{
	{WeightsFile, IndexFile, openSafe},
	{TorchFile, TorchIndex, openTorch},
}

// openShards opens the weights of a folder: one file, or those that the index names, and then index is its name. aside says which
// weights are left aside.
func openShards(dir string) (shards []weights, index string, aside []string, err error) {
	used := ""
	for _, form := range forms {
		for _, name := range []string{form.file, form.index} {
			if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
				continue
			}
			if used != "" {
				aside = append(aside, fmt.Sprintf("%s is not read, because %s is there", name, used))
				continue
			}
			used = name
			if name == form.file {
				shards, err = file.OpenAll(dir, []string{name}, form.open)
			} else {
				index = name
				shards, err = openIndex(dir, name, form.open)
			}
			if err != nil {
				return nil, "", nil, err
			}
		}
	}
	if used == "" {
		return nil, "", nil, fmt.Errorf("%s has none of %s, %s, %s and %s (weights in other formats must be converted first): %w",
			dir, WeightsFile, IndexFile, TorchFile, TorchIndex, fs.ErrNotExist)
	}
	return shards, index, aside, nil
}

// openIndex opens the files that an index names.
func openIndex(dir, index string, open func(path string) (weights, error)) ([]weights, error) {
	path := filepath.Join(dir, index)
	of, err := file.Parse(path, file.MaxIndexBytes, parseIndex)
	if err != nil {
		return nil, err
	}
	names := slices.Compact(slices.Sorted(maps.Values(of)))
	shards, err := file.OpenAll(dir, names, open)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(of)) {
		i, _ := slices.BinarySearch(names, of[name])
		if _, ok := shards[i].shape(name); !ok {
			_ = file.Close(shards) // the first error is the one to tell
			return nil, fmt.Errorf("%s: tensor %q is not in %s", path, file.Short(name), file.Short(of[name]))
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
