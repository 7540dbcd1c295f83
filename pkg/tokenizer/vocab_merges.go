package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/tame-rlhf/tame/internal/bounded"
)

// The two files of byte-level BPE from before tokenizer.json.
const (
	vocabFile  = "vocab.json"
	mergesFile = "merges.txt"
)

// vocabClasses are the classes of transformers whose tokenizers have these two files, with how they cut text.
var vocabClasses = map[string]string{"GPT2Tokenizer": "gpt-2", "Qwen2Tokenizer": "qwen2"}

// gpt2End is the token that begins and ends texts in GPT-2, where no file names others.
const gpt2End = "<|endoftext|>"

// readVocabMerges reads vocab.json and merges.txt of a folder, with the files next to them that name and add tokens. How text is cut is in
// neither of them: tokenizer_class of tokenizer_config.json says so. Without it they are GPT-2's.
func readVocabMerges(dir string) (*Tokenizer, error) {
	var config struct {
		Class       string `json:"tokenizer_class"`
		PrefixSpace bool   `json:"add_prefix_space"`
	}
	raw, err := readBeside(dir, huggingConfig)
	if err == nil && raw != nil {
		err = json.Unmarshal(raw, &config)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", huggingConfig, err)
	}
	class := strings.TrimSuffix(config.Class, "Fast")
	if class == "" {
		class = "GPT2Tokenizer"
	}
	pre, ok := preTokenizers[vocabClasses[class]]
	if !ok {
		return nil, fmt.Errorf("%s: tokenizer_class is %q, and how it cuts text is not in %s or %s: use its tokenizer.json "+
			"(transformers writes one: AutoTokenizer.from_pretrained(DIR).save_pretrained(NEW))", huggingConfig, config.Class, vocabFile, mergesFile)
	}
	file := huggingFile{Decoder: json.RawMessage(byteLevelJSON)}
	if file.PreTokenizer, file.Normalizer, err = pre.json(config.PrefixSpace); err != nil {
		return nil, err
	}
	var model huggingModel
	if err := model.readVocabMerges(dir); err != nil {
		return nil, err
	}
	names, err := readNames(dir)
	if err != nil {
		return nil, err
	}
	added, err := readAddedTokens(dir, names)
	if err != nil {
		return nil, err
	}
	if _, err := file.add(added, &model); err != nil {
		return nil, err
	}
	return fromHugging(&file, &model, names.config(&model, raw))
}

func (m *huggingModel) readVocabMerges(dir string) error {
	raw, err := bounded.ReadFile(filepath.Join(dir, vocabFile), maxFile)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, &m.Vocab); err != nil {
		return fmt.Errorf("%s: want an object of tokens with their ids: %w", vocabFile, err)
	}
	if len(m.Vocab) == 0 {
		return fmt.Errorf("%s: the vocabulary is empty", vocabFile)
	}
	text, err := bounded.ReadFile(filepath.Join(dir, mergesFile), maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is missing next to %s", mergesFile, vocabFile)
	}
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n"), "\n")
	if strings.HasPrefix(lines[0], "#version") {
		lines = lines[1:]
	}
	if m.merges, err = parseMerges(lines); err != nil {
		return fmt.Errorf("%s: %w", mergesFile, err)
	}
	return nil
}

// config gives what the names mean in the form of a tokenizer_config.json, whose own text is raw.
func (s *specialTokens) config(m *huggingModel, raw []byte) []byte {
	fields := make(map[string]any)
	if raw != nil {
		_ = json.Unmarshal(raw, &fields) // it was read before
	}
	for i, special := range specials {
		if name := s.name(i); name != nil {
			fields[special.name] = string(*name)
		} else if _, ok := m.Vocab[gpt2End]; ok && s.BOS == nil && s.EOS == nil && special.name != "pad_token" {
			fields[special.name] = gpt2End
		}
	}
	out, _ := json.Marshal(fields) // of what was JSON before
	return out
}
