package tokenizer

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/renameio/v2"
)

// modelFile is the name of a SentencePiece model in a model's folder.
const modelFile = "tokenizer.model"

// SaveHuggingFace writes tokenizer.json, tokenizer_config.json and chat_template.jinja into dir, which AutoTokenizer of transformers opens
// and which give the same ids there. What came from a tokenizer.json is written back as it was.
//
// Two things differ there. transformers looks for the names of control pieces in every text, so its ids are those of
// [Tokenizer.EncodeSpecial]. And a text that is a user-defined piece and nothing else has no "▁" before it.
//
// Models that tokenizer.json cannot express are refused: unigram models, rules of normalisation, removal of extra spaces, unused pieces,
// pieces of characters that are no pieces themselves. Where two pieces have the same score, SentencePiece merges the
// leftmost first, but a tokenizer.json the longer one, as after transformers' own conversion; in Llama's model these are
// runs of spaces, for which it makes no difference.
func (t *Tokenizer) SaveHuggingFace(dir string) error {
	return t.saveHuggingFace(dir, t.writtenTemplate())
}

func (t *Tokenizer) saveHuggingFace(dir, template string) error {
	files, err := t.huggingFiles()
	if err != nil {
		return fmt.Errorf("tokenizer: save as tokenizer.json: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("tokenizer: save: %w", err)
	}
	for _, name := range []string{huggingConfig, huggingTokenizer} {
		if err := renameio.WriteFile(filepath.Join(dir, name), files[name], 0o644); err != nil {
			return fmt.Errorf("tokenizer: save: %w", err)
		}
	}
	if err := writeTemplate(dir, template); err != nil {
		return fmt.Errorf("tokenizer: save: %w", err)
	}
	return nil
}

func (t *Tokenizer) huggingFiles() (map[string][]byte, error) {
	config, err := t.huggingConfig()
	if err != nil {
		return nil, err
	}
	if h := t.hugging; h != nil {
		file := h.raw
		if file == nil {
			file, err = t.byteLevelFile()
		}
		return map[string][]byte{huggingTokenizer: file, huggingConfig: config}, err
	}
	merges, err := t.huggingMerges()
	if err != nil {
		return nil, err
	}
	var added []any
	var user []string
	for id, p := range t.pieces {
		special := p.Type == Control || p.Type == Unknown
		if !special && p.Type != UserDefined {
			continue
		}
		if !special {
			user = append(user, p.Text)
		}
		added = append(added, object{
			{"id", id}, {"content", p.Text}, {"single_word", false}, {"lstrip", false}, {"rstrip", false},
			{"normalized", !special}, {"special", special},
		})
	}
	vocab := make(object, len(t.pieces))
	for id, p := range t.pieces {
		vocab[id] = member{p.Text, id}
	}
	file, err := object{
		{"version", "1.0"}, {"truncation", nil}, {"padding", nil},
		{"added_tokens", added},
		{"normalizer", t.huggingNormalizer(user)},
		{"pre_tokenizer", nil},
		{"post_processor", t.huggingTemplate()},
		{"decoder", t.huggingDecoder()},
		{"model", object{
			{"type", "BPE"}, {"dropout", nil}, {"unk_token", t.Piece(t.unk)},
			{"continuing_subword_prefix", nil}, {"end_of_word_suffix", nil},
			{"fuse_unk", true}, {"byte_fallback", t.spec.byteFallback}, {"ignore_merges", false},
			{"vocab", vocab}, {"merges", merges},
		}},
	}.MarshalJSON()
	return map[string][]byte{huggingTokenizer: append(file, '\n'), huggingConfig: config}, err
}

// huggingMerges lists every way to make a piece of two, the highest score first, of equal scores the longest left part,
// then the longest right part: the order in which transformers converts SentencePiece models.
func (t *Tokenizer) huggingMerges() ([]string, error) {
	switch {
	case t.unigram == nil && (t.spec.removeExtra || !t.spec.escape || len(t.spec.charsMap) > 0):
		return nil, errors.New("the model has rules of normalisation, which tokenizer.json expresses in another way")
	case t.unigram != nil:
		return nil, errors.New("the model is a unigram model")
	case t.hasUnused:
		return nil, errors.New("the model has unused pieces")
	case len(t.ids) != len(t.pieces):
		return nil, errors.New("two pieces of the model have the same text")
	}
	pairs := t.pairs.all()
	for _, s := range pairs {
		for _, part := range s.parts() {
			if int(part) >= len(t.pieces) {
				return nil, fmt.Errorf("the piece %q has a character that is no piece itself", t.pieces[s.id].Text)
			}
		}
		if strings.Contains(t.pieces[s.id].Text, " ") {
			return nil, fmt.Errorf("the piece %q has a space in it", t.pieces[s.id].Text)
		}
	}
	length := func(s pairSlot, part int) int { return utf8.RuneCountInString(t.pieces[s.parts()[part]].Text) }
	slices.SortFunc(pairs, func(a, b pairSlot) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(length(b, 0), length(a, 0)), cmp.Compare(length(b, 1), length(a, 1)),
			cmp.Compare(b.key, a.key))
	})
	merges := make([]string, len(pairs))
	for i, p := range pairs {
		parts := p.parts()
		merges[i] = t.pieces[parts[0]].Text + " " + t.pieces[parts[1]].Text
	}
	return merges, nil
}

func (t *Tokenizer) huggingNormalizer(user []string) object {
	var steps []object
	if t.spec.dummyPrefix {
		steps = append(steps, object{{"type", "Prepend"}, {"prepend", space}})
	}
	steps = append(steps, object{{"type", "Replace"}, {"pattern", object{{"String", " "}}}, {"content", space}})
	if t.spec.dummyPrefix && len(user) > 0 {
		steps = append(steps, object{{"type", "Replace"}, {"pattern", object{{"Regex", onlyPattern(user)}}}, {"content", ""}})
	}
	return object{{"type", "Sequence"}, {"normalizers", steps}}
}

func (t *Tokenizer) huggingDecoder() object {
	steps := []object{{{"type", "Replace"}, {"pattern", object{{"String", space}}}, {"content", " "}}}
	if t.spec.byteFallback {
		steps = append(steps, object{{"type", "ByteFallback"}})
	}
	steps = append(steps, object{{"type", "Fuse"}})
	if t.spec.dummyPrefix {
		steps = append(steps, object{{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}})
	}
	return object{{"type", "Sequence"}, {"decoders", steps}}
}

// huggingTemplate puts BOS in front of every text, as Llama's does, and EOS after it, where the tokenizer adds them.
func (t *Tokenizer) huggingTemplate() any {
	if !t.AddsBOS() && !t.AddsEOS() {
		return nil
	}
	var single, pair []object
	var tokens object
	step := func(kind, id string, typeID int) object {
		return object{{kind, object{{"id", id}, {"type_id", typeID}}}}
	}
	for typeID, sequence := range []string{"A", "B"} {
		var one []object
		if t.AddsBOS() {
			one = append(one, step("SpecialToken", t.Piece(t.bos), typeID))
		}
		if one = append(one, step("Sequence", sequence, typeID)); t.AddsEOS() {
			one = append(one, step("SpecialToken", t.Piece(t.eos), typeID))
		}
		if pair = append(pair, one...); typeID == 0 {
			single = one
		}
	}
	for _, used := range []struct {
		id   int32
		adds bool
	}{{t.bos, t.AddsBOS()}, {t.eos, t.AddsEOS() && t.eos != t.bos}} {
		if name := t.Piece(used.id); used.adds {
			tokens = append(tokens, member{name, object{{"id", name}, {"ids", []int32{used.id}}, {"tokens", []string{name}}}})
		}
	}
	return object{{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", tokens}}
}

func (t *Tokenizer) huggingConfig() ([]byte, error) {
	name := func(id int32) any {
		if id < 0 {
			return nil
		}
		return t.Piece(id)
	}
	config := object{
		{"tokenizer_class", "PreTrainedTokenizerFast"},
		{"bos_token", name(t.bos)}, {"eos_token", name(t.eos)}, {"unk_token", name(t.unk)}, {"pad_token", name(t.pad)},
		{"add_bos_token", t.AddsBOS()}, {"add_eos_token", t.AddsEOS()},
		{"clean_up_tokenization_spaces", false},
		{"model_input_names", []string{"input_ids", "attention_mask"}},
	}
	var out bytes.Buffer
	raw, err := config.MarshalJSON()
	if err != nil {
		return nil, err
	}
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// object is a JSON object whose members keep their order.
type object []member

type member struct {
	name  string
	value any
}

// MarshalJSON writes the members in order, and "<" as it is.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := enc.Encode(m.name); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := enc.Encode(m.value); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// sentencePiece returns the tokenizer as a SentencePiece model: itself, or what a tokenizer.json amounts to if it amounts
// to one.
func (t *Tokenizer) sentencePiece() (*Tokenizer, error) {
	h := t.hugging
	if h == nil {
		return t, nil
	}
	if t.model != nil {
		return t.model, nil
	}
	if h.bytes != nil {
		return nil, errors.New("it is byte-level BPE, which a SentencePiece model cannot be: write tokenizer.json")
	}
	prefix, err := h.dummyPrefix()
	if err != nil {
		return nil, err
	}
	for _, token := range h.added.tokens {
		if !token.special {
			return nil, fmt.Errorf("the added token %q is cut out of the text before it is normalised", token.text)
		}
	}
	if !t.spec.byteFallback && !h.fuseUnk {
		return nil, errors.New("each unknown character is an unknown piece; a model has one for a run of them")
	}
	sp := h.spec(len(t.pieces), t.spec.byteFallback)
	sp.setNormalizer(Parts{AddDummyPrefix: prefix})
	m, err := newTokenizer(slices.Clone(t.pieces), sp)
	if err != nil {
		return nil, err
	}
	return m, t.sameMerges(m)
}

// dummyPrefix says whether the normaliser is that of a SentencePiece model with a dummy prefix, or without.
func (h *hugging) dummyPrefix() (bool, error) {
	prefix, spaces := false, false
	var only []string
	for _, r := range h.normalizer {
		switch {
		case r.prepend == space && !prefix && only == nil:
			prefix = true
		case r.from == " " && r.to == space && only == nil:
			spaces = true
		case r.only != nil && prefix && spaces:
			only = append(only, r.only...)
		default:
			return false, errors.New("its normalizer does more than SentencePiece's dummy prefix and \"▁\" for spaces")
		}
	}
	if h.metaspace != nil || !spaces {
		return false, errors.New("its pre_tokenizer marks spaces in another way than SentencePiece")
	}
	for _, token := range h.normalized.tokens {
		if token.special || prefix && !slices.Contains(only, token.text) {
			return false, fmt.Errorf("the added token %q is normalised", token.text)
		}
	}
	return prefix, nil
}

// sameMerges compares the merges with those of a SentencePiece model of the same pieces.
func (t *Tokenizer) sameMerges(m *Tokenizer) error {
	slots := t.pairs.all()
	slices.SortFunc(slots, func(a, b pairSlot) int { return cmp.Compare(a.rank, b.rank) })
	last := int32(-1)
	for _, s := range slots {
		parts := s.parts()
		other, ok := m.pairs.find(parts[0], parts[1])
		if !ok || other.id != s.id || other.rank < last {
			return fmt.Errorf("it merges %q and %q at another place than a SentencePiece model would",
				t.pieces[parts[0]].Text, t.pieces[parts[1]].Text)
		}
		last = other.rank
	}
	if all := len(m.pairs.all()); all != len(slots) {
		return fmt.Errorf("it has %d merges, but there are %d ways to make its pieces of two", len(slots), all)
	}
	return nil
}
