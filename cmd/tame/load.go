package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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

// llama2Template is the value of --template, and of the setting, that asks for Llama 2's chat format.
const llama2Template = "llama2"

// templateFlag adds --template.
func templateFlag(flags *pflag.FlagSet) *string {
	return flags.String("template", "", "chat format: llama2, whatever chat template the tokenizer's files have (default: llama2, and another template is refused)")
}

// tellAside says what is next to a model's weights and was left aside.
func tellAside(cmd *cobra.Command, path string, p *model.Params) {
	if p == nil {
		return
	}
	for _, what := range p.LeftAside() {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", path, what)
	}
}

// loadChat reads a model whose tokenizer has Llama 2's chat format.
func loadChat(path, tokenizerPath, template string) (*model.Params, *tokenizer.Tokenizer, *data.Template, error) {
	p, tok, err := model.LoadWithTokenizer(path, tokenizerPath)
	if err != nil {
		return nil, nil, nil, err
	}
	tmpl, err := chatTemplate(tok, template)
	if err != nil {
		return nil, nil, nil, err
	}
	return p, tok, tmpl.Within(p.Config().VocabSize), nil
}

// chatTemplate is Llama 2's chat format for the tokenizer. One that comes with another chat template is refused, unless template asks for
// Llama 2's.
func chatTemplate(tok *tokenizer.Tokenizer, template string) (*data.Template, error) {
	switch {
	case template != "" && template != llama2Template:
		return nil, fmt.Errorf("template is %q, want %s", template, llama2Template)
	case tok == nil:
		return nil, errNoTokenizer
	case template == "":
		if err := tok.CheckChat(); err != nil {
			return nil, fmt.Errorf("%w: to use Llama 2's in its place, say template %s (--template %[2]s; in a configuration template: %[2]s)", err, llama2Template)
		}
	}
	return data.Llama2Template(tok)
}
