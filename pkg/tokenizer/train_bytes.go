package tokenizer

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tame-rlhf/tame/pkg/setting"
)

const byteConfigName = "tokenizer: ByteLevelConfig" // in errors

// ByteLevelConfig says how [TrainByteLevel] makes a vocabulary. [DefaultByteLevelConfig] fills it; zero values are taken as they are.
type ByteLevelConfig struct {
	// VocabSize is the number of tokens: control, user-defined, the 256 bytes and merges together. The result has exactly as many.
	// Default 32000, as Llama 2 (section 2.2).
	VocabSize int

	// Pattern says how text is cut into the pieces that merges stay inside of: "gpt-2", "smollm" (gpt-2 with single digits), "llama3" (up to
	// three digits, any case of contractions, line breaks apart) or "qwen2" (llama3 with single digits, and NFC). Default llama3, the pattern of
	// the model after Llama 2.
	Pattern string

	// BOS, EOS and PAD are the texts of these control tokens; "" is none, which BOS and EOS must not be. Default "<|begin_of_text|>",
	// "<|end_of_text|>" and none.
	BOS, EOS, PAD string

	// Control are further control tokens: they never come from text and decode to nothing. Default none.
	Control []string

	// UserDefined are texts that are always one token. Default [ChatMarkers].
	UserDefined []string

	// MaxWords is how many different pieces of text are kept while it is counted, as in TrainConfig. Default 1,000,000.
	MaxWords int
}

// DefaultByteLevelConfig returns the settings of Llama 3's tokenizer with Llama 2's number of tokens and the chat markers as tokens.
func DefaultByteLevelConfig() ByteLevelConfig {
	return ByteLevelConfig{
		VocabSize: 32000, Pattern: "llama3", BOS: "<|begin_of_text|>", EOS: "<|end_of_text|>", UserDefined: ChatMarkers(), MaxWords: 1_000_000,
	}
}

// BytePatterns are the patterns that [TrainByteLevel] knows.
func BytePatterns() []string { return slices.Sorted(maps.Keys(bytePatterns)) }

// bytePatterns are the patterns by name, as llama.cpp calls them.
var bytePatterns = map[string]string{"gpt-2": "gpt-2", "smollm": "smollm", "llama3": "llama-bpe", "qwen2": "qwen2"}

// added lists the tokens that do not depend on the text, in the order of their ids.
func (c ByteLevelConfig) added() (list []huggingAdded) {
	control := append([]string{c.BOS, c.EOS, c.PAD}, c.Control...)
	for i, text := range append(control, c.UserDefined...) {
		if i != 2 || text != "" { // PAD may be none
			list = append(list, huggingAdded{ID: int64(len(list)), Content: text, Special: i < len(control)})
		}
	}
	return list
}

// Validate reports everything that is wrong with the config.
func (c ByteLevelConfig) Validate() error {
	check := setting.NewChecks(byteConfigName)
	bad := func(format string, args ...any) { check.Nested("", fmt.Errorf("tokenizer: "+format, args...)) }
	check.That(bytePatterns[c.Pattern] != "", "Pattern", c.Pattern, fmt.Sprintf("one of %q", BytePatterns()))
	check.AtLeast("MaxWords", c.MaxWords, 2)
	seen := make(map[string]bool)
	for _, r := range byteChars {
		seen[string(r)] = true
	}
	added := c.added()
	for _, a := range added {
		switch {
		case a.Content == "":
			bad("BOS, EOS, or an element of Control or UserDefined, has an empty text")
		case seen[a.Content]:
			bad("%q is defined twice, or is the token of a byte", a.Content)
		case len(a.Content) >= maxPieceBytes || !utf8.ValidString(a.Content) || strings.IndexByte(a.Content, 0) >= 0:
			bad("%.20q is longer than %d bytes, is not valid UTF-8, or contains a null character", a.Content, maxPieceBytes-1)
		}
		seen[a.Content] = true
	}
	n := len(added) + len(byteChars)
	check.That(c.VocabSize >= n && c.VocabSize <= math.MaxInt32, "VocabSize", c.VocabSize,
		fmt.Sprintf("%d, the control and user-defined tokens and bytes, to %d", n, math.MaxInt32))
	return check.Err()
}

// maxTrainWord is how long a piece of text in training may be; a longer one is cut. No word of a language is as long, and each merge looks at
// whole pieces.
const maxTrainWord = 1024

// TrainByteLevel makes a vocabulary of byte-level BPE. Its merges are those of the BpeTrainer of Hugging Face's library, except where that one
// leaves the order open (see mergeBytes) and in pieces of more than 1024 bytes. Texts are trained on one by one, line breaks included. The same text
// and config give the same tokenizer. A VocabSize that is larger than what the merges of the text give is an error. TrainByteLevel stops with
// the error of ctx when that is cancelled.
//
// The text is read once and may be larger than memory: see MaxWords, and [Lines] for files.
func TrainByteLevel(ctx context.Context, text iter.Seq[string], cfg ByteLevelConfig) (*Tokenizer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	pre := preTokenizers[bytePatterns[cfg.Pattern]]
	file := huggingFile{AddedTokens: cfg.added(), Decoder: json.RawMessage(byteLevelJSON)}
	var err error
	if file.PreTokenizer, file.Normalizer, err = pre.json(false); err != nil {
		return nil, fmt.Errorf("tokenizer: train: %w", err)
	}

	// 1. Count the pieces of the text, without what is a token anyway.
	cut, err := file.cutter()
	if err != nil {
		return nil, fmt.Errorf("tokenizer: train: %w", err)
	}
	corpus, err := count(ctx, text, cfg.MaxWords, cut)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: train: %w", err)
	}

	// 2. Number the tokens: added ones, the bytes in the order of their characters, merges.
	model := huggingModel{IgnoreMerges: pre.ignoreMerges, Vocab: make(map[string]int64, cfg.VocabSize)}
	for _, a := range file.AddedTokens {
		model.Vocab[a.Content] = a.ID
	}
	chars := slices.Sorted(slices.Values(byteChars[:]))
	for _, r := range chars {
		model.Vocab[string(r)] = int64(len(model.Vocab))
	}

	// 3. Merge the most frequent pair of neighbours, again and again.
	if err := model.mergeBytes(ctx, corpus.words, cfg.VocabSize); err != nil {
		return nil, err
	}
	config, err := json.Marshal(map[string]any{"bos_token": cfg.BOS, "eos_token": cfg.EOS, "pad_token": cfg.PAD, "add_bos_token": true})
	if err != nil {
		return nil, fmt.Errorf("tokenizer: train: %w", err)
	}
	t, err := fromHugging(&file, &model, config)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: train: %w", err)
	}
	return t, nil
}

// cutter returns what cuts a text into the pieces that merges stay inside of, as encoding does, without added tokens.
func (f *huggingFile) cutter() (func(text string, emit func(word string)), error) {
	h := new(hugging)
	if err := h.parseNormalizer(f.Normalizer); err != nil {
		return nil, err
	}
	if err := h.parsePreTokenizer(f.PreTokenizer); err != nil {
		return nil, err
	}
	for _, a := range f.AddedTokens {
		h.added.add(addedToken{id: int32(a.ID), text: a.Content, special: a.Special})
	}
	return func(text string, emit func(word string)) {
		if !utf8.ValidString(text) {
			text = string([]rune(text))
		}
		h.added.cut(text, allowAll, func(part string, _ int, token int32) {
			if token != none {
				return
			}
			for _, rule := range h.normalizer {
				part = rule.apply(part)
			}
			h.bytes.split.Split(part, func(word string) {
				for len(word) > maxTrainWord {
					n := windowEnd(word, maxTrainWord)
					emit(word[:n])
					word = word[n:]
				}
				emit(word)
			})
		})
	}, nil
}
