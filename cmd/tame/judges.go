package main

import "errors"

// judgesConfig are the reward models that judge answers.
type judgesConfig struct {
	// Helpfulness and Safety are folders of reward models. With both, an answer is judged by its safety if its prompt is tagged as a safety
	// prompt or its safety is below safety_threshold, else by its helpfulness (section 3.2.3). With one, that one judges all answers.
	Helpfulness string `conf:"input"`
	Safety      string `conf:"input"`
}

func (c judgesConfig) check() error {
	if c.Helpfulness == "" && c.Safety == "" {
		return errors.New("helpfulness and safety are both empty, want at least one reward model")
	}
	return nil
}
