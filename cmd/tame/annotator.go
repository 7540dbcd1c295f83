package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os/exec"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// annotatorConfig says who compares answers.
type annotatorConfig struct {
	// AnnotatorCommand is a program with its arguments that is started for each part of the comparisons. It reads a JSON line for each,
	// {"messages": [...], "first": "...", "second": "...", "set": "helpfulness" or "safety"}, and writes one for each, in order: {"choice": "first",
	// "second" or "none", "rating": "negligibly better / unsure", "slightly better", "better" or "significantly better", "first_safe":
	// "safe", "unsafe" or "unknown", "second_safe": likewise}. Ratings and labels may be left out.
	AnnotatorCommand []string
	// AnnotatorHelpfulness and AnnotatorSafety are folders of reward models that compare answers in the place of people: the one with the higher score is
	// chosen, the difference decides the rating, and the safety model labels answers.
	AnnotatorHelpfulness string `conf:"input"`
	AnnotatorSafety      string `conf:"input"`
}

func (c annotatorConfig) check() error {
	if (len(c.AnnotatorCommand) > 0) == (c.AnnotatorHelpfulness != "" || c.AnnotatorSafety != "") {
		return errors.New("annotator_command, or annotator_helpfulness and annotator_safety: want one of both, to compare answers")
	}
	return nil
}

// annotate asks whoever was configured.
func (c annotatorConfig) annotate(tok *tokenizer.Tokenizer, tmpl *data.Template, cfg pipeline.JudgesConfig) (pipeline.Annotate, error) {
	if len(c.AnnotatorCommand) > 0 {
		return c.ask, nil
	}
	judge := &modelAnnotator{tmpl: tmpl}
	for _, m := range []struct {
		own    ratersConfig
		rater  **raters
		exists bool
	}{
		{ratersConfig{Helpfulness: c.AnnotatorHelpfulness}, &judge.helpfulness, c.AnnotatorHelpfulness != ""},
		{ratersConfig{Safety: c.AnnotatorSafety}, &judge.safety, c.AnnotatorSafety != ""},
	} {
		if !m.exists {
			continue
		}
		var err error
		if *m.rater, err = m.own.load(tok, cfg); err != nil {
			return nil, err
		}
	}
	return judge.annotate, nil
}

// askedLine and saidLine are the lines of the protocol.
type askedLine struct {
	Messages []data.Message `json:"messages"`
	First    string         `json:"first"`
	Second   string         `json:"second"`
	Set      data.Set       `json:"set"`
}

type saidLine struct {
	Choice     string       `json:"choice"`
	Rating     *data.Rating `json:"rating"`
	FirstSafe  data.Safety  `json:"first_safe"`
	SecondSafe data.Safety  `json:"second_safe"`
}

// ask runs the program on some comparisons.
func (c annotatorConfig) ask(ctx context.Context, list []pipeline.Comparison) ([]*data.Preference, error) {
	if len(list) == 0 {
		return nil, nil
	}
	var in bytes.Buffer
	encoder := json.NewEncoder(&in)
	encoder.SetEscapeHTML(false)
	for _, q := range list {
		if err := encoder.Encode(askedLine{q.Prompt.Messages, q.First, q.Second, q.Set}); err != nil {
			return nil, err
		}
	}
	cmd := exec.CommandContext(ctx, c.AnnotatorCommand[0], c.AnnotatorCommand[1:]...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = &in, &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", c.AnnotatorCommand[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	said := make([]*data.Preference, 0, len(list))
	for line := range bytes.Lines(out) {
		if len(said) == len(list) {
			return nil, fmt.Errorf("%s wrote more lines than the %d it was asked for", c.AnnotatorCommand[0], len(list))
		}
		p, err := preferenceOf(list[len(said)], line)
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", c.AnnotatorCommand[0], len(said)+1, err)
		}
		said = append(said, p)
	}
	return said, nil // pipeline counts them
}

func preferenceOf(q pipeline.Comparison, line []byte) (*data.Preference, error) {
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	var said saidLine
	if err := decoder.Decode(&said); err != nil {
		return nil, err
	}
	p := &data.Preference{
		Messages: q.Prompt.Messages, Chosen: q.First, Rejected: q.Second,
		Rating: data.NegligiblyBetter, ChosenSafe: said.FirstSafe, RejectedSafe: said.SecondSafe, Set: q.Set,
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

// modelAnnotator compares answers by reward models.
type modelAnnotator struct {
	tmpl                *data.Template
	helpfulness, safety *raters // nil for none
}

func (m *modelAnnotator) annotate(ctx context.Context, list []pipeline.Comparison) ([]*data.Preference, error) {
	var answers []data.Answer
	for _, q := range list {
		for _, text := range []string{q.First, q.Second} {
			turns, err := m.tmpl.EncodeTurns(append(append([]data.Message(nil), q.Prompt.Messages...), data.Message{Role: data.Assistant, Content: text}))
			if errors.Is(err, data.ErrTag) { // a model that has learned little may write a tag; nobody can read that
				turns, err = m.tmpl.EncodeTurns(append(append([]data.Message(nil), q.Prompt.Messages...), data.Message{Role: data.Assistant, Content: ""}))
			}
			if err != nil {
				return nil, err
			}
			var a data.Answer
			last := len(turns) - 1
			for _, t := range turns[:last] {
				a.Prompt.Tokens = append(append(a.Prompt.Tokens, t.Prompt...), t.Answer...)
			}
			a.Prompt.Tokens, a.Tokens = append(a.Prompt.Tokens, turns[last].Prompt...), turns[last].Answer
			answers = append(answers, a)
		}
	}
	helpfulness, err := m.helpfulness.scoresOf(ctx, answers)
	if err != nil {
		return nil, err
	}
	safety, err := m.safety.scoresOf(ctx, answers)
	if err != nil {
		return nil, err
	}
	said := make([]*data.Preference, len(list))
	for i, q := range list {
		scores := helpfulness
		if scores == nil || q.Set == data.SafetySet && safety != nil {
			scores = safety
		}
		said[i] = compareScores(q, scores[2*i:2*i+2])
		if safety != nil {
			labels := [2]data.Safety{labelOf(safety[2*i]), labelOf(safety[2*i+1])}
			if said[i].Chosen != q.First {
				labels[0], labels[1] = labels[1], labels[0]
			}
			said[i].ChosenSafe, said[i].RejectedSafe = labels[0], labels[1]
		}
	}
	return said, nil
}

// scoresOf are the raw scores of the only model; nil where there is none.
func (r *raters) scoresOf(ctx context.Context, answers []data.Answer) ([]float64, error) {
	if r == nil || len(answers) == 0 {
		return nil, nil
	}
	scores, err := r.Score(ctx, answers)
	raw := make([]float64, len(scores))
	for i, s := range scores {
		raw[i] = s.Helpfulness
	}
	return raw, err
}

// compareScores chooses the higher score. The model's own probability of that choice decides the rating: below 60, 75 and 90 %.
func compareScores(q pipeline.Comparison, scores []float64) *data.Preference {
	p := &data.Preference{Messages: q.Prompt.Messages, Chosen: q.First, Rejected: q.Second, Rating: data.SignificantlyBetter, Set: q.Set}
	if scores[1] > scores[0] {
		p.Chosen, p.Rejected = q.Second, q.First
	}
	sure := 1 / (1 + math.Exp(-math.Abs(scores[0]-scores[1])))
	for i, limit := range []float64{0.6, 0.75, 0.9} {
		if sure < limit {
			p.Rating = data.NegligiblyBetter + data.Rating(i)
			break
		}
	}
	return p
}

func labelOf(score float64) data.Safety {
	if score < 0 {
		return data.Unsafe
	}
	return data.Safe
}
