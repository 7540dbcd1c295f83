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
	tokenizerFiles = "SentencePiece .model, tokenizer.json, vocab.json, GGUF or llama2.c tokenizer.bin"
)

var errNoTokenizer = errors.New("text needs a tokenizer: name one with --tokenizer")

// llama2Template is the value of --template, and of the setting, that asks for Llama 2's chat format.
const llama2Template = "llama2"

// templateFlag adds --template.
func templateFlag(flags *pflag.FlagSet) *string {
	return flags.String("template", "", "chat format: llama2, whatever chat template the tokenizer's files have (default: that template, llama2 where there is none)")
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

// loadChat reads a model with its tokenizer and its chat format.
func loadChat(path, tokenizerPath, template string) (*model.Params, *tokenizer.Tokenizer, *data.Template, error) {
	p, tok, err := model.LoadWithTokenizer(path, tokenizerPath)
	if err != nil {
		return nil, nil, nil, err
	}
	tmpl, err := chatTemplate(tok, p.Ends(), template)
	if err != nil {
		return nil, nil, nil, err
	}
	return p, tok, tmpl.Within(p.Config().VocabSize), nil
}

// chatTemplate is the chat format for the tokenizer: the chat template that it came with, or Llama 2's if there is none or template asks
// for it. A template in Llama 2's own form gives the same ids as Llama 2's format, which is used for it. ends are the ids that end the model's answers;
// without any it is the tokenizer's EOS.
func chatTemplate(tok *tokenizer.Tokenizer, ends []int32, template string) (*data.Template, error) {
	switch {
	case template != "" && template != llama2Template:
		return nil, fmt.Errorf("template is %q, want %s", template, llama2Template)
	case tok == nil:
		return nil, errNoTokenizer
	case template == llama2Template || tok.IsLlama2Chat():
		return data.Llama2Template(tok)
	}
	tmpl, err := data.JinjaTemplate(tok, tok.ChatTemplate(), ends...)
	if err != nil {
		return nil, fmt.Errorf("%w: it is the chat template of the tokenizer; to use Llama 2's in its place, say template %s (--template %[2]s; in a configuration template: %[2]s)", err, llama2Template)
	}
	return tmpl, nil
}
