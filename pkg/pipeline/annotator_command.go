package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/tame-rlhf/tame/internal/jsontext"
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

// DefaultAnswerTime is what AskCommand gives a program for each comparison.
const DefaultAnswerTime = 5 * time.Minute

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
// Rating and labels may be left out. A line has at most 65536 bytes. The program has the time of an
// answer for each of the comparisons, all together; then it is killed, with all that it has started. It
// runs in a process group of its own, so it cannot read from the terminal.
func AskCommand(command []string, answer time.Duration) Annotate {
	return func(ctx context.Context, list []Comparison) ([]*data.Preference, error) {
		if len(list) == 0 {
			return nil, nil
		}
		var in bytes.Buffer
		encoder := json.NewEncoder(&in)
		encoder.SetEscapeHTML(false)
		for _, c := range list {
			if err := encoder.Encode(comparisonLine{c.Prompt.Messages, c.First, c.Second, c.Set}); err != nil {
				return nil, err
			}
		}
		var preferences []*data.Preference
		limit := time.Duration(min(float64(answer)*float64(len(list)), math.MaxInt64/2))
		err := converse(ctx, command, limit, in.Bytes(), func(line []byte) (last bool, err error) {
			n := len(preferences)
			if n == len(list) {
				return false, fmt.Errorf("it wrote more lines than the %d it was asked for", n)
			}
			p, err := list[n].preference(line)
			if err != nil {
				return false, fmt.Errorf("line %d of its output: %w", n+1, err)
			}
			preferences = append(preferences, p)
			return n+1 == len(list), nil
		})
		if err == nil && len(preferences) < len(list) {
			err = fmt.Errorf("%s: it wrote %d lines for %d comparisons", command[0], len(preferences), len(list))
		}
		return preferences, err
	}
}

// preference reads what a program said about a comparison; nil for no choice.
func (c Comparison) preference(line []byte) (*data.Preference, error) {
	var said preferenceLine
	if err := jsontext.Decode(line, &said); err != nil {
		return nil, fmt.Errorf("%q: %w", line[:min(len(line), 100)], err)
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
