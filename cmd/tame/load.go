package main

import (
	"errors"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// What can be loaded, for the help of flags.
const (
	modelFiles     = "folder of Hugging Face or Meta, GGUF file, or llama2.c .bin file"
	tokenizerFiles = "SentencePiece .model, tokenizer.json, GGUF or llama2.c tokenizer.bin"
)

var errNoTokenizer = errors.New("text needs a tokenizer: name one with --tokenizer")

// loadChat reads a model whose tokenizer has Llama 2's chat format.
func loadChat(path, tokenizerPath string) (*model.Params, *tokenizer.Tokenizer, *data.Template, error) {
	p, tok, err := model.LoadWithTokenizer(path, tokenizerPath)
	if err != nil {
		return nil, nil, nil, err
	}
	tmpl, err := chatTemplate(tok)
	return p, tok, tmpl, err
}

// chatTemplate is Llama 2's chat format for the tokenizer.
func chatTemplate(tok *tokenizer.Tokenizer) (*data.Template, error) {
	if tok == nil {
		return nil, errNoTokenizer
	}
	return data.Llama2Template(tok)
}
