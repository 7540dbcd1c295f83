package tokenizer

import (
	"context"
	"fmt"
	"iter"
	"math"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tame-rlhf/tame/pkg/setting"
)

const configName = "tokenizer: TrainConfig" // in errors

// TrainConfig says how [Train] makes a vocabulary. [DefaultTrainConfig] fills it; zero values are taken as they are.
type TrainConfig struct {
	// VocabSize is the number of pieces: special, user-defined and byte pieces, merges and characters together.
	// The result has exactly as many. Default 32000 (section 2.2).
	VocabSize int

	// CharacterCoverage is the share of the text's characters that get a piece of their own, the most frequent first;
	// the others become bytes, or the unknown piece. Between 0.98 and 1, default 1 (Llama's tokenizer: 0.99995).
	CharacterCoverage float64

	// MaxPieceLength is the length of the longest merge in characters, the leading "▁" included. Default 16.
	MaxPieceLength int

	// ByteFallback adds the 256 byte pieces, so that every text can be encoded and decoded. Default true.
	ByteFallback bool

	// SplitDigits keeps every digit its own piece. Default true (section 2.2).
	SplitDigits bool

	// SplitByScript keeps characters of different Unicode scripts (Latin, Greek, punctuation) in different pieces;
	// Han, Hiragana and Katakana count as one. Default true.
	SplitByScript bool

	// CountOverlaps counts "aa" twice in "aaa", as SentencePiece does since 0.1.99; before, it counted what can be
	// merged. Default false.
	CountOverlaps bool

	// NFKC normalises text: full-width letters, ligatures, decomposed accents and the like become what they stand for, in
	// training and by the rules in the model in every use of it; decoding gives the normalised text. Default false, as Llama.
	NFKC bool

	// RemoveExtraSpaces drops leading, trailing and repeated spaces of every text. Default false, as Llama.
	RemoveExtraSpaces bool

	// MaxWords is how many different words are kept while the text is counted, of 32 bytes on average. Where there are more,
	// the rarest are forgotten until half of them are left: those that occurred once so far, then twice, and so on. One that
	// comes again begins at 0. So memory stays bounded however long the text is, counts of frequent words lose little, and
	// the result is the same on any number of cores. About 100 bytes a word to count and 250 to merge. Default 1,000,000.
	MaxWords int

	// UserDefined are texts that are always one piece, in this order after the special pieces. A space is written "▁".
	// Default [ChatMarkers].
	UserDefined []string

	// Control are further control pieces besides <s> and </s>: they never come from text and decode to nothing.
	// Default none.
	Control []string

	// Pad adds the control piece <pad> as id 3. Default false: Llama has none.
	Pad bool
}

// ChatMarkers returns the markers of Llama 2's chat format, which cost six and more pieces where they are not pieces of
// their own.
func ChatMarkers() []string { return []string{"[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"} }

// DefaultTrainConfig returns the settings of Llama's own tokenizer with full character coverage and the chat markers as
// pieces.
func DefaultTrainConfig() TrainConfig {
	return TrainConfig{
		VocabSize: 32000, CharacterCoverage: 1, MaxPieceLength: 16, MaxWords: 1_000_000,
		ByteFallback: true, SplitDigits: true, SplitByScript: true,
		UserDefined: ChatMarkers(),
	}
}

// Validate reports everything that is wrong with the config.
func (c TrainConfig) Validate() error {
	check := setting.NewChecks(configName)
	bad := func(format string, args ...any) { check.Nested("", fmt.Errorf("tokenizer: "+format, args...)) }

	check.That(c.VocabSize <= math.MaxInt32, "VocabSize", c.VocabSize, fmt.Sprintf("at most %d", math.MaxInt32))
	check.That(c.CharacterCoverage >= 0.98 && c.CharacterCoverage <= 1, "CharacterCoverage", c.CharacterCoverage, "0.98 to 1")
	check.That(c.MaxPieceLength >= 1 && c.MaxPieceLength <= 512, "MaxPieceLength", c.MaxPieceLength, "1 to 512")
	check.AtLeast("MaxWords", c.MaxWords, 2)
	seen := make(map[string]bool)
	for _, p := range c.metaPieces() {
		switch own := p.Type == UserDefined || p.Type == Control; {
		case p.Text == "":
			bad("UserDefined or Control has an empty text")
		case seen[p.Text]:
			bad("%q is defined twice; UserDefined and Control must differ from each other and from <unk>, <s>, </s>, "+
				"<pad> and the byte pieces", p.Text)
		case own && len(p.Text) >= maxPieceBytes:
			bad("%.20q... is %d bytes long, the limit is %d", p.Text, len(p.Text), maxPieceBytes-1)
		case own && (!utf8.ValidString(p.Text) || strings.IndexByte(p.Text, 0) >= 0):
			bad("%q is not valid UTF-8 or contains a null character", p.Text)
		case own && strings.ContainsAny(p.Text, " \n"):
			bad("%q contains a space or a line break, so no text would match it; write a space as %q", p.Text, space)
		}
		seen[p.Text] = true
	}
	n := len(c.metaPieces())
	check.That(c.VocabSize >= n, "VocabSize", c.VocabSize, fmt.Sprintf("at least %d, the special, user-defined and byte pieces", n))
	return check.Err()
}

// metaPieces returns the pieces that do not depend on the text, in SentencePiece's order.
func (c TrainConfig) metaPieces() []Piece {
	pieces := []Piece{{Text: "<unk>", Type: Unknown}, {Text: "<s>", Type: Control}, {Text: "</s>", Type: Control}}
	if c.Pad {
		pieces = append(pieces, Piece{Text: "<pad>", Type: Control})
	}
	for _, text := range c.Control {
		pieces = append(pieces, Piece{Text: text, Type: Control})
	}
	for _, text := range c.UserDefined {
		pieces = append(pieces, Piece{Text: text, Type: UserDefined})
	}
	if c.ByteFallback {
		for b := range 256 {
			pieces = append(pieces, Piece{Text: byteName(byte(b)), Type: Byte})
		}
	}
	return pieces
}

// trainerSpec encodes the settings for the model file; they are for the reader, encoding does not need them.
func (c TrainConfig) trainerSpec() []byte {
	var b []byte
	b = appendFloat(b, trainerCoverage, float32(c.CharacterCoverage))
	b = appendVarint(b, trainerMaxPieceLength, uint64(c.MaxPieceLength))
	b = appendVarint(b, trainerSplitByScript, protowire.EncodeBool(c.SplitByScript))
	b = appendVarint(b, trainerSplitDigits, protowire.EncodeBool(c.SplitDigits))
	b = appendVarint(b, trainerSpacePieces, 1)
	for _, text := range c.Control {
		b = appendString(b, trainerControl, text)
	}
	for _, text := range c.UserDefined {
		b = appendString(b, trainerUserDefined, text)
	}
	pad := int64(-1)
	if c.Pad {
		pad = 3
	}
	b = appendVarint(b, trainerUnkID, 0)
	b = appendVarint(b, trainerBOSID, 1)
	b = appendVarint(b, trainerEOSID, 2)
	return appendVarint(b, trainerPadID, uint64(pad))
}

// Train makes a BPE vocabulary from the text (Sennrich et al., 2016; merges as SentencePiece's trainer finds them).
// Lines are trained on one by one, so where the sequence cuts the text matters only inside lines. The same text and
// config give the same tokenizer. A VocabSize that is too small for the characters, or too large for the merges of the
// text, is an error. Train stops with the error of ctx when that is cancelled.
//
// The text is read once and may be larger than memory: see TrainConfig.MaxWords, and [Lines] for files.
func Train(ctx context.Context, text iter.Seq[string], cfg TrainConfig) (*Tokenizer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	meta := cfg.metaPieces()
	sp := newSpec(cfg.VocabSize, cfg.ByteFallback, cfg.trainerSpec())
	rules := Parts{AddDummyPrefix: true, RemoveExtraSpaces: cfg.RemoveExtraSpaces}
	if cfg.NFKC {
		rules.CharsMap = nfkcCharsMap()
	}
	sp.setNormalizer(rules)

	// 1. Count the words of the text.
	corpus, err := countWords(ctx, text, meta, sp, cfg.MaxWords)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: train: %w", err)
	}

	// 2. Find the characters that get a piece.
	chars := corpus.alphabet(cfg.CharacterCoverage)
	numMerges := cfg.VocabSize - len(meta) - len(chars)
	if numMerges < 0 {
		return nil, &setting.FieldError{Owner: configName, Path: "VocabSize", Value: cfg.VocabSize, Want: fmt.Sprintf(
			"at least %d for %d special, user-defined and byte pieces and %d characters, or a lower CharacterCoverage",
			len(meta)+len(chars), len(meta), len(chars))}
	}

	// 3. Merge the most frequent pair of neighbours, again and again.
	merged, err := findMerges(ctx, corpus.words, chars, numMerges, cfg)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: train: %w", err)
	}
	if len(merged) < numMerges {
		return nil, &setting.FieldError{Owner: configName, Path: "VocabSize", Value: cfg.VocabSize, Want: fmt.Sprintf(
			"at most %d, the pieces that the text gives, or more text", cfg.VocabSize-numMerges+len(merged))}
	}

	// 4. Number the pieces: special ones, merges, characters. The score is the negative rank.
	pieces := meta
	for i, text := range merged {
		pieces = append(pieces, Piece{Text: text, Score: -float32(i), Type: Normal})
	}
	for i, c := range chars {
		pieces = append(pieces, Piece{Text: string(c), Score: -float32(numMerges + i), Type: Normal})
	}
	t, err := newTokenizer(pieces, sp)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: train: %w", err)
	}
	return t, nil
}
