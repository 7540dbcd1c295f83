package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"

	"github.com/tame-rlhf/tame/pkg/data"
)

// comparisonLine and preferenceLine are the lines of AskCommand's protocol.
type comparisonLine struct {
	Messages []data.Message `json:"messages"`
	First    string         `json:"first"`
	Second   string         `json:"second"`
	Set      data.Set       `json:"set"`
}

type preferenceLine struct {
	Choice     string       `json:"choice"`
	Rating     *data.Rating `json:"rating"`
	FirstSafe  data.Safety  `json:"first_safe"`
	SecondSafe data.Safety  `json:"second_safe"`
}

// AskCommand is an annotator that is a program with its arguments, started once for each list of
// comparisons. It reads a JSON line for each comparison,
//
//	{"messages": [...], "first": "...", "second": "...", "set": "helpfulness" or "safety"}
//
// and writes one for each, in order:
//
//	{"choice": "first", "second" or "none", "rating": "negligibly better / unsure", "slightly better", "better" or
//	"significantly better", "first_safe": "safe", "unsafe" or "unknown", "second_safe": likewise}
//
// Rating and labels may be left out.
func AskCommand(command []string) Annotate {
	return func(ctx context.Context, list []Comparison) ([]*data.Preference, error) {
		if len(list) == 0 {
			return nil, nil
		}
		var in, stderr bytes.Buffer
		encoder := json.NewEncoder(&in)
		encoder.SetEscapeHTML(false)
		for _, c := range list {
			if err := encoder.Encode(comparisonLine{c.Prompt.Messages, c.First, c.Second, c.Set}); err != nil {
				return nil, err
			}
		}
		cmd := exec.CommandContext(ctx, command[0], command[1:]...)
		cmd.Stdin, cmd.Stderr = &in, &stderr
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("%s: %w: %s", command[0], err, bytes.TrimSpace(stderr.Bytes()))
		}
		var preferences []*data.Preference
		for line := range bytes.Lines(out) {
			n := len(preferences)
			if n == len(list) {
				return nil, fmt.Errorf("%s wrote more lines than the %d it was asked for", command[0], n)
			}
			p, err := list[n].preference(line)
			if err != nil {
				return nil, fmt.Errorf("%s: line %d: %w", command[0], n+1, err)
			}
			preferences = append(preferences, p)
		}
		return preferences, nil // Run counts them
	}
}

// preference reads what a program said about a comparison; nil for no choice.
func (c Comparison) preference(line []byte) (*data.Preference, error) {
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	var said preferenceLine
	if err := decoder.Decode(&said); err != nil {
		return nil, err
	}
	p := &data.Preference{
		Messages: c.Prompt.Messages, Chosen: c.First, Rejected: c.Second,
		Rating: data.NegligiblyBetter, ChosenSafe: said.FirstSafe, RejectedSafe: said.SecondSafe, Set: c.Set,
	}
	if said.Rating != nil {
		p.Rating = *said.Rating
	}
	switch said.Choice {
	case "first":
	case "second":
		p.Chosen, p.Rejected, p.ChosenSafe, p.RejectedSafe = p.Rejected, p.Chosen, p.RejectedSafe, p.ChosenSafe
	case "none":
		return nil, nil
	default:
		return nil, fmt.Errorf(`"choice" is %q, want "first", "second" or "none"`, said.Choice)
	}
	return p, nil
}
