package model

import (
	"fmt"
	"slices"

	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// LoadWithTokenizer reads a model as Load does, and its tokenizer: that of tokenizerPath, or the one
// that comes with the model if tokenizerPath is empty, nil if there is none. Two that do not fit are
// refused, see CheckTokenizer.
func LoadWithTokenizer(path, tokenizerPath string) (*Params, *tokenizer.Tokenizer, error) {
	p, err := Load(path)
	if err != nil {
		return nil, nil, err
	}
	var tok *tokenizer.Tokenizer
	if tokenizerPath != "" {
		tok, err = tokenizer.Load(tokenizerPath)
	} else {
		tok, err = tokenizer.OfModel(path)
	}
	if err != nil || tok == nil {
		return p, nil, err
	}
	if i := slices.Index(p.ends, tok.EOS()); i >= 0 { // of several ids that end an answer, the tokenizer says which one ends a text
		p.ends = slices.Clone(p.ends)
		p.cfg.EOS, p.ends[i] = p.ends[i], p.cfg.EOS
	}
	if err := CheckTokenizer(p.Config(), tok); err != nil {
		return nil, nil, fmt.Errorf("model: %s: %w", path, err)
	}
	return p, tok, nil
}

// CheckTokenizer wants begin and end of sequence to be the same ids in both. A tokenizer may have no begin, as Qwen's do, whatever the
// model's config.json names: none is put before a text then. The tokenizer may have more pieces than the model has ids,
// such as <pad>: a text that has one of these is refused where its ids are used, see Config.CheckTokens.
func CheckTokenizer(c Config, tok *tokenizer.Tokenizer) error {
	if tok.BOS() >= 0 && tok.BOS() != c.BOS || tok.EOS() != c.EOS {
		return fmt.Errorf("the tokenizer has BOS %d and EOS %d, the model %d and %d: they do not fit together",
			tok.BOS(), tok.EOS(), c.BOS, c.EOS)
	}
	return nil
}
