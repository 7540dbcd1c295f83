package tokenizer

import (
	"errors"
	"fmt"
	"io"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of SentencePiece's sentencepiece_model.proto.
const (
	modelPieces, modelTrainer, modelNormalizer, modelDenormalizer = 1, 2, 3, 5

	pieceText, pieceScore, pieceKind = 1, 2, 3

	trainerModelType, trainerVocabSize, trainerCoverage             = 3, 4, 10
	trainerMaxPieceLength, trainerSplitByScript, trainerSpaceSuffix = 20, 21, 24
	trainerSplitDigits, trainerSpacePieces                          = 25, 26
	trainerControl, trainerUserDefined, trainerByteFallback         = 30, 31, 35
	trainerUnkID, trainerBOSID, trainerEOSID, trainerPadID          = 40, 41, 42, 43
	trainerUnkSurface, trainerUnkPiece                              = 44, 45
	trainerBOSPiece, trainerEOSPiece, trainerPadPiece               = 46, 47, 48

	normName, normCharsMap, normDummyPrefix, normRemoveExtra, normEscape = 1, 2, 3, 4, 5
)

// specials are BOS, EOS and PAD: their names in the files of Hugging Face, and the fields of their ids and texts.
var specials = [3]struct {
	name     string
	id, text protowire.Number
}{
	{"bos_token", trainerBOSID, trainerBOSPiece}, {"eos_token", trainerEOSID, trainerEOSPiece}, {"pad_token", trainerPadID, trainerPadPiece},
}

// Model types of SentencePiece.
const (
	modelUnigram, modelBPE, modelWord, modelChar = 1, 2, 3, 4
)

// spec is what of a model file, besides its pieces, changes encoding and decoding.
type spec struct {
	modelType    uint64
	byteFallback bool
	spaceSuffix  bool
	unkSurface   string
	unkPiece     string
	names        [3]string // of BOS, EOS and PAD

	charsMap    []byte // precompiled normalisation rules, empty for the identity
	dummyPrefix bool
	removeExtra bool
	escape      bool

	// Encoded messages, written back by WriteModel as they came.
	trainer, normalizer []byte
	rest                []byte // other fields of the model, with their tags
}

// defaultSpec holds the defaults of sentencepiece_model.proto.
func defaultSpec() spec {
	return spec{
		modelType: modelUnigram, unkSurface: defaultUnkSurface,
		unkPiece: "<unk>", names: [3]string{"<s>", "</s>", "<pad>"},
		dummyPrefix: true, removeExtra: true, escape: true,
	}
}

// LoadModel reads a SentencePiece .model file of type BPE or unigram.
func LoadModel(r io.Reader) (*Tokenizer, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: read model: %w", err)
	}
	t, err := parseModel(data)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: model: %w", err)
	}
	return t, nil
}

func parseModel(data []byte) (*Tokenizer, error) {
	if len(data) == 0 {
		return nil, errors.New("the file is empty, not a SentencePiece model")
	}
	var pieces []Piece
	sp := defaultSpec()
	err := eachField(data, func(f field) error {
		switch {
		case f.num == modelPieces && f.typ == protowire.BytesType:
			p, err := parsePiece(f.bytes)
			if err == nil && p.Text == "" { // seen early: a file may have a piece of two bytes, millions of times
				err = errNoText
			}
			if err != nil {
				return fmt.Errorf("piece %d: %w", len(pieces), err)
			}
			pieces = append(pieces, p)
		case f.num == modelTrainer && f.typ == protowire.BytesType:
			sp.trainer = append(sp.trainer, f.bytes...) // a message given twice is merged
			return sp.parseTrainer(f.bytes)
		case f.num == modelNormalizer && f.typ == protowire.BytesType:
			sp.normalizer = append(sp.normalizer, f.bytes...)
			return sp.parseNormalizer(f.bytes)
		case f.num == modelDenormalizer && f.typ == protowire.BytesType:
			sp.rest = append(sp.rest, f.raw...)
			den := defaultSpec()
			if err := den.parseNormalizer(f.bytes); err != nil {
				return err
			}
			if len(den.charsMap) > 0 {
				return errors.New("the model has a denormaliser, which is not supported")
			}
		default:
			sp.rest = append(sp.rest, f.raw...)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("not a usable SentencePiece model: %w", err)
	}
	if len(pieces) == 0 {
		return nil, errors.New("not a usable SentencePiece model: it has no pieces")
	}
	if sp.modelType != modelBPE && sp.modelType != modelUnigram {
		name := map[uint64]string{modelWord: "word", modelChar: "char"}[sp.modelType]
		if name == "" {
			name = fmt.Sprintf("number %d", sp.modelType)
		}
		return nil, fmt.Errorf("the model type is %s; only BPE models (Llama's is one) and unigram models are supported", name)
	}
	if sp.spaceSuffix {
		return nil, errors.New("the model puts white space at the end of pieces, which is not supported")
	}
	return newTokenizer(pieces, sp)
}

func parsePiece(data []byte) (Piece, error) {
	p := Piece{Type: Normal}
	err := eachField(data, func(f field) error {
		switch {
		case f.num == pieceText && f.typ == protowire.BytesType:
			p.Text = string(f.bytes)
		case f.num == pieceScore && f.typ == protowire.Fixed32Type:
			p.Score = math.Float32frombits(uint32(f.value))
		case f.num == pieceKind && f.typ == protowire.VarintType:
			if f.value > math.MaxUint8 {
				return fmt.Errorf("type %d is unknown", f.value)
			}
			p.Type = PieceType(f.value)
		}
		return nil
	})
	return p, err
}

func (sp *spec) parseTrainer(data []byte) error {
	flags := map[protowire.Number]*bool{trainerByteFallback: &sp.byteFallback, trainerSpaceSuffix: &sp.spaceSuffix}
	texts := map[protowire.Number]*string{
		trainerUnkPiece: &sp.unkPiece, trainerBOSPiece: &sp.names[0], trainerEOSPiece: &sp.names[1], trainerPadPiece: &sp.names[2],
	}
	return sp.parse("trainer_spec", data, flags, func(f field) {
		switch text := texts[f.num]; {
		case f.num == trainerModelType && f.typ == protowire.VarintType:
			sp.modelType = f.value
		case f.num == trainerUnkSurface && f.typ == protowire.BytesType:
			sp.unkSurface = string(f.bytes)
		case text != nil && len(f.bytes) > 0: // an empty one leaves the default, as in SentencePiece
			*text = string(f.bytes)
		}
	})
}

func (sp *spec) parseNormalizer(data []byte) error {
	flags := map[protowire.Number]*bool{normDummyPrefix: &sp.dummyPrefix, normRemoveExtra: &sp.removeExtra, normEscape: &sp.escape}
	return sp.parse("normalizer_spec", data, flags, func(f field) {
		if f.num == normCharsMap && f.typ == protowire.BytesType {
			sp.charsMap = append([]byte(nil), f.bytes...)
		}
	})
}

// parse sets the flags of a message and calls other for its other fields.
func (sp *spec) parse(name string, data []byte, flags map[protowire.Number]*bool, other func(field)) error {
	err := eachField(data, func(f field) error {
		if flag := flags[f.num]; flag != nil && f.typ == protowire.VarintType {
			*flag = f.value != 0
		} else {
			other(f)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// field is one field of a protobuf message.
type field struct {
	num   protowire.Number
	typ   protowire.Type
	value uint64 // varint and fixed32 types
	bytes []byte // bytes type; shares the message's memory
	raw   []byte // tag and value as encoded
}

// eachField calls fn for each field of an encoded message.
func eachField(data []byte, fn func(field) error) error {
	for offset := 0; offset < len(data); {
		rest := data[offset:]
		num, typ, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return fmt.Errorf("broken tag at byte %d: %w", offset, protowire.ParseError(n))
		}
		f := field{num: num, typ: typ}
		var m int
		switch typ {
		case protowire.VarintType:
			f.value, m = protowire.ConsumeVarint(rest[n:])
		case protowire.Fixed32Type:
			var v uint32
			v, m = protowire.ConsumeFixed32(rest[n:])
			f.value = uint64(v)
		case protowire.BytesType:
			f.bytes, m = protowire.ConsumeBytes(rest[n:])
		default:
			m = protowire.ConsumeFieldValue(num, typ, rest[n:])
		}
		if m < 0 {
			return fmt.Errorf("broken field %d at byte %d: %w", num, offset, protowire.ParseError(m))
		}
		f.raw = rest[:n+m]
		if err := fn(f); err != nil {
			return err
		}
		offset += n + m
	}
	return nil
}
