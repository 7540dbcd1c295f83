package main

import (
	"errors"
	"fmt"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// fitCheck looks for rows that a stage could not use with this model: longer than its context, with ids that it does not have, or
// without a token to learn from.
func fitCheck(p *model.Params, tok *tokenizer.Tokenizer, tmpl *data.Template) func(record) error {
	c := p.Config()
	ids := func(ids []int32, room int) error {
		if n := len(ids) + room; n > c.MaxSeqLen {
			return fmt.Errorf("%d tokens are longer than the model's context of %d", n, c.MaxSeqLen)
		}
		return c.CheckTokens(ids)
	}
	dialog := func(messages []data.Message) error {
		e, err := tmpl.EncodeDialog(messages, data.AllTurns)
		if err != nil {
			return err
		}
		return ids(e.Tokens, 0)
	}
	return func(row record) error {
		switch row := row.(type) {
		case data.Text: // longer ones are cut into windows
			return c.CheckTokens(tok.Encode(row.Text))
		case data.Prompt:
			prompt, err := tmpl.EncodePrompt(row.Messages)
			if err != nil {
				return err
			}
			return ids(prompt, 1) // an answer has a token at least
		case data.Conversation:
			return dialog(row.Messages)
		case data.Preference:
			chosen, rejected := row.Dialogs()
			return errors.Join(dialog(chosen), dialog(rejected))
		case data.Sample:
			return ids(append(append([]int32(nil), row.Prompt...), row.Tokens...), 0)
		}
		return nil
	}
}
