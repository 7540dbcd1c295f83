package tokenizer

import (
	"fmt"
	"io"
	"math"

	"github.com/google/renameio/v2"
	"google.golang.org/protobuf/encoding/protowire"
)

// Save writes the tokenizer as a SentencePiece .model file. The file appears at once and whole, or not at all.
func (t *Tokenizer) Save(path string) error {
	m, err := t.sentencePiece()
	if err != nil {
		return fmt.Errorf("tokenizer: save as .model: %w", err)
	}
	if err := renameio.WriteFile(path, m.encodeModel(), 0o644); err != nil {
		return fmt.Errorf("tokenizer: save: %w", err)
	}
	return nil
}

// WriteModel writes the tokenizer in the format of SentencePiece's .model files. What came from such a file is written
// back as it was, with the fields this package does not use.
//
// What came from a tokenizer.json can be written if a model gives the same ids: if text is normalised as by SentencePiece,
// and if pieces merge in the order of the pieces they make. The error says what is in the way.
func (t *Tokenizer) WriteModel(w io.Writer) error {
	m, err := t.sentencePiece()
	if err != nil {
		return fmt.Errorf("tokenizer: write model: %w", err)
	}
	if _, err := w.Write(m.encodeModel()); err != nil {
		return fmt.Errorf("tokenizer: write model: %w", err)
	}
	return nil
}

func (t *Tokenizer) encodeModel() []byte {
	var b, msg []byte
	for _, p := range t.pieces {
		msg = msg[:0]
		msg = appendString(msg, pieceText, p.Text)
		msg = appendFloat(msg, pieceScore, p.Score)
		if p.Type != Normal {
			msg = appendVarint(msg, pieceKind, uint64(p.Type))
		}
		b = appendBytes(b, modelPieces, msg)
	}
	b = appendBytes(b, modelTrainer, t.spec.trainer)
	b = appendBytes(b, modelNormalizer, t.spec.normalizer)
	return append(b, t.spec.rest...)
}

// newSpec is the specification of a model that did not come from a .model file: BPE with Llama's normaliser, which
// changes nothing but spaces. trainer holds further fields of the trainer_spec message.
func newSpec(vocabSize int, byteFallback bool, trainer []byte) spec {
	sp := defaultSpec()
	sp.modelType, sp.byteFallback = modelBPE, byteFallback
	sp.trainer = appendVarint(sp.trainer, trainerModelType, modelBPE)
	sp.trainer = appendVarint(sp.trainer, trainerVocabSize, uint64(vocabSize))
	sp.trainer = appendVarint(sp.trainer, trainerByteFallback, protowire.EncodeBool(byteFallback))
	sp.trainer = append(sp.trainer, trainer...)
	sp.setNormalizer(DefaultParts())
	return sp
}

func appendVarint(b []byte, num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}

func appendFloat(b []byte, num protowire.Number, v float32) []byte {
	return protowire.AppendFixed32(protowire.AppendTag(b, num, protowire.Fixed32Type), math.Float32bits(v))
}

func appendBytes(b []byte, num protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), v)
}

func appendString(b []byte, num protowire.Number, v string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), v)
}
