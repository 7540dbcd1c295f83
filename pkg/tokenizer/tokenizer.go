package tokenizer

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/tame-rlhf/tame/internal/bounded"
	"github.com/tame-rlhf/tame/internal/enum"
)

// space is U+2581, which stands for a space inside pieces.
const space = "\u2581"

// defaultUnkSurface is what SentencePiece decodes the unknown piece to: U+2047 between spaces.
const defaultUnkSurface = " \u2047 "

// maxPieceBytes is SentencePiece's own limit on the length of a piece.
const maxPieceBytes = 8000

// PieceType says what a piece is for. The numbers are those of SentencePiece's model format.
type PieceType uint8

// The types of a piece.
const (
	Normal      PieceType = 1 // text, reached by merging
	Unknown     PieceType = 2 // stands for what the vocabulary lacks
	Control     PieceType = 3 // <s>, </s>, <pad>: never comes from text, decodes to nothing
	UserDefined PieceType = 4 // cut out of the text as a whole, never merged
	Unused      PieceType = 5 // merged like a normal piece, then taken apart again
	Byte        PieceType = 6 // one byte of UTF-8, written <0x0A>
)

// String returns the type's name.
func (t PieceType) String() string {
	return enum.String("PieceType", t, []string{1: "normal", "unknown", "control", "user-defined", "unused", "byte"})
}

// Tokenizer is a vocabulary with its merge order, or for a unigram model its probabilities. It is immutable and safe for
// concurrent use.
type Tokenizer struct {
	pieces []Piece
	spec   spec

	ids    map[string]int32 // every piece
	merges map[string]int32 // the pieces that text can become: normal, user-defined, unused
	bytes  [256]int32       // piece of each byte; valid if spec.byteFallback
	user   prefixMatcher    // user-defined pieces
	norm   normalizer

	chars charTable // symbols that text begins as
	pairs pairTable // and what two of them become

	unigram  *unigram    // of a unigram model, nil otherwise
	hugging  *hugging    // of a tokenizer.json, nil otherwise
	model    *Tokenizer  // of the tokenizer.model next to a tokenizer.json, if it has the same pieces
	controls addedTokens // control pieces and <unk>, for EncodeSpecial

	chatTemplate string // of the files that the tokenizer was read from, "" for none

	bos, eos, unk, pad int32

	hasUnused bool // some pieces must be taken apart again
	wordwise  bool // no piece goes across the start of a word, so words can be encoded one by one

	mergers sync.Pool // of *merger
}

// Load reads a tokenizer from a file: a llama2.c tokenizer if the name ends in .bin, vocab.json with the merges.txt next to it, a Hugging
// Face tokenizer.json if another name ends in .json (with the tokenizer_config.json or special_tokens_map.json beside it), the vocabulary of a GGUF file if it
// ends in .gguf, otherwise a SentencePiece .model. Of a folder it reads tokenizer.model, or tokenizer.json if that is missing.
// Beside a file of the name tokenizer.model, those two files and added_tokens.json say which special tokens are added.
func Load(path string) (*Tokenizer, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		found, err := Find(path)
		if err != nil {
			return nil, err
		}
		path = found
	}
	if strings.EqualFold(filepath.Ext(path), ".gguf") {
		return LoadGGUF(path)
	}
	data, err := bounded.ReadFile(path, maxFile)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	parse, beside := parseModel, false
	if filepath.Base(path) == modelFile {
		parse = func(data []byte) (*Tokenizer, error) { return readModelFolder(filepath.Dir(path), data) }
		beside = true
	}
	switch strings.ToLower(filepath.Ext(path)) {
	case ".bin":
		parse = parseLlama2C
	case ".json":
		parse = func(data []byte) (*Tokenizer, error) { return readHugging(path, data) }
		if filepath.Base(path) == vocabFile {
			parse = func([]byte) (*Tokenizer, error) { return readVocabMerges(filepath.Dir(path)) }
		}
		beside = true
	}
	t, err := parse(data)
	if err == nil && beside {
		t.chatTemplate, err = readChatTemplate(filepath.Dir(path))
	}
	if err == nil && filepath.Base(path) == huggingTokenizer {
		t.model = t.modelBeside(filepath.Dir(path))
	}
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", path, err)
	}
	return t, nil
}

// maxFile is the largest file of a tokenizer that is read, in bytes. Those of vocabularies of 262,144 pieces have up to 35 MB.
const maxFile = 64 << 20

// ErrNone says that a folder has no tokenizer in it.
var ErrNone = errors.New("there is neither a tokenizer.model nor a tokenizer.json nor a vocab.json (with its merges.txt)")

// Find returns the path of the tokenizer in a folder: tokenizer.json, which transformers reads too where there are several, or
// tokenizer.model, or vocab.json, which has its merges.txt next to it. It wraps [ErrNone] if the folder has none of them.
func Find(dir string) (string, error) {
	for _, name := range []string{huggingTokenizer, modelFile, vocabFile} {
		path := filepath.Join(dir, name)
		switch _, err := os.Stat(path); {
		case err == nil:
			return path, nil
		case !errors.Is(err, fs.ErrNotExist):
			return "", fmt.Errorf("tokenizer: %w", err)
		}
	}
	return "", fmt.Errorf("tokenizer: %s: %w", dir, ErrNone)
}

// newTokenizer checks the pieces and builds the tables.
func newTokenizer(pieces []Piece, sp spec) (*Tokenizer, error) {
	t, err := newVocabulary(pieces, sp)
	if err != nil {
		return nil, err
	}
	if t.unk < 0 {
		return nil, errors.New("no piece has the type unknown; every SentencePiece model has one (<unk>)")
	}
	if sp.modelType == modelUnigram {
		t.unigram = newUnigram(t)
		t.wordwise = false // a sum is rounded at every step, so where a text begins may decide ties
	} else {
		t.buildPairs()
	}
	return t, nil
}

// newVocabulary does that without the table of pairs.
func newVocabulary(pieces []Piece, sp spec) (*Tokenizer, error) {
	norm, err := newNormalizer(sp)
	if err != nil {
		return nil, err
	}
	t := &Tokenizer{
		pieces:   pieces,
		spec:     sp,
		ids:      make(map[string]int32, len(pieces)),
		merges:   make(map[string]int32, len(pieces)),
		norm:     norm,
		unk:      -1,
		wordwise: true,
	}
	for i := range t.bytes {
		t.bytes[i] = -1
	}
	for i, p := range pieces {
		if err := t.addPiece(int32(i), p); err != nil {
			return nil, fmt.Errorf("piece %d: %w", i, err)
		}
	}
	if sp.byteFallback {
		for b, id := range t.bytes {
			if id < 0 {
				return nil, fmt.Errorf("byte fallback is on but the piece %s is missing", byteName(byte(b)))
			}
		}
	}
	t.norm.user = &t.user
	t.bos, t.eos, t.pad = t.control(sp.names[0]), t.control(sp.names[1]), t.control(sp.names[2])
	// A run of unknown characters may go across words, and how unused pieces come apart depends on the whole text.
	t.wordwise = t.wordwise && sp.byteFallback && !t.hasUnused
	return t, nil
}

var errNoText = errors.New("the text is empty")

func (t *Tokenizer) addPiece(id int32, p Piece) error {
	switch {
	case p.Text == "":
		return errNoText
	case len(p.Text) >= maxPieceBytes:
		return fmt.Errorf("the text is %d bytes long, the limit is %d", len(p.Text), maxPieceBytes-1)
	case !utf8.ValidString(p.Text):
		return fmt.Errorf("the text %q is not valid UTF-8", p.Text)
	case strings.IndexByte(p.Text, 0) >= 0:
		return fmt.Errorf("the text %q contains a null character", p.Text)
	case math.IsNaN(float64(p.Score)) || math.IsInf(float64(p.Score), 0):
		return fmt.Errorf("the score of %q is %v", p.Text, p.Score)
	}
	switch p.Type {
	case Normal, UserDefined, Unused:
	case Unknown:
		if t.unk >= 0 {
			return fmt.Errorf("%q has the type unknown, and so has piece %d; only one may", p.Text, t.unk)
		}
		t.unk = id
		fallthrough
	case Control:
		t.controls.add(addedToken{id: id, text: p.Text, special: true})
	case Byte:
		b, ok := parseByteName(p.Text)
		if !ok {
			return fmt.Errorf("%q has the type byte but is not of the form <0x0A>", p.Text)
		}
		if !t.spec.byteFallback {
			return fmt.Errorf("%q has the type byte but the model has no byte fallback", p.Text)
		}
		t.bytes[b] = id
	default:
		return fmt.Errorf("%q has the unknown type %d", p.Text, p.Type)
	}

	if !t.inText(id) {
		// The rest of SentencePiece's rules allow one reserved and one normal piece of the same text; a look-up by
		// text then finds the reserved one.
		if old, ok := t.ids[p.Text]; ok && !t.inText(old) {
			return fmt.Errorf("%q is piece %d already", p.Text, old)
		}
		t.ids[p.Text] = id
		return nil
	}
	if old, ok := t.merges[p.Text]; ok {
		return fmt.Errorf("%q is piece %d already", p.Text, old)
	}
	t.merges[p.Text] = id
	if _, ok := t.ids[p.Text]; !ok {
		t.ids[p.Text] = id
	}
	if p.Type == UserDefined {
		t.user.add(p.Text)
	}
	t.hasUnused = t.hasUnused || p.Type == Unused
	t.wordwise = t.wordwise && wordEnd(p.Text) == len(p.Text)
	return nil
}

func (t *Tokenizer) inText(id int32) bool {
	k := t.pieces[id].Type
	return k == Normal || k == UserDefined || k == Unused
}

// control returns the id of the control piece of that text, or -1.
func (t *Tokenizer) control(text string) int32 {
	if id, ok := t.ids[text]; ok && t.pieces[id].Type == Control {
		return id
	}
	return -1
}

// VocabSize returns the number of pieces; ids are 0 to VocabSize-1.
func (t *Tokenizer) VocabSize() int { return len(t.pieces) }

// BOS returns the id of the begin-of-sequence piece <s>, or -1 if there is none.
func (t *Tokenizer) BOS() int32 { return t.bos }

// EOS returns the id of the end-of-sequence piece </s>, or -1 if there is none.
func (t *Tokenizer) EOS() int32 { return t.eos }

// UNK returns the id of the unknown piece <unk>, or -1 if there is none, as in most byte-level BPE.
func (t *Tokenizer) UNK() int32 { return t.unk }

// PAD returns the id of the padding piece <pad>, or -1 if there is none, as in Llama 2.
func (t *Tokenizer) PAD() int32 { return t.pad }

// Piece returns the text of a piece as it stands in the vocabulary ("▁the", "<0x0A>"), or "" if the id is out of range.
func (t *Tokenizer) Piece(id int32) string { return t.piece(id).Text }

// Score returns the score of a piece, 0 if the id is out of range. Pieces of higher score are merged first.
func (t *Tokenizer) Score(id int32) float32 { return t.piece(id).Score }

// Type returns the type of a piece, 0 if the id is out of range.
func (t *Tokenizer) Type(id int32) PieceType { return t.piece(id).Type }

func (t *Tokenizer) piece(id int32) Piece {
	if id < 0 || int(id) >= len(t.pieces) {
		return Piece{}
	}
	return t.pieces[id]
}

// ID returns the id of the piece with exactly this text; spaces in pieces are written "▁".
func (t *Tokenizer) ID(text string) (int32, bool) {
	id, ok := t.ids[text]
	return id, ok
}

// byteName returns the text of a byte's piece, as in <0x0A>.
func byteName(b byte) string { return fmt.Sprintf("<0x%02X>", b) }

func parseByteName(s string) (byte, bool) {
	if len(s) != 6 || s[:3] != "<0x" {
		return 0, false
	}
	b, _ := strconv.ParseUint(s[3:5], 16, 8)
	return byte(b), s == byteName(byte(b))
}

// wordEnd returns where the first word of s ends: before the first "▁" that follows something else.
func wordEnd(s string) int {
	i := 0
	for strings.HasPrefix(s[i:], space) {
		i += len(space)
	}
	if n := strings.Index(s[i:], space); n >= 0 {
		return i + n
	}
	return len(s)
}
