package gatt

import (
	"errors"
	"fmt"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
)

// AttentionQuery is the transcript for eval.Attention (figure 10): how much the states that the last
// answer is predicted from attend to the instruction's tokens in the first turn.
func (t Transcript) AttentionQuery(tmpl *data.Template) (eval.AttentionQuery, error) {
	if tmpl == nil || len(t.Turns) == 0 || len(t.Dialog.Questions) == 0 {
		return eval.AttentionQuery{}, errors.New("gatt: want a chat template and a transcript with at least one turn")
	}
	plain, err := encode(tmpl, t.Dialog.Questions[:1], "", false)
	if err != nil {
		return eval.AttentionQuery{}, fmt.Errorf("gatt: dialogue %q: %w", t.Dialog.ID, err)
	}
	first := t.Turns[0].Prompt
	from := 0
	for from < len(plain[0]) && from < len(first) && first[from] == plain[0][from] {
		from++
	}
	to := from + len(first) - len(plain[0])
	if to <= from {
		return eval.AttentionQuery{}, fmt.Errorf("gatt: dialogue %q has no instruction in its first turn", t.Dialog.ID)
	}
	var query eval.AttentionQuery
	for _, turn := range t.Turns {
		query.Tokens = append(append(query.Tokens, turn.Prompt...), turn.Answer...)
	}
	end := len(query.Tokens) - 1
	query.From = []eval.Span{{From: end - len(t.Turns[len(t.Turns)-1].Answer), To: end}}
	query.To = []eval.Span{{From: from, To: to}}
	return query, nil
}
