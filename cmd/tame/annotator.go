package main

import (
	"errors"
	"time"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/setting"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// annotatorConfig says who compares answers.
type annotatorConfig struct {
	// AnnotatorCommand is a program with its arguments that is started for each part of the comparisons. It reads a JSON line for each,
	// {"messages": [...], "first": "...", "second": "...", "set": "helpfulness" or "safety"}, and writes one for each, in order: {"choice": "first",
	// "second" or "none", "rating": "negligibly better / unsure", "slightly better", "better" or "significantly better", "first_safe":
	// "safe", "unsafe" or "unknown", "second_safe": likewise}. Ratings and labels may be left out.
	AnnotatorCommand []string
	// AnnotatorSeconds is the time that the program has for each comparison of a part, all together: a program that takes longer for a
	// part is killed, with all that it has started, and the run stops. What was answered before is kept. Default 300.
	AnnotatorSeconds float64 `conf:"place"`
	// AnnotatorHelpfulness and AnnotatorSafety are folders of reward models that compare answers in the place of people: the one with the higher score is
	// chosen, the difference decides the rating, and the safety model labels answers.
	AnnotatorHelpfulness string `conf:"input"`
	AnnotatorSafety      string `conf:"input"`
}

// longestAnswer bounds AnnotatorSeconds: a year.
const longestAnswer = 365 * 24 * 3600

func (c annotatorConfig) check() error {
	check := setting.NewChecks("tame: Config")
	check.That(c.AnnotatorSeconds > 0 && c.AnnotatorSeconds <= longestAnswer, "AnnotatorSeconds", c.AnnotatorSeconds, "a positive number of seconds, of at most a year")
	if err := check.Err(); err != nil {
		return err
	}
	if (len(c.AnnotatorCommand) > 0) == (c.AnnotatorHelpfulness != "" || c.AnnotatorSafety != "") {
		return errors.New("annotator_command, or annotator_helpfulness and annotator_safety: want one of both, to compare answers")
	}
	return nil
}

// annotate asks whoever was configured.
func (c annotatorConfig) annotate(tok *tokenizer.Tokenizer, tmpl *data.Template, cfg pipeline.JudgesConfig) (pipeline.Annotate, error) {
	if len(c.AnnotatorCommand) > 0 {
		return pipeline.AskCommand(c.AnnotatorCommand, time.Duration(c.AnnotatorSeconds*float64(time.Second))), nil
	}
	var helpfulness, safety *pipeline.Judges
	var err error
	if c.AnnotatorHelpfulness != "" {
		if helpfulness, err = pipeline.LoadJudges(c.AnnotatorHelpfulness, "", tok, cfg); err != nil {
			return nil, err
		}
	}
	if c.AnnotatorSafety != "" {
		if safety, err = pipeline.LoadJudges("", c.AnnotatorSafety, tok, cfg); err != nil {
			return nil, err
		}
	}
	return pipeline.AskModels(helpfulness, safety, tmpl), nil
}
