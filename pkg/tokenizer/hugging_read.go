package tokenizer

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"unicode/utf8"

	"github.com/tame-rlhf/tame/internal/jsontext"
)

// Files of a Hugging Face tokenizer.
const (
	huggingTokenizer = "tokenizer.json"
	huggingConfig    = "tokenizer_config.json"
	huggingSpecials  = "special_tokens_map.json"
)

// readHugging reads a tokenizer.json of BPE: over characters with "▁" for spaces, or over bytes (ByteLevel). Files of other kinds
// (WordPiece, Unigram) are refused by name. The tokenizer_config.json beside it says which pieces are BOS,
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
	names, err := readNames(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	added, err := readAddedTokens(filepath.Dir(path), names)
	if err != nil {
		return nil, err
	}
	return parseHuggingWith(data, config, added)
}

type huggingFile struct {
	AddedTokens   []huggingAdded  `json:"added_tokens"`
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
	Merges        json.RawMessage  `json:"merges"` // a list of huggingMerge
	merges        []huggingMerge   // those of other files
}

func parseHugging(data, config []byte) (*Tokenizer, error) {
	return parseHuggingWith(data, config, nil)
}

// parseHuggingWith is parseHugging with the tokens that files next to the tokenizer.json add.
func parseHuggingWith(data, config []byte, added []addedEntry) (*Tokenizer, error) {
	var f huggingFile
	if err := jsontext.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("not a tokenizer.json: %w", err)
	}
	model, err := parseHuggingModel(f.Model)
	if err != nil {
		return nil, err
	}
	asWritten, err := f.add(added, model)
	if err != nil {
		return nil, err
	}
	t, err := fromHugging(&f, model, config)
	if err != nil {
		return nil, err
	}
	if f.Model = nil; asWritten {
		t.hugging.raw = data
	} else if t.hugging.bytes == nil {
		return nil, fmt.Errorf("%s or %s adds tokens that the tokenizer.json lacks, or makes some special: save the tokenizer with transformers first "+
			"(AutoTokenizer.from_pretrained(DIR).save_pretrained(NEW))", addedTokensFile, huggingConfig)
	}
	return t, nil
}

// fromHugging makes the tokenizer of the parts of a tokenizer.json, from wherever they are.
func fromHugging(f *huggingFile, model *huggingModel, config []byte) (*Tokenizer, error) {
	h := &hugging{
		file: f, vocab: make(map[string]int32, len(model.Vocab)), fuseUnk: model.FuseUnk, ignoreMerges: model.IgnoreMerges, shown: make(map[int32]string),
	}
	err := cmp.Or(h.parseNormalizer(f.Normalizer), h.parsePreTokenizer(f.PreTokenizer),
		h.parseDecoder(f.Decoder, model.ByteFallback), h.parsePostProcessor(f.PostProcessor), h.checkModel(model), h.parseConfig(config))
	if err != nil {
		return nil, err
	}
	pieces, err := h.pieces(f, model)
	if err != nil {
		return nil, err
	}
	t, err := newVocabulary(pieces, h.spec(len(pieces), model.ByteFallback))
	if err != nil {
		return nil, err
	}
	t.hugging, t.hasUnused = h, false // unused pieces only fill the vocabulary up
	if err := t.huggingPairs(model); err != nil {
		return nil, err
	}
	if h.bytes != nil {
		h.bytes.build(t)
	}
	return t, nil
}

// checkModel refuses models that need another kind of pre-tokenizer.
func (h *hugging) checkModel(m *huggingModel) error {
	switch {
	case h.bytes != nil:
		return h.bytes.checkModel(m)
	case m.IgnoreMerges:
		return errors.New("model: ignore_merges is true, and neither the pre_tokenizer nor the normalizer is ByteLevel" + otherKinds)
	case (m.UnkToken == nil || *m.UnkToken == "") && m.hasAllBytes():
		unk := "<unk>" // transformers 5 writes Llama's without one: with a piece for every byte nothing is unknown
		m.UnkToken = &unk
	case m.UnkToken == nil || *m.UnkToken == "":
		return errors.New("model: unk_token is missing, which BPE over characters needs, and neither the pre_tokenizer nor the normalizer is ByteLevel" + otherKinds)
	}
	return nil
}

// hasAllBytes says whether a character without a piece becomes pieces of its bytes, all of which are there, so that <unk> is for no text.
func (m *huggingModel) hasAllBytes() bool {
	_, all := m.Vocab["<unk>"]
	for b := range 256 {
		_, there := m.Vocab[fmt.Sprintf("<0x%02X>", b)]
		all = all && there
	}
	return all && m.ByteFallback
}

const otherKinds = "; only BPE is read: over characters with \"▁\" for spaces (Llama 2, Mistral), or over bytes with ByteLevel (GPT-2, Llama 3, Qwen, SmolLM)"

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
	if err := h.setUnknown(m, pieces); err != nil {
		return nil, err
	}
	for _, name := range h.named { // the config makes them special where the file does not
		if id, ok := h.vocab[name]; ok && pieces[id].Type == Normal && utf8.RuneCountInString(name) > 1 { // a pad token "!" stays a character
			pieces[id].Type = Control
			h.added.add(addedToken{id: id, text: name, special: true})
		}
	}
	return pieces, nil
}

// setUnknown finds the unknown piece. In byte-level BPE it stands for bytes that the vocabulary lacks, and need not be there.
func (h *hugging) setUnknown(m *huggingModel, pieces []Piece) error {
	if h.unk = none; m.UnkToken == nil || *m.UnkToken == "" {
		return nil
	}
	unk, ok := m.Vocab[*m.UnkToken]
	if !ok {
		return fmt.Errorf("model: unk_token is %q, which is not in the vocabulary", *m.UnkToken)
	}
	h.unkSpecial = pieces[unk].Type == Control
	if h.bytes != nil && slices.Contains(h.names[:], *m.UnkToken) { // no text may give BOS or EOS
		return nil
	}
	h.unk, pieces[unk].Type = int32(unk), Unknown
	return nil
}

// huggingPairs takes the merges as they stand in the file.
func (t *Tokenizer) huggingPairs(model *huggingModel) error {
	h := t.hugging
	t.chars = newCharTable()
	for text, id := range h.vocab {
		if r, n := utf8.DecodeRuneInString(text); n == len(text) && t.pieces[id].Type != Control {
			t.chars.set(r, id)
		}
	}
	t.wordwise = t.spec.byteFallback || !h.fuseUnk
	made := 0
	scored := make([]bool, len(t.pieces))
	score := func(id int32) {
		if !scored[id] {
			scored[id], t.pieces[id].Score = true, -float32(made)
			made++
		}
	}
	var merges [][3]int32 // left, right, whole
	err := model.eachMerge(func(i int, m huggingMerge) error {
		whole := m[0] + m[1]
		var ids [3]int32
		for k, text := range []string{m[0], m[1], whole} {
			id, ok := h.vocab[text]
			if !ok {
				return fmt.Errorf("model: merges[%d]: %q is not in the vocabulary", i, text)
			}
			ids[k] = id
		}
		merges = append(merges, ids)
		if t.pieces[ids[2]].Type == Control {
			return nil
		}
		score(ids[2])
		t.wordwise = t.wordwise && wordEnd(whole) == len(whole)
		return nil
	})
	if err != nil {
		return err
	}
	t.pairs = newPairTable(len(merges))
	for i, ids := range merges {
		if t.pieces[ids[2]].Type == Control { // those never come from text
			continue
		}
		t.pairs.put(ids[0], ids[1], merge{int32(i), ids[2]})
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
	for key, adds := range map[string]*bool{"add_bos_token": &h.addBOS, "add_eos_token": &h.addEOS} {
		if raw, ok := fields[key]; ok { // comes before the template, as in transformers 5
			if err := json.Unmarshal(raw, adds); err != nil {
				return fmt.Errorf("%s or %s: %s: %w", huggingConfig, huggingSpecials, key, err)
			}
		}
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
