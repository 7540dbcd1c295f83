package hf

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tame-rlhf/tame/internal/bounded"
	"github.com/tame-rlhf/tame/pkg/model/arch"
	"github.com/tame-rlhf/tame/pkg/model/internal/file"
	"github.com/tame-rlhf/tame/pkg/model/internal/safetensors"
)

// Files of a folder.
const (
	ConfigFile  = "config.json"
	WeightsFile = "model.safetensors"
	IndexFile   = "model.safetensors.index.json"
	TorchFile   = "pytorch_model.bin" // read where there are no safetensors
	TorchIndex  = "pytorch_model.bin.index.json"
)

// Names of the tensors that a tied model may have both of, or either one.
const (
	embedName  = "model.embed_tokens.weight"
	outputName = "lm_head.weight"
)

// Model is an open folder.
type Model struct {
	file.Contents // a head is there if its weights are; a reward model may lack the output

	dir    string
	header header
	shards []weights
	found  map[string]weights // by name of tensor
}

// Open reads the settings of a folder, and compares names, shapes and types of its tensors with
// them.
func Open(dir string, table arch.Table) (_ *Model, err error) {
	m := &Model{dir: dir}
	if err := checkForeign(dir); err != nil {
		return nil, err
	}
	fields, err := file.Parse(filepath.Join(dir, ConfigFile), file.MaxConfigBytes, file.Object)
	if err != nil {
		return nil, err
	}
	config := &reader{file.Fields{Raw: fields}}
	if m.header, err = config.header(); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, ConfigFile), err)
	}
	if err := m.readGeneration(dir); err != nil {
		return nil, err
	}
	m.Config, m.Ends = m.header.Config, m.header.ends
	m.Form, m.UnusedKeys = "hf", config.Unused()
	var index string
	if m.shards, index, m.LeftAside, err = openShards(dir); err != nil {
		return nil, err
	}
	m.Files = []string{ConfigFile}
	if _, err := os.Stat(filepath.Join(dir, generationFile)); err == nil {
		m.Files = append(m.Files, generationFile)
	}
	if index != "" {
		m.Files = append(m.Files, index)
	}
	for _, f := range m.shards {
		m.Files = append(m.Files, filepath.Base(f.path()))
	}
	if m.found, err = findTensors(m.shards); err == nil {
		m.Tensors = m.wanted(file.Tensors(table, m.header.Config, arch.HF))
		err = m.check()
	}
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// Close closes the files.
func (m *Model) Close() error { return file.Close(m.shards) }

// Read fills the weights.
func (m *Model) Read(weight func(name string) []float32) error {
	var reads []read
	for _, t := range m.Tensors {
		f := m.found[t.Name]
		if f == nil { // it is optional: the bias of a folder that transformers has written again
			weight(t.Weight)[0] = float32(m.header.scoreBias)
			continue
		}
		lo, hi := t.Span()
		reads = append(reads, read{from: f, name: t.Name, into: weight(t.Weight)[lo:hi]})
	}
	if err := readAll(reads); err != nil {
		return err
	}
	m.normalise(weight)
	return m.checkTied(weight("embed"))
}

// normalise puts OpenRLHF's normalisation of scores into the weights of the head.
func (m *Model) normalise(weight func(name string) []float32) {
	hasHead := slices.ContainsFunc(m.Tensors, func(t file.Tensor) bool { return t.Weight == arch.ScoreWeight })
	if m.header.std == 0 || !hasHead {
		return
	}
	w, bias := weight(arch.ScoreWeight), weight(arch.ScoreBias)
	for i, x := range w {
		w[i] = float32(float64(x) / m.header.std)
	}
	bias[0] = float32((float64(bias[0]) - m.header.mean) / m.header.std)
}

// findTensors gives the file of each tensor.
func findTensors(shards []weights) (map[string]weights, error) {
	found := make(map[string]weights)
	for _, f := range shards {
		for _, name := range f.names() {
			if prev := found[name]; prev != nil {
				return nil, fmt.Errorf("tensor %q is in %s and in %s", file.Short(name), prev.path(), f.path())
			}
			found[name] = f
		}
	}
	return found, nil
}

// wanted are the tensors that this model has, out of all that one of its shape can have.
func (m *Model) wanted(all []file.Tensor) []file.Tensor {
	head := m.found[arch.ScoreWeight] != nil || m.header.classifier
	if m.header.TieEmbeddings && m.found[embedName] == nil && m.found[outputName] != nil {
		i := slices.IndexFunc(all, func(t file.Tensor) bool { return t.Name == embedName })
		all[i].Name = outputName // some writers keep the other one of the two names
	}
	return slices.DeleteFunc(all, func(t file.Tensor) bool {
		switch t.Weight {
		case arch.ScoreWeight, arch.ScoreBias:
			return !head
		case "output":
			return m.found[t.Name] == nil && head
		}
		return false
	})
}

// check compares names, shapes and types before anything of the model's size is allocated.
func (m *Model) check() error {
	if err := m.checkPrefix(); err != nil {
		return err
	}
	var errs []error
	known := make(map[string]bool)
	for _, t := range m.Tensors {
		known[t.Name] = true
		f := m.found[t.Name]
		if f == nil {
			if !t.Optional {
				errs = append(errs, fmt.Errorf("%s: tensor %q of shape %v is missing", m.dir, t.Name, t.Shape))
			}
			continue
		}
		if shape, _ := f.shape(t.Name); !slices.Equal(shape, t.Shape) {
			errs = append(errs, fmt.Errorf("%s: tensor %q has shape %v, %s wants %v", f.path(), t.Name, shape, ConfigFile, t.Shape))
		} else if err := f.readable(t.Name); err != nil {
			errs = append(errs, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.found)) {
		ignored := strings.HasSuffix(name, ".rotary_emb.inv_freq") || // old checkpoints store the frequencies
			name == outputName && m.header.TieEmbeddings // a copy of the embedding
		if !known[name] && ignored {
			m.UnusedTensors = append(m.UnusedTensors, name)
		}
		if !known[name] && !ignored {
			errs = append(errs, fmt.Errorf("%s: tensor %q belongs to no %s of this %s", m.found[name].path(), name, families[m.header.Family].class, ConfigFile))
		}
	}
	return bounded.Few(errs)
}

// checkPrefix looks whether all layers are there under names with another prefix, as training programs write them that save what they have
// wrapped the model in.
func (m *Model) checkPrefix() error {
	const prefix, name = "model.", "layers.0.self_attn.q_proj."
	for _, found := range slices.Sorted(maps.Keys(m.found)) {
		at := strings.Index(found, name)
		if at < 0 {
			continue
		}
		if found[:at] == prefix {
			return nil
		}
		do := "save the model itself again (model.save_pretrained), or rename the tensors"
		if strings.Contains(found, "base_model.") || strings.Contains(found, "lora_") || strings.Contains(found, ".base_layer.") {
			do = "the model is wrapped in an adapter: merge it first (peft: model.merge_and_unload().save_pretrained(DIR))"
		}
		return fmt.Errorf("%s: the names of the tensors begin with %q, as in %q, where Llama's begin with %q: %s",
			m.found[found].path(), file.Short(found[:at]), file.Short(found), prefix, do)
	}
	return nil
}

// checkTied wants an output that is there besides the embedding it is tied to to be the same. Of
// others, some readers would take the output, some the embedding.
func (m *Model) checkTied(embed []float32) error {
	f := m.found[outputName]
	if !m.header.TieEmbeddings || f == nil || m.found[embedName] == nil {
		return nil
	}
	const hint = "though tie_word_embeddings is true in " + ConfigFile + ": set it to false, or remove the tensor"
	shape, _ := f.shape(outputName)
	if want := []int{m.header.VocabSize, m.header.Dim}; !slices.Equal(shape, want) || f.readable(outputName) != nil {
		return fmt.Errorf("%s: tensor %q is no copy of the embedding, %s", f.path(), outputName, hint)
	}
	err := read{from: f, name: outputName, into: embed}.same()
	if errors.Is(err, safetensors.ErrDiffers) {
		return fmt.Errorf("%s: tensor %q differs from the embedding, %s", f.path(), outputName, hint)
	}
	return err
}
