package main

import (
	"errors"
	"sync"

	"github.com/spf13/cobra"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

type tokenizeInput struct {
	Text     *string        `json:"text"`
	Messages []data.Message `json:"messages"`
}

type decodeInput struct {
	IDs []int32 `json:"ids"`
}

func tokenizeCommand() *cobra.Command {
	var path string
	var bos, eos, decode, special bool
	var template *string
	cmd := &cobra.Command{
		Use:   "tokenize --tokenizer FILE",
		Short: "Turn text or dialogues into token ids, or back with --decode",
		Long: `Reads {"text": "..."} or {"messages": [{"role": "user", "content": "..."}]} and writes {"ids": [...]};` + "\n" +
			`with --decode reads {"ids": [...]} and writes {"text": "..."}. Messages use the tokenizer's chat template, Llama 2's chat format if it has none.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			tok, err := loadTokenizer(cmd, path)
			if err != nil {
				return err
			}
			if decode {
				return answerLines(cmd, func(_ int, in decodeInput) (any, error) {
					if in.IDs == nil {
						return nil, errors.New(`"ids" is missing`)
					}
					text, err := tok.Decode(in.IDs)
					return map[string]string{"text": text}, err
				})
			}
			chat := sync.OnceValues(func() (*data.Template, error) { return chatTemplate(tok, nil, *template) })
			return answerLines(cmd, func(_ int, in tokenizeInput) (any, error) {
				ids, err := encode(tok, in, special, chat)
				if err == nil {
					ids, err = addEnds(tok, ids, bos, eos)
				}
				return map[string][]int32{"ids": ids}, err
			})
		},
	}
	cmd.Flags().StringVar(&path, "tokenizer", "", tokenizerFiles+", or a folder with one of the first three")
	cmd.Flags().BoolVar(&bos, "bos", false, "put the begin-of-sequence id in front of a text")
	cmd.Flags().BoolVar(&eos, "eos", false, "put the end-of-sequence id behind a text")
	cmd.Flags().BoolVar(&special, "special", false, "the names of special pieces in a text mean these pieces, as in Hugging Face's tokenizers")
	cmd.Flags().BoolVar(&decode, "decode", false, "turn ids into text")
	template = templateFlag(cmd.Flags())
	_ = cmd.MarkFlagRequired("tokenizer") // the flag was defined above
	return cmd
}

func encode(tok *tokenizer.Tokenizer, in tokenizeInput, special bool, chat func() (*data.Template, error)) ([]int32, error) {
	switch {
	case in.Text != nil && in.Messages != nil:
		return nil, errors.New(`give "text" or "messages", not both`)
	case in.Text != nil && special:
		return append([]int32{}, tok.EncodeSpecial(*in.Text)...), nil
	case in.Text != nil:
		return append([]int32{}, tok.Encode(*in.Text)...), nil
	case in.Messages != nil:
		tmpl, err := chat()
		if err != nil {
			return nil, err
		}
		e, err := tmpl.EncodeDialog(in.Messages, data.AllTurns)
		return e.Tokens, err
	}
	return nil, errors.New(`"text" or "messages" is missing`)
}

// addEnds adds the ids asked for, unless they stand there already as the chat format puts them.
func addEnds(tok *tokenizer.Tokenizer, ids []int32, bos, eos bool) ([]int32, error) {
	if bos && (len(ids) == 0 || ids[0] != tok.BOS()) {
		if tok.BOS() < 0 {
			return nil, errors.New("the tokenizer has no begin-of-sequence id")
		}
		ids = append([]int32{tok.BOS()}, ids...)
	}
	if eos && (len(ids) == 0 || ids[len(ids)-1] != tok.EOS()) {
		if tok.EOS() < 0 {
			return nil, errors.New("the tokenizer has no end-of-sequence id")
		}
		ids = append(ids, tok.EOS())
	}
	return ids, nil
}
