package pipeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/distill"
	"github.com/tame-rlhf/tame/pkg/gatt"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// Data is what an iteration works on.
type Data struct {
	// Start is the chat model after SFT, with float32 weights. It is not changed.
	Start *model.Params
	// Tokenizer and Template read and write its text.
	Tokenizer *tokenizer.Tokenizer
	Template  *data.Template

	// Helpfulness and Safety are the prompts on which preferences are collected. Every version takes its own share of them, each prompt once.
	Helpfulness, Safety []data.Prompt
	// Prompts are what rejection sampling and PPO answer; those with the safety tag are judged by the safety model.
	Prompts []data.Prompt
	// Validation are prompts on which the temperature is chosen and PPO is watched.
	Validation []data.Prompt
	// Open are preferences of other people that go into the mix of both reward models (section
	// 3.2.2), from V1 on. There may be none. Those of the safety set count as safety data: the
	// safety model is trained on all of them. Those that ask a held-out question (Config.HeldOut)
	// are left out.
	Open []data.Preference

	// Dialogs are instructions with questions of several turns, for Ghost Attention. There may be none.
	Dialogs []gatt.Dialog
	// Adversarial are prompts for safety context distillation, PrePrompts what is put before them. There may be none. PrePrompts, being code, is
	// not part of what identifies a run.
	Adversarial []data.Prompt
	PrePrompts  distill.PrePrompts

	// Annotate asks the annotators.
	Annotate Annotate
	// Lineage says where Start and the prompts come from.
	Lineage data.Lineage
}

// Comparison is what an annotator is shown: two different answers to a prompt. Which of the two
// models' answers comes first is decided by a hash of the prompt's ID, the version, the seed and
// the number of the pair among those of the prompt.
type Comparison struct {
	Prompt        data.Prompt
	First, Second string
	Set           data.Set // what to judge
}

// Annotate asks annotators: people, a program, or a simulation. It gives as many preferences as comparisons, in their order; one is nil
// where there is none to keep. The chosen text of a preference is First or Second. Only a part that is not kept yet is asked again after a stop.
type Annotate func(ctx context.Context, list []Comparison) ([]*data.Preference, error)

func (d Data) validate() error {
	var errs []error
	missing := func(absent bool, what string) {
		if absent {
			errs = append(errs, fmt.Errorf("pipeline: Data.%s is missing", what))
		}
	}
	missing(d.Start == nil, "Start")
	missing(d.Tokenizer == nil, "Tokenizer")
	missing(d.Template == nil, "Template")
	missing(d.Annotate == nil, "Annotate")
	missing(len(d.Helpfulness) == 0, "Helpfulness")
	missing(len(d.Safety) == 0, "Safety")
	missing(len(d.Prompts) == 0, "Prompts")
	missing(len(d.Validation) == 0, "Validation")
	missing(len(d.Adversarial) > 0 && d.PrePrompts == nil, "PrePrompts")
	return errors.Join(errs...)
}

// SampledPreference is a preference between two sampled answers: a data.Preference with the ids that were sampled. Tools that read
// preferences read its files too.
type SampledPreference struct {
	Messages     []data.Message `arrow:"messages"`
	Chosen       string         `arrow:"chosen"`
	Rejected     string         `arrow:"rejected"`
	Rating       data.Rating    `arrow:"rating"`
	ChosenSafe   data.Safety    `arrow:"chosen_safe"`
	RejectedSafe data.Safety    `arrow:"rejected_safe"`
	Set          data.Set       `arrow:"set"`
	PromptIDs    []int32        `arrow:"prompt_ids"`   // the prompt as sampled from
	ChosenIDs    []int32        `arrow:"chosen_ids"`   // the answer's ids, with EOS if it was finished
	RejectedIDs  []int32        `arrow:"rejected_ids"` // likewise
	Version      int            `arrow:"version"`      // for which they were collected
}

// Schema is preference v1, with more columns.
func (SampledPreference) Schema() data.Schema { return data.Preference{}.Schema() }

// preference is the row without the ids.
func (p SampledPreference) preference() data.Preference {
	return data.Preference{
		Messages: p.Messages, Chosen: p.Chosen, Rejected: p.Rejected,
		Rating: p.Rating, ChosenSafe: p.ChosenSafe, RejectedSafe: p.RejectedSafe, Set: p.Set,
	}
}

// Validate wants what a data.Preference has to have.
func (p SampledPreference) Validate() error { return p.preference().Validate() }

// Question is the first message of the user, as curate.Split asks for it.
func (p SampledPreference) Question() string { return p.preference().Question() }

// Parts are those of the data.Preference.
func (p SampledPreference) Parts() []data.Part { return p.preference().Parts() }

// Dialogs are those of the data.Preference.
func (p SampledPreference) Dialogs() (chosen, rejected []data.Message) {
	return p.preference().Dialogs()
}

// Pair is the preference as ids.
func (p SampledPreference) Pair() data.Pair {
	return data.Pair{
		Prompt: p.PromptIDs, Chosen: p.ChosenIDs, Rejected: p.RejectedIDs,
		Rating: p.Rating, ChosenSafe: p.ChosenSafe, RejectedSafe: p.RejectedSafe, Set: p.Set,
	}
}
