package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tame-rlhf/tame/internal/memory"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/setting"
	"github.com/tame-rlhf/tame/pkg/train"
)

// prepare lets a training loop say what it is going to do, with warnings, and refuse to take more memory than there is. prefix is
// before the keys of its settings, such as "fine_tune.".
func (r *stageRun) prepare(prefix string, maxMemory *int, onPlan *func(train.Plan)) {
	*maxMemory = memory.Available().Bytes
	*onPlan = func(p train.Plan) { r.tellPlan(prefix, p) }
}

func (r *stageRun) tellPlan(prefix string, p train.Plan) {
	r.notef("%v", p)
	for _, w := range p.Warnings() {
		var f *setting.FieldError
		if errors.As(w, &f) {
			r.notef("warning: %s%s%s", prefix, keyOf(f.Path), f.Reason())
		}
	}
}

// keyOf is a path of Go fields as a key of a configuration.
func keyOf(path string) string {
	parts := strings.Split(path, ".")
	for i, part := range parts {
		parts[i] = setting.Key(part)
	}
	return strings.Join(parts, ".")
}

// checkPatterns refuses patterns of weights that match none, before any work. path is the field of the settings, empty for the
// stage's own.
func checkPatterns(path string, s train.Settings, p *model.Params) error {
	check := setting.NewChecks("tame: Config")
	check.Nested(path, s.CheckPatterns(p))
	return check.Err()
}

// checkPolicy refuses a reward model where a language model is wanted: its head says so, and its last layers were trained to score.
func checkPolicy(path string, p *model.Params) error {
	if p != nil && p.HasHead() {
		return fmt.Errorf("%s is a reward model (it has a scalar head), want a language model, such as the one that it was trained from", path)
	}
	return nil
}
