package main

import (
	"errors"
	"fmt"

	"github.com/tame-rlhf/tame/internal/gguf"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// What can be loaded, for the help of flags.
const (
	modelFiles     = "folder of Hugging Face or Meta, GGUF file, or llama2.c .bin file"
	tokenizerFiles = "SentencePiece .model, tokenizer.json, GGUF or llama2.c tokenizer.bin"
)

// loadTokenizer reads the named tokenizer (a file, or a folder with one in it), or the one in the model's folder or GGUF file. It
// gives nil where there is none.
func loadTokenizer(path, modelPath string) (*tokenizer.Tokenizer, error) {
	if path == "" && gguf.Sniff(modelPath) {
		tok, err := tokenizer.LoadGGUF(modelPath)
		if errors.Is(err, tokenizer.ErrNoVocabulary) {
			return nil, nil
		}
		return tok, err
	}
	if path == "" && modelPath != "" {
		beside, err := tokenizer.Find(modelPath)
		if err != nil {
			return nil, nil
		}
		path = beside
	}
	if path == "" {
		return nil, nil
	}
	return tokenizer.Load(path)
}

// loadBoth reads a model and its tokenizer, which may be missing, and refuses two that do not fit.
func loadBoth(modelPath, tokenizerPath string) (*model.Params, *tokenizer.Tokenizer, error) {
	p, err := model.Load(modelPath)
	if err != nil {
		return nil, nil, err
	}
	tok, err := loadTokenizer(tokenizerPath, modelPath)
	if err != nil {
		return nil, nil, err
	}
	if tok != nil && tok.VocabSize() > p.Config().VocabSize {
		return nil, nil, fmt.Errorf("the tokenizer has %d pieces, the model's vocabulary %d: they do not fit together",
			tok.VocabSize(), p.Config().VocabSize)
	}
	if tok != nil && (tok.BOS() != p.Config().BOS || tok.EOS() != p.Config().EOS) {
		return nil, nil, fmt.Errorf("the tokenizer has BOS %d and EOS %d, the model %d and %d: they do not fit together",
			tok.BOS(), tok.EOS(), p.Config().BOS, p.Config().EOS)
	}
	return p, tok, nil
}

var errNoTokenizer = errors.New("text needs a tokenizer: name one with --tokenizer")

// chatTemplate is Llama 2's chat format for the tokenizer.
func chatTemplate(tok *tokenizer.Tokenizer) (*data.Template, error) {
	if tok == nil {
		return nil, errNoTokenizer
	}
	return data.Llama2Template(tok)
}
