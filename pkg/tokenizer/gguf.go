package tokenizer

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tame-rlhf/tame/internal/gguf"
)

// Keys of a tokenizer in the metadata of a GGUF file. The numbers of the types of its tokens are those of PieceType.
const (
	ggufModel       = "tokenizer.ggml.model"
	ggufPre         = "tokenizer.ggml.pre"
	ggufTokens      = "tokenizer.ggml.tokens"
	ggufScores      = "tokenizer.ggml.scores"
	ggufTypes       = "tokenizer.ggml.token_type"
	ggufBOS         = "tokenizer.ggml.bos_token_id"
	ggufEOS         = "tokenizer.ggml.eos_token_id"
	ggufUNK         = "tokenizer.ggml.unknown_token_id"
	ggufPAD         = "tokenizer.ggml.padding_token_id"
	ggufAddBOS      = "tokenizer.ggml.add_bos_token"
	ggufAddEOS      = "tokenizer.ggml.add_eos_token"
	ggufSpacePrefix = "tokenizer.ggml.add_space_prefix"
	ggufExtraSpaces = "tokenizer.ggml.remove_extra_whitespaces"
	ggufCharsMap    = "tokenizer.ggml.precompiled_charsmap"

	ggufTemplate = "tokenizer.chat_template"

	ggufLlama = "llama" // the kind of tokenizer: SentencePiece BPE
)

// ErrNoVocabulary says that a GGUF file has no tokenizer.
var ErrNoVocabulary = errors.New("the GGUF file has no vocabulary")

// LoadGGUF reads the tokenizer of a GGUF file of llama.cpp: one of kind "llama", which is SentencePiece BPE, or "gpt2", which is byte-level
// BPE. Tokens at the end that only fill the vocabulary up to the model's size, [PAD31] and the like, are left out. The error is ErrNoVocabulary if there is none.
func LoadGGUF(path string) (_ *Tokenizer, err error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	t, err := fromGGUF(f)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", path, err)
	}
	return t, nil
}

func fromGGUF(f *gguf.File) (*Tokenizer, error) {
	model, ok := f.Values[ggufModel]
	switch {
	case !ok || model == "none" || model == "no_vocab":
		return nil, ErrNoVocabulary
	case model == ggufGPT2:
		return bytesFromGGUF(f)
	case model != ggufLlama:
		return nil, fmt.Errorf("%s is %v, want %s (SentencePiece BPE) or %s (byte-level BPE)", ggufModel, model, ggufLlama, ggufGPT2)
	}
	pieces, err := ggufPieces(f)
	if err != nil {
		return nil, err
	}
	parts := DefaultParts()
	parts.BOS = ggufID(f, ggufBOS, parts.BOS, len(pieces))
	parts.EOS = ggufID(f, ggufEOS, parts.EOS, len(pieces))
	parts.PAD = ggufID(f, ggufPAD, parts.PAD, len(pieces))
	markUnknown(pieces, ggufID(f, ggufUNK, -1, len(pieces)))
	for _, flag := range []struct {
		key string
		dst *bool
	}{{ggufSpacePrefix, &parts.AddDummyPrefix}, {ggufExtraSpaces, &parts.RemoveExtraSpaces}} {
		if v, ok := f.Values[flag.key]; ok {
			if *flag.dst, ok = v.(bool); !ok {
				return nil, fmt.Errorf("%s is %v, want a bool", flag.key, v)
			}
		}
	}
	if v, ok := f.Values[ggufCharsMap]; ok {
		if rules, _ := v.([]uint8); len(rules) > 0 {
			return nil, fmt.Errorf("%s: rules of normalisation are not supported in GGUF files of kind %s", ggufCharsMap, ggufLlama)
		}
	}
	t, err := FromPieces(pieces, parts)
	if err == nil {
		t.chatTemplate, _ = f.Values[ggufTemplate].(string)
	}
	return t, err
}

// markUnknown leaves one piece of type unknown: the one that the file names, or the first. Some converters call <unk> a
// control token, and that of 2024 calls the tokens unknown that fill the vocabulary up; they are as good as unused, because
// no text has them.
func markUnknown(pieces []Piece, unk int32) {
	if unk < 0 || pieces[unk].Type != Unknown && pieces[unk].Type != Control {
		unk = int32(slices.IndexFunc(pieces, func(p Piece) bool { return p.Type == Unknown }))
	}
	if unk < 0 && len(pieces) > 0 && pieces[0].Type == Control {
		unk = 0 // Llama's place for it
	}
	for i := range pieces {
		switch {
		case int32(i) == unk:
			pieces[i].Type = Unknown
		case pieces[i].Type == Unknown:
			pieces[i].Type = Unused
		}
	}
}

// ggufPieces reads texts, scores and types.
func ggufPieces(f *gguf.File) ([]Piece, error) {
	tokens, err1 := ggufList[string](f, ggufTokens, "texts")
	scores, err2 := ggufList[float32](f, ggufScores, "32-bit floating-point numbers")
	types, err3 := ggufList[int32](f, ggufTypes, "32-bit integers")
	if err := cmp.Or(err1, err2, err3); err != nil {
		return nil, err
	}
	if len(scores) != len(tokens) || len(types) != len(tokens) {
		return nil, fmt.Errorf("%d tokens, %d scores and %d types, want as many of each", len(tokens), len(scores), len(types))
	}
	n := len(tokens)
	for n > 0 && (types[n-1] == int32(Unused) || types[n-1] == int32(Unknown)) && tokens[n-1] == padText(n-1) {
		n--
	}
	pieces := make([]Piece, n)
	for i := range pieces {
		if types[i] < 0 || types[i] > math.MaxUint8 {
			return nil, fmt.Errorf("token %d has the unknown type %d", i, types[i])
		}
		pieces[i] = Piece{Text: tokens[i], Score: scores[i], Type: PieceType(types[i])}
	}
	return pieces, nil
}

// padText is what llama.cpp's converter calls a token that no text has.
func padText(id int) string { return fmt.Sprintf("[PAD%d]", id) }

const padScore = -10000

func ggufList[T any](f *gguf.File, key, kind string) ([]T, error) {
	v, ok := f.Values[key]
	if !ok {
		return nil, fmt.Errorf("%s is missing", key)
	}
	list, ok := v.([]T)
	if !ok {
		return nil, fmt.Errorf("%s is not a list of %s", key, kind)
	}
	return list, nil
}

// ggufID reads an id. One outside of the vocabulary stands for none: the format has no other word for it (llama.cpp takes 1 and 2 then).
func ggufID(f *gguf.File, key string, def int32, vocab int) int32 {
	id := int64(def)
	switch v := f.Values[key].(type) {
	case uint32:
		id = int64(v)
	case int32:
		id = int64(v)
	}
	if id < 0 || id >= int64(vocab) {
		return -1
	}
	return int32(id)
}

// GGUF gives the metadata that state this tokenizer in a GGUF file of a model with that many tokens; where the model has more than the
// tokenizer, unused tokens fill up. llama.cpp has no rules of normalisation for this kind of tokenizer, so one with such rules is refused,
// and so are unigram models and what of a tokenizer.json is no SentencePiece model (see WriteModel).
func (t *Tokenizer) GGUF(vocabSize int) (map[string]any, error) {
	if h := t.hugging; h != nil && h.bytes != nil {
		return t.bytesToGGUF(vocabSize)
	}
	template := t.writtenTemplate()
	t, err := t.sentencePiece()
	if err != nil {
		return nil, fmt.Errorf("tokenizer: gguf: %w", err)
	}
	parts, pieces := t.Parts(), t.Pieces()
	switch {
	case parts.Unigram:
		return nil, errors.New("tokenizer: gguf: a unigram model, which this kind of tokenizer is not")
	case len(pieces) > vocabSize:
		return nil, fmt.Errorf("tokenizer: gguf: %d pieces for a model of %d ids, and GGUF has no place for the others: write the model in another form", len(pieces), vocabSize)
	case len(parts.CharsMap) > 0 || parts.RemoveExtraSpaces:
		return nil, errors.New("tokenizer: gguf: the tokenizer normalises text (rules or extra spaces), which GGUF cannot say: llama.cpp would give other ids")
	}
	tokens, scores, types := make([]string, vocabSize), make([]float32, vocabSize), make([]int32, vocabSize)
	for i := range vocabSize {
		p := Piece{Text: padText(i), Score: padScore, Type: Unused}
		if i < len(pieces) {
			p = pieces[i]
		}
		tokens[i], scores[i], types[i] = p.Text, p.Score, int32(p.Type)
	}
	m := map[string]any{
		ggufModel: ggufLlama, ggufPre: "default", ggufTokens: tokens, ggufScores: scores, ggufTypes: types,
		ggufBOS: uint32(parts.BOS), ggufEOS: uint32(parts.EOS), ggufUNK: uint32(t.UNK()), // -1 is an id outside of the vocabulary
		ggufAddBOS: parts.BOS >= 0, ggufAddEOS: false, ggufSpacePrefix: parts.AddDummyPrefix,
	}
	if template != "" {
		m[ggufTemplate] = template
	}
	if parts.PAD >= 0 {
		m[ggufPAD] = uint32(parts.PAD)
	}
	return m, nil
}
