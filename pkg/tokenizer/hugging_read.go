package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tame-rlhf/tame/internal/jsontext"
)

// Files of a Hugging Face tokenizer.
const (
	huggingTokenizer = "tokenizer.json"
	huggingConfig    = "tokenizer_config.json"
	huggingSpecials  = "special_tokens_map.json"
)

// readHugging reads a tokenizer.json of Llama's kind: BPE over characters with "▁" for spaces. Files of other kinds
// (ByteLevel, WordPiece, Unigram) are refused by name. The tokenizer_config.json beside it says which pieces are BOS,
// EOS and PAD, or the special_tokens_map.json; of what it does not mention (or without it) the post-processor's template
// says so, or the names <s>, </s> and <pad>.
//
// Text is encoded as the file says: with the tokens it adds, its normaliser and its order of merges. Truncation and
// padding are not applied.
func readHugging(path string, data []byte) (*Tokenizer, error) {
	config, err := readBeside(filepath.Dir(path), huggingConfig)
	if config == nil && err == nil {
		config, err = readBeside(filepath.Dir(path), huggingSpecials)
	}
	if err != nil {
		return nil, err
	}
	return parseHugging(data, config)
}

type huggingFile struct {
	AddedTokens []struct {
		ID         int64  `json:"id"`
		Content    string `json:"content"`
		SingleWord bool   `json:"single_word"`
		LStrip     bool   `json:"lstrip"`
		RStrip     bool   `json:"rstrip"`
		Normalized bool   `json:"normalized"`
		Special    bool   `json:"special"`
	} `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         json.RawMessage `json:"model"`
}

type huggingModel struct {
	Type          string           `json:"type"`
	Dropout       *float64         `json:"dropout"`
	UnkToken      *string          `json:"unk_token"`
	SubwordPrefix *string          `json:"continuing_subword_prefix"`
	WordSuffix    *string          `json:"end_of_word_suffix"`
	FuseUnk       bool             `json:"fuse_unk"`
	ByteFallback  bool             `json:"byte_fallback"`
	IgnoreMerges  bool             `json:"ignore_merges"`
	Vocab         map[string]int64 `json:"vocab"`
	Merges        []huggingMerge   `json:"merges"`
}

// huggingMerge is two pieces: "a b", or since 2024 ["a", "b"].
type huggingMerge [2]string

func (m *huggingMerge) UnmarshalJSON(data []byte) error {
	var pair []string
	if bytes.HasPrefix(data, []byte("[")) {
		if err := json.Unmarshal(data, &pair); err != nil {
			return err
		}
		if len(pair) != 2 {
			return fmt.Errorf("a merge of %d pieces", len(pair))
		}
	} else {
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
		if pair = strings.Split(text, " "); len(pair) != 2 {
			return fmt.Errorf("the merge %q is not two pieces with a space between them", text)
		}
	}
	copy(m[:], pair)
	return nil
}

func parseHugging(data, config []byte) (*Tokenizer, error) {
	var f huggingFile
	if err := jsontext.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("not a tokenizer.json: %w", err)
	}
	if err := f.checkByteLevel(); err != nil {
		return nil, err
	}
	model, err := parseHuggingModel(f.Model)
	if err != nil {
		return nil, err
	}
	h := &hugging{
		raw: data, vocab: make(map[string]int32, len(model.Vocab)), fuseUnk: model.FuseUnk, shown: make(map[int32]string),
	}
	err = errors.Join(h.parseNormalizer(f.Normalizer), h.parsePreTokenizer(f.PreTokenizer),
		h.parseDecoder(f.Decoder, model.ByteFallback), h.parsePostProcessor(f.PostProcessor))
	if err != nil {
		return nil, err
	}
	if err := h.parseConfig(config); err != nil {
		return nil, err
	}
	pieces, err := h.pieces(&f, model)
	if err != nil {
		return nil, err
	}
	t, err := newVocabulary(pieces, h.spec(len(pieces), model.ByteFallback))
	if err != nil {
		return nil, err
	}
	t.hugging = h
	if err := t.huggingPairs(model.Merges); err != nil {
		return nil, err
	}
	return t, nil
}

// checkByteLevel names the other common kind of BPE, whose files differ from Llama's in many places.
func (f *huggingFile) checkByteLevel() error {
	for _, part := range []struct {
		name string
		raw  json.RawMessage
	}{{"pre_tokenizer", f.PreTokenizer}, {"decoder", f.Decoder}} {
		steps, err := flatten(part.name, part.raw, 0)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(steps, func(p huggingPart) bool { return p.Type == "ByteLevel" }) {
			return fmt.Errorf("the %s is ByteLevel: byte-level BPE (GPT-2, Llama 3, Qwen, SmolLM) is not supported yet%s", part.name, otherKinds)
		}
	}
	return nil
}

const otherKinds = "; only files of Llama's kind are read (BPE over characters, \"▁\" for spaces, byte fallback)"

func parseHuggingModel(raw json.RawMessage) (*huggingModel, error) {
	var kind struct {
		Type string `json:"type"`
	}
	if err := jsontext.Unmarshal(raw, &kind); err != nil {
		return nil, fmt.Errorf("not a tokenizer.json: model: %w", err)
	}
	if kind.Type != "BPE" && kind.Type != "" {
		return nil, fmt.Errorf("the model is %s%s", kind.Type, otherKinds)
	}
	var m huggingModel
	if err := jsontext.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	set := func(s *string) bool { return s != nil && *s != "" }
	switch {
	case m.Dropout != nil && *m.Dropout != 0:
		return nil, fmt.Errorf("model: dropout is %v, which is not supported", *m.Dropout)
	case set(m.SubwordPrefix):
		return nil, fmt.Errorf("model: continuing_subword_prefix is %q%s", *m.SubwordPrefix, otherKinds)
	case set(m.WordSuffix):
		return nil, fmt.Errorf("model: end_of_word_suffix is %q%s", *m.WordSuffix, otherKinds)
	case m.IgnoreMerges:
		return nil, errors.New("model: ignore_merges is true" + otherKinds)
	case !set(m.UnkToken):
		return nil, errors.New("model: unk_token is missing" + otherKinds)
	case len(m.Vocab) == 0:
		return nil, errors.New("model: the vocabulary is empty")
	}
	return &m, nil
}

// pieces puts the vocabulary and the added tokens in the order of their ids.
func (h *hugging) pieces(f *huggingFile, m *huggingModel) ([]Piece, error) {
	size := len(m.Vocab)
	for _, a := range f.AddedTokens {
		if _, ok := m.Vocab[a.Content]; !ok {
			size++
		}
	}
	pieces := make([]Piece, size)
	put := func(text string, id int64, kind PieceType) error {
		switch {
		case id < 0 || id >= int64(size):
			return fmt.Errorf("%q has the id %d, but there are %d tokens: ids must be 0 to %d without gaps", text, id, size, size-1)
		case pieces[id].Text != "" && pieces[id].Text != text:
			return fmt.Errorf("%q and %q both have the id %d", pieces[id].Text, text, id)
		}
		pieces[id].Text, pieces[id].Type = text, kind
		return nil
	}
	for text, id := range m.Vocab {
		kind := Normal
		if _, ok := parseByteName(text); ok && m.ByteFallback {
			kind = Byte
		}
		if err := put(text, id, kind); err != nil {
			return nil, fmt.Errorf("model: %w", err)
		}
		h.vocab[text] = int32(id)
	}
	for i, a := range f.AddedTokens {
		kind := UserDefined
		if a.Special || slices.Contains(h.names[:], a.Content) {
			kind = Control
		}
		if id, ok := m.Vocab[a.Content]; ok && id != a.ID {
			return nil, fmt.Errorf("added_tokens[%d]: %q has the id %d, in the vocabulary it has %d", i, a.Content, a.ID, id)
		}
		if err := put(a.Content, a.ID, kind); err != nil {
			return nil, fmt.Errorf("added_tokens[%d]: %w", i, err)
		}
		token := addedToken{int32(a.ID), a.Content, kind == Control, a.SingleWord, a.LStrip, a.RStrip}
		if token.text == "" {
			return nil, fmt.Errorf("added_tokens[%d]: the text is empty", i)
		}
		if !a.Normalized {
			h.added.add(token)
			continue
		}
		for _, rule := range h.normalizer {
			token.text = rule.apply(token.text)
		}
		if token.text != "" {
			h.normalized.add(token)
			h.shown[token.id] = token.text
		}
	}
	unk, ok := m.Vocab[*m.UnkToken]
	if !ok {
		return nil, fmt.Errorf("model: unk_token is %q, which is not in the vocabulary", *m.UnkToken)
	}
	h.unkSpecial = pieces[unk].Type == Control
	h.unk, pieces[unk].Type = int32(unk), Unknown
	for _, name := range h.named { // the config makes them special where the file does not
		if id, ok := h.vocab[name]; ok && pieces[id].Type == Normal {
			pieces[id].Type = Control
			h.added.add(addedToken{id: id, text: name, special: true})
		}
	}
	return pieces, nil
}

// huggingPairs takes the merges as they stand in the file.
func (t *Tokenizer) huggingPairs(merges []huggingMerge) error {
	h := t.hugging
	if len(merges) > math.MaxInt32/2 {
		return fmt.Errorf("model: %d merges", len(merges))
	}
	t.chars = newCharTable()
	for text, id := range h.vocab {
		if r, n := utf8.DecodeRuneInString(text); n == len(text) {
			t.chars.set(r, id)
		}
	}
	t.wordwise = t.spec.byteFallback || !h.fuseUnk
	t.pairs = newPairTable(len(merges))
	made := 0
	scored := make([]bool, len(t.pieces))
	score := func(id int32) {
		if !scored[id] {
			scored[id], t.pieces[id].Score = true, -float32(made)
			made++
		}
	}
	for i, m := range merges {
		whole := m[0] + m[1]
		var ids [3]int32
		for k, text := range []string{m[0], m[1], whole} {
			id, ok := h.vocab[text]
			if !ok {
				return fmt.Errorf("model: merges[%d]: %q is not in the vocabulary", i, text)
			}
			ids[k] = id
		}
		t.pairs.put(ids[0], ids[1], merge{int32(i), ids[2]})
		score(ids[2])
		t.wordwise = t.wordwise && wordEnd(whole) == len(whole)
	}
	for i, p := range t.pieces { // characters come after the merges, as in a .model
		if p.Type == Normal {
			score(int32(i))
		}
	}
	return nil
}

// spec describes the tokenizer in the words of a .model file, as far as they go.
func (h *hugging) spec(vocabSize int, byteFallback bool) spec {
	var trainer []byte
	for i, special := range specials {
		if h.names[i] != "" {
			trainer = appendString(trainer, special.text, h.names[i])
		}
	}
	sp := newSpec(vocabSize, byteFallback, trainer)
	sp.names = h.names
	return sp
}

// parseConfig takes the special pieces from tokenizer_config.json or special_tokens_map.json: null is none, and one that is not mentioned
// stays what the template says.
func (h *hugging) parseConfig(data []byte) error {
	if data == nil {
		return nil
	}
	var fields map[string]json.RawMessage
	if err := jsontext.Unmarshal(data, &fields); err != nil {
		return fmt.Errorf("%s or %s: %w", huggingConfig, huggingSpecials, err)
	}
	h.names[2] = ""
	for i, special := range specials {
		name := special.name
		raw, ok := fields[name]
		if !ok {
			continue
		}
		var token huggingToken
		if err := jsontext.Unmarshal(raw, &token); err != nil {
			return fmt.Errorf("%s or %s: %s: %w", huggingConfig, huggingSpecials, name, err)
		}
		h.names[i] = string(token)
		h.named = append(h.named, h.names[i])
	}
	return nil
}

// huggingToken is "<s>" or {"content": "<s>", ...} or null.
type huggingToken string

func (t *huggingToken) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte("{")) {
		var full struct {
			Content string `json:"content"`
		}
		err := json.Unmarshal(data, &full)
		*t = huggingToken(full.Content)
		return err
	}
	var text string
	err := json.Unmarshal(data, &text)
	*t = huggingToken(text)
	return err
}
