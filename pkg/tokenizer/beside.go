package tokenizer

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

	"github.com/tame-rlhf/tame/internal/bounded"
	"github.com/tame-rlhf/tame/internal/jsontext"
)

// Further files next to a tokenizer that transformers reads.
const (
	chatTemplateFile = "chat_template.jinja"
	addedTokensFile  = "added_tokens.json"

	// maxBeside bounds each of them, and what tokenizer_config.json and special_tokens_map.json have.
	maxBeside = 4 << 20
)

// readBeside reads a file next to a tokenizer; nil if it does not exist.
func readBeside(dir, name string) ([]byte, error) {
	raw, err := bounded.ReadFile(filepath.Join(dir, name), maxBeside)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return raw, err
}

// readChatTemplate reads the chat template of the tokenizer's folder: chat_template.jinja, else that of tokenizer_config.json.
func readChatTemplate(dir string) (string, error) {
	raw, err := readBeside(dir, chatTemplateFile)
	if raw != nil || err != nil {
		return string(raw), err
	}
	raw, err = readBeside(dir, huggingConfig)
	if raw == nil || err != nil {
		return "", err
	}
	var config struct {
		Template json.RawMessage `json:"chat_template"`
	}
	if err := jsontext.Unmarshal(raw, &config); err != nil {
		return "", fmt.Errorf("%s: %w", huggingConfig, err)
	}
	var text string
	if len(config.Template) == 0 || json.Unmarshal(config.Template, &text) == nil {
		return text, nil
	}
	var named []struct{ Name, Template string } // since 2024: several, and the one named default counts
	if err := json.Unmarshal(config.Template, &named); err != nil {
		return "", fmt.Errorf("%s: chat_template is neither a text nor a list of templates with names", huggingConfig)
	}
	for _, t := range named {
		if text += t.Template; t.Name == "default" {
			return t.Template, nil
		}
	}
	return text, nil
}

// Reads returns the names of the files that [Load] of a path reads: the tokenizer, or the one that is in a folder, and the files next to it
// that say more of it.
func Reads(path string) ([]string, error) {
	if info, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	} else if info.IsDir() {
		if path, err = Find(path); err != nil {
			return nil, err
		}
	}
	name := filepath.Base(path)
	files := []string{name}
	beside := func(name string) {
		if _, err := os.Stat(filepath.Join(filepath.Dir(path), name)); err == nil {
			files = append(files, name)
		}
	}
	if name == vocabFile {
		beside(mergesFile)
	}
	if name == modelFile || strings.EqualFold(filepath.Ext(path), ".json") {
		beside(huggingConfig)
		beside(huggingSpecials)
		beside(addedTokensFile)
		beside(chatTemplateFile)
	}
	return files, nil
}

// ChatTemplate returns the chat template that came with the tokenizer, in the template language of transformers (Jinja), "" if none did.
func (t *Tokenizer) ChatTemplate() string { return t.chatTemplate }

// IsLlama2Chat says whether the chat format is Llama 2's: there is no chat template, or it has all four of Llama 2's tags and none that other
// forms have.
func (t *Tokenizer) IsLlama2Chat() bool {
	lacks := func(tag string) bool { return !strings.Contains(t.chatTemplate, tag) }
	foreign := slices.ContainsFunc([]string{"<|", "### ", "[AVAILABLE_TOOLS]", "<start_of_turn>"}, func(tag string) bool { return !lacks(tag) })
	return t.chatTemplate == "" || !foreign && !slices.ContainsFunc(ChatMarkers(), lacks)
}

// readModelFolder reads the tokenizer.model of a folder with what the files next to it say: the names of BOS, EOS and PAD, and further
// tokens. transformers cuts those out of a text in a way of its own. For special tokens there is nothing to cut, because no text has them
// here; others are refused.
func readModelFolder(dir string, data []byte) (*Tokenizer, error) {
	t, err := parseModel(data)
	if err != nil {
		return nil, err
	}
	config, err := readNames(dir)
	if err != nil {
		return nil, err
	}
	added, err := readAddedTokens(dir, config)
	if err != nil {
		return nil, err
	}
	pieces, sp := t.pieces, t.spec
	for _, a := range added {
		id, known := t.ids[a.text]
		switch {
		case known && id == a.id:
		case known:
			return nil, fmt.Errorf("%s: %q has the id %d, and %d in %s", a.file, a.text, a.id, id, modelFile)
		case !a.special:
			return nil, fmt.Errorf("%s adds %q (id %d), which %s lacks and texts may have: use the tokenizer.json of the model in its place "+
				"(transformers writes one: AutoTokenizer.from_pretrained(DIR).save_pretrained(NEW)), or remove the entry if no text has it", a.file, a.text, a.id, modelFile)
		case int(a.id) != len(pieces):
			return nil, fmt.Errorf("%s adds %q with the id %d, want %d, the first one that is free", a.file, a.text, a.id, len(pieces))
		default:
			pieces = append(pieces, Piece{Text: a.text, Type: Control})
		}
	}
	names := sp.names
	for i, special := range specials {
		name := config.name(i)
		if name == nil || string(*name) == names[i] || *name == "" {
			continue
		}
		switch control := func(p Piece) bool { return p.Text == string(*name) && p.Type == Control }; {
		case slices.ContainsFunc(pieces, control):
			names[i] = string(*name)
			sp.trainer = appendString(slices.Clip(sp.trainer), special.text, names[i])
		case special.name != "pad_token": // pads are often </s> or <unk>; nothing is padded here
			return nil, fmt.Errorf("%s or %s: %s is %q, which is no control piece of %s", huggingConfig, huggingSpecials, special.name, *name, modelFile)
		}
	}
	if len(pieces) == len(t.pieces) && names == sp.names {
		return t, nil
	}
	sp.names = names
	return newTokenizer(pieces, sp)
}

// modelBeside reads the tokenizer.model next to a tokenizer.json, which is what WriteModel and GGUF write. Texts are encoded by the
// tokenizer.json; of Llama's, transformers' converter made that from the other one, with runs of spaces merged in another order. It is nil
// if there is none that can be read and has the same pieces.
func (t *Tokenizer) modelBeside(dir string) *Tokenizer {
	data, err := bounded.ReadFile(filepath.Join(dir, modelFile), maxFile)
	if err != nil {
		return nil
	}
	m, err := readModelFolder(dir, data)
	if err != nil || !Same(t, m) || m.bos != t.bos || m.eos != t.eos {
		return nil
	}
	return m
}

// addedEntry is a token that a file next to tokenizer.model adds to it.
type addedEntry struct {
	id      int32
	text    string
	special bool
	file    string

	singleWord, lstrip, rstrip, normalized bool
}

// token is the entry in the words of a tokenizer.json.
func (a addedEntry) token() huggingAdded {
	return huggingAdded{ID: int64(a.id), Content: a.text, SingleWord: a.singleWord, LStrip: a.lstrip, RStrip: a.rstrip, Normalized: a.normalized, Special: a.special}
}

// readAddedTokens reads added_tokens.json and added_tokens_decoder of tokenizer_config.json, in the order of their ids.
func readAddedTokens(dir string, config specialTokens) ([]addedEntry, error) {
	byText := make(map[string]addedEntry)
	raw, err := readBeside(dir, addedTokensFile)
	if err != nil {
		return nil, err
	}
	if raw != nil {
		var ids map[string]int32
		if err := jsontext.Unmarshal(raw, &ids); err != nil {
			return nil, fmt.Errorf("%s: want an object of tokens with their ids: %w", addedTokensFile, err)
		}
		for text, id := range ids {
			byText[text] = addedEntry{id: id, text: text, special: config.has(text), file: addedTokensFile}
		}
	}
	for id, a := range config.Added {
		byText[a.Content] = addedEntry{id: id, text: a.Content, special: a.Special || config.has(a.Content), file: huggingConfig,
			singleWord: a.SingleWord, lstrip: a.LStrip, rstrip: a.RStrip, normalized: a.Normalized}
	}
	return slices.SortedFunc(maps.Values(byText), func(a, b addedEntry) int { return int(a.id) - int(b.id) }), nil
}

// specialTokens are the special tokens that tokenizer_config.json and special_tokens_map.json name.
type specialTokens struct {
	BOS     *huggingToken  `json:"bos_token"`
	EOS     *huggingToken  `json:"eos_token"`
	PAD     *huggingToken  `json:"pad_token"`
	UNK     *huggingToken  `json:"unk_token"`
	Further []huggingToken `json:"additional_special_tokens"`
	Added   map[int32]struct {
		Content                    string
		Special                    bool
		SingleWord                 bool `json:"single_word"`
		LStrip, RStrip, Normalized bool
	} `json:"added_tokens_decoder"`
}

// readNames reads special_tokens_map.json, and tokenizer_config.json over it.
func readNames(dir string) (s specialTokens, err error) {
	for _, name := range []string{huggingSpecials, huggingConfig} {
		raw, err := readBeside(dir, name)
		if err != nil {
			return s, err
		}
		if raw == nil {
			continue
		}
		if err := jsontext.Unmarshal(raw, &s); err != nil {
			return s, fmt.Errorf("%s: %w", name, err)
		}
	}
	return s, nil
}

// name is that of BOS, EOS or PAD, nil if no file mentions it.
func (s *specialTokens) name(i int) *huggingToken { return []*huggingToken{s.BOS, s.EOS, s.PAD}[i] }

// has says whether a text is one of the special tokens.
func (s *specialTokens) has(text string) bool {
	for _, t := range []*huggingToken{s.BOS, s.EOS, s.PAD, s.UNK} {
		if t != nil && string(*t) == text {
			return true
		}
	}
	return slices.Contains(s.Further, huggingToken(text))
}
