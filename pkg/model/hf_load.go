package model

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

	"gorgonia.org/tensor"
)

const (
	configFile  = "config.json"
	weightsFile = "model.safetensors"
	indexFile   = "model.safetensors.index.json"
)

// loadHF reads a folder in Hugging Face layout.
func loadHF(dir string) (_ *Params, err error) {
	m, err := readHFConfig(filepath.Join(dir, configFile))
	if err != nil {
		return nil, err
	}
	shards, err := openShards(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, f := range shards {
			err = errors.Join(err, f.Close())
		}
	}()
	found, err := findTensors(shards)
	if err != nil {
		return nil, err
	}
	wanted := wantedTensors(m, found)
	if err := checkTensors(dir, m.Config, wanted, found); err != nil {
		return nil, err
	}
	p := NewParams(m.Config, tensor.Float32)
	has := func(param string) bool {
		return slices.ContainsFunc(wanted, func(t hfTensor) bool { return t.param == param })
	}
	if has(scoreWeight) {
		p.AddHead(nil)
		floats[float32](p.Get(scoreBias).Value)[0] = float32(m.scoreBias) // of a folder that transformers has written again
	}
	if !has("output") {
		p.DropOutput()
	}
	var reads []tensorRead
	for _, t := range wanted {
		if f := found[t.name]; f != nil { // else it is optional
			lo, hi := t.span()
			reads = append(reads, tensorRead{f, f.byName[t.name], floats[float32](p.Get(t.param).Value)[lo:hi]})
		}
	}
	if err := readTensors(reads); err != nil {
		return nil, err
	}
	return p, checkTied(p, found)
}

// findTensors gives the file of each tensor.
func findTensors(shards []*safetensorsFile) (map[string]*safetensorsFile, error) {
	found := make(map[string]*safetensorsFile)
	for _, f := range shards {
		for _, t := range f.infos {
			if prev := found[t.name]; prev != nil {
				return nil, fmt.Errorf("model: tensor %q is in %s and in %s", short(t.name), prev.path, f.path)
			}
			found[t.name] = f
		}
	}
	return found, nil
}

// wantedTensors are those that the model has. A head is there if its weights are; a reward model may lack the output.
func wantedTensors(m hfModel, found map[string]*safetensorsFile) []hfTensor {
	head := found[scoreWeight] != nil || m.classifier
	wanted := hfTensors(m.Config)
	if m.TieEmbeddings && found[hfEmbed] == nil && found[hfOutput] != nil {
		wanted[0].name = hfOutput // some writers keep the other one of the two names
	}
	return slices.DeleteFunc(wanted, func(t hfTensor) bool {
		switch t.param {
		case scoreWeight, scoreBias:
			return !head
		case "output":
			return found[t.name] == nil && head
		}
		return false
	})
}

// checkTied wants an output that is there besides the embedding it is tied to to be the same. Of others, some readers would take the
// output, some the embedding.
func checkTied(p *Params, found map[string]*safetensorsFile) error {
	f := found[hfOutput]
	if !p.cfg.TieEmbeddings || f == nil || found[hfEmbed] == nil {
		return nil
	}
	const hint = "though tie_word_embeddings is true in config.json: set it to false, or remove the tensor"
	t := f.byName[hfOutput]
	if want := []int{p.cfg.VocabSize, p.cfg.Dim}; !slices.Equal(t.shape, want) || f.readable(t) != nil {
		return fmt.Errorf("model: %s: tensor %q is no copy of the embedding, %s", f.path, hfOutput, hint)
	}
	if err := compareTensors([]tensorRead{{f, t, floats[float32](p.Get("embed").Value)}}); err != nil {
		return fmt.Errorf("%w, %s", err, hint)
	}
	return nil
}

// checkTensors compares names, shapes and dtypes before anything of the model's size is allocated.
func checkTensors(dir string, cfg Config, wanted []hfTensor, found map[string]*safetensorsFile) error {
	var errs []error
	known := make(map[string]bool)
	for _, t := range wanted {
		known[t.name] = true
		f := found[t.name]
		switch {
		case f == nil && t.optional:
		case f == nil:
			errs = append(errs, fmt.Errorf("model: %s: tensor %q of shape %v is missing", dir, t.name, t.shape))
		case !slices.Equal(f.byName[t.name].shape, t.shape):
			errs = append(errs, fmt.Errorf("model: %s: tensor %q has shape %v, config.json wants %v", f.path, t.name, f.byName[t.name].shape, t.shape))
		default:
			if err := f.readable(f.byName[t.name]); err != nil {
				errs = append(errs, err)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		f := found[name]
		ignored := strings.HasSuffix(name, ".rotary_emb.inv_freq") || // old checkpoints store the frequencies
			name == "lm_head.weight" && cfg.TieEmbeddings // a copy of the embedding
		if !known[name] && !ignored {
			errs = append(errs, fmt.Errorf("model: %s: tensor %q belongs to no Llama of this config.json", f.path, name))
		}
	}
	return fewErrors(errs)
}

// openShards opens the weights of a folder: one file, or those that the index names.
func openShards(dir string) (_ []*safetensorsFile, err error) {
	if _, err := os.Stat(filepath.Join(dir, weightsFile)); err == nil {
		f, err := openSafetensors(filepath.Join(dir, weightsFile))
		if err != nil {
			return nil, err
		}
		return []*safetensorsFile{f}, nil
	}
	path := filepath.Join(dir, indexFile)
	weights, err := readIndex(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("model: %s has neither %s nor %s (weights in other formats must be converted first): %w", dir, weightsFile, indexFile, err)
	}
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	names := slices.Compact(slices.Sorted(maps.Values(weights)))
	var shards []*safetensorsFile
	defer func() {
		if err != nil {
			for _, f := range shards {
				_ = f.Close() // the first error is the one to tell
			}
		}
	}()
	for _, name := range names {
		f, err := openSafetensors(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		shards = append(shards, f)
	}
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		file := weights[name]
		i, _ := slices.BinarySearch(names, file)
		if _, ok := shards[i].byName[name]; !ok {
			return nil, fmt.Errorf("model: %s: tensor %q is not in %s", path, short(name), short(file))
		}
	}
	return shards, nil
}

// readIndex gives the file of each tensor. Files lie beside the index: a name that leads elsewhere is not followed.
func readIndex(path string) (map[string]string, error) {
	raw, err := readSmall(path, maxIndexBytes)
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
	fields, err := jsonObject(raw)
	if err != nil {
		return nil, err
	}
	entries, err := jsonObject(fields["weight_map"])
	if err != nil {
		return nil, fmt.Errorf("weight_map: %w", err)
	}
	weights := make(map[string]string, len(entries))
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		var file string
		if err := json.Unmarshal(entries[name], &file); err != nil {
			return nil, fmt.Errorf("tensor %q: %w", short(name), err)
		}
		if strings.ContainsAny(file, `/\:`) || !filepath.IsLocal(file) || file == "." {
			return nil, fmt.Errorf("tensor %q lies in %q, want a file beside the index", short(name), short(file))
		}
		weights[name] = file
	}
	return weights, nil
}
