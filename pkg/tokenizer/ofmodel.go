package tokenizer

import (
	"errors"
	"os"
	"slices"

	"github.com/tame-rlhf/tame/internal/gguf"
)

// OfModel reads the tokenizer that comes with a model: the one in its folder or in its GGUF file. It
// is nil if the model has none.
func OfModel(path string) (*Tokenizer, error) {
	if gguf.Sniff(path) {
		tok, err := LoadGGUF(path)
		if errors.Is(err, ErrNoVocabulary) {
			return nil, nil
		}
		return tok, err
	}
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return nil, nil // other files hold weights alone
	}
	tok, err := Load(path)
	if errors.Is(err, ErrNone) {
		return nil, nil
	}
	return tok, err
}

// Same says whether two tokenizers have the same pieces, so that ids of one can be read by the other.
func Same(a, b *Tokenizer) bool {
	return slices.EqualFunc(a.pieces, b.pieces, func(p, q Piece) bool { return p.Text == q.Text })
}
