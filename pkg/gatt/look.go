package gatt

import (
	"errors"
	"fmt"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
)

// Look is the transcript for eval.Attention (figure 10): the states that the last answer is predicted from look at the instruction's tokens in the
// first turn.
func (t Transcript) Look(tmpl *data.Template) (eval.Look, error) {
	if tmpl == nil || len(t.Turns) == 0 || len(t.Dialog.Questions) == 0 {
		return eval.Look{}, errors.New("gatt: want a chat template and a transcript with at least one turn")
	}
	plain, err := encode(tmpl, t.Dialog.Questions[:1], "", false)
	if err != nil {
		return eval.Look{}, fmt.Errorf("gatt: dialogue %q: %w", t.Dialog.ID, err)
	}
	first := t.Turns[0].Prompt
	from := 0
	for from < len(plain[0]) && from < len(first) && first[from] == plain[0][from] {
		from++
	}
	to := from + len(first) - len(plain[0])
	if to <= from {
		return eval.Look{}, fmt.Errorf("gatt: dialogue %q has no instruction in its first turn", t.Dialog.ID)
	}
	var look eval.Look
	for _, turn := range t.Turns {
		look.Tokens = append(append(look.Tokens, turn.Prompt...), turn.Answer...)
	}
	end := len(look.Tokens) - 1
	look.From = []eval.Span{{From: end - len(t.Turns[len(t.Turns)-1].Answer), To: end}}
	look.To = []eval.Span{{From: from, To: to}}
	return look, nil
}
