package tokenizer

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// Piece is one entry of a vocabulary, for [FromPieces].
type Piece struct {
	Text  string    // spaces written "▁" (U+2581)
	Score float32   // of two possible merges the one that gives the higher score comes first; in a unigram model a log-probability
	Type  PieceType // Normal, Unknown, Control, UserDefined, Unused, Byte
}

// Parts is what besides its pieces makes a SentencePiece tokenizer, as a GGUF file states it. [DefaultParts] gives
// Llama's.
type Parts struct {
	BOS, EOS, PAD int32 // ids of control pieces, -1 for none

	AddDummyPrefix    bool   // a space goes in front of a text
	RemoveExtraSpaces bool   // leading, trailing and repeated spaces are dropped
	CharsMap          []byte // SentencePiece's precompiled_charsmap; empty for no rules

	Unigram bool // scores are log-probabilities of a unigram model, not the order of merges
}

// DefaultParts returns Llama 2's parts: BOS 1, EOS 2, no PAD, a dummy prefix, no other normalisation.
func DefaultParts() Parts { return Parts{BOS: 1, EOS: 2, PAD: -1, AddDummyPrefix: true} }

// FromPieces makes a tokenizer from its parts; the id of a piece is its index. One piece must be Unknown. Byte fallback
// is on if there are Byte pieces, and then all 256 must be there. BOS, EOS and PAD must be Control pieces.
//
// Together with [Tokenizer.Pieces] and [Tokenizer.Parts] it is the way in and out for formats that other packages read
// and write.
func FromPieces(pieces []Piece, parts Parts) (*Tokenizer, error) {
	bytes := slices.ContainsFunc(pieces, func(p Piece) bool { return p.Type == Byte })
	sp, err := parts.spec(pieces, bytes)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	t, err := newTokenizer(slices.Clone(pieces), sp)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	return t, nil
}

// spec checks the special ids and puts the parts into the words of a .model file.
func (p Parts) spec(pieces []Piece, bytes bool) (spec, error) {
	var trainer []byte
	var errs []error
	var names [3]string
	for i, special := range []struct {
		name      string
		id        int32
		num, text protowire.Number
	}{
		{"BOS", p.BOS, trainerBOSID, trainerBOSPiece}, {"EOS", p.EOS, trainerEOSID, trainerEOSPiece},
		{"PAD", p.PAD, trainerPadID, trainerPadPiece},
	} {
		switch {
		case special.id < 0: // no piece has the text "", so there is none
			trainer = appendVarint(trainer, special.num, ^uint64(0))
			continue
		case int(special.id) >= len(pieces):
			errs = append(errs, fmt.Errorf("%s is %d, but there are %d pieces", special.name, special.id, len(pieces)))
			continue
		}
		piece := pieces[special.id]
		if piece.Type != Control {
			errs = append(errs, fmt.Errorf("%s is %d, the %v piece %q; it must be a control piece", special.name, special.id, piece.Type, piece.Text))
		}
		names[i] = piece.Text
		trainer = appendVarint(trainer, special.num, uint64(special.id))
		trainer = appendString(trainer, special.text, piece.Text)
	}
	if i := slices.IndexFunc(pieces, func(p Piece) bool { return p.Type == Unknown }); i >= 0 {
		trainer = appendVarint(trainer, trainerUnkID, uint64(i))
		trainer = appendString(trainer, trainerUnkPiece, pieces[i].Text)
	}
	sp := newSpec(len(pieces), bytes, trainer)
	sp.names = names
	if p.Unigram {
		sp.modelType = modelUnigram
		sp.trainer = appendVarint(sp.trainer, trainerModelType, modelUnigram) // the last one counts
	}
	sp.setNormalizer(p)
	return sp, errors.Join(errs...)
}

func (sp *spec) setNormalizer(p Parts) {
	sp.dummyPrefix, sp.removeExtra, sp.charsMap = p.AddDummyPrefix, p.RemoveExtraSpaces, p.CharsMap
	sp.normalizer = nil
	if len(p.CharsMap) == 0 {
		sp.normalizer = appendString(sp.normalizer, normName, "identity")
	} else {
		sp.normalizer = appendString(sp.normalizer, normName, "user_defined")
		sp.normalizer = appendBytes(sp.normalizer, normCharsMap, p.CharsMap)
	}
	sp.normalizer = appendVarint(sp.normalizer, normDummyPrefix, protowire.EncodeBool(p.AddDummyPrefix))
	sp.normalizer = appendVarint(sp.normalizer, normRemoveExtra, protowire.EncodeBool(p.RemoveExtraSpaces))
	sp.normalizer = appendVarint(sp.normalizer, normEscape, 1)
}

// Pieces returns the vocabulary, a copy: text, score and type of each id.
func (t *Tokenizer) Pieces() []Piece { return slices.Clone(t.pieces) }

// Parts returns what besides its pieces makes the tokenizer. [FromPieces] gives the same ids from both.
func (t *Tokenizer) Parts() Parts {
	return Parts{
		BOS: t.bos, EOS: t.eos, PAD: t.pad,
		AddDummyPrefix: t.spec.dummyPrefix, RemoveExtraSpaces: t.spec.removeExtra,
		CharsMap: append([]byte(nil), t.spec.charsMap...), Unigram: t.unigram != nil,
	}
}
