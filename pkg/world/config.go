package world

import (
	"errors"
	"fmt"
	"math"

	"github.com/tame-rlhf/tame/pkg/world/internal/lang"
)

// Config sets the size of the world and the quality of its texts. DefaultConfig fills it; no field is ever rewritten.
type Config struct {
	Seed     uint64 // decides names, facts and all texts. Default 1.
	Entities int    // how many entities there are, 1 to 1000. Default 48.

	// Shares of all (entity, question) pairs that go to each split; they add up to 1. Default 0.30, 0.25, 0.20, 0.08, 0.17.
	Splits Splits

	// Number of prompts of each kind. The defaults of these and of the qualities below are in
	// DefaultConfig.
	SFT         Counts // demonstrations; without covert ones the pretraining text has no covert questions either
	Helpfulness Counts // preferences of the helpfulness set
	Safety      Counts // preferences of the safety set
	RL          Counts // rejection sampling and PPO
	Validation  Counts // choice among versions
	Test        Counts // final report

	Demonstrations Quality // what demonstrations are like
	Web            Quality // what answers in the pretraining text are like

	// What demonstrations under a generic and under a targeted safety pre-prompt are like (PrePromptDemonstrations).
	PrePrompted, PrePromptedTargeted Quality

	Dialogs Dialogs // what demonstrations of several turns are like (DialogDemonstrations)

	Pretraining Pretraining
}

// Splits are the shares of (entity, question) pairs.
type Splits struct{ SFT, Preference, RL, Validation, Test float64 }

// Counts are numbers of prompts by kind (oracle.Kind describes the kinds).
type Counts struct{ Normal, Borderline, Hazard, Covert int }

// Total returns the number of prompts of all kinds.
func (c Counts) Total() int { return c.Normal + c.Borderline + c.Hazard + c.Covert }

func (c Counts) of(k lang.Kind) int { return [...]int{c.Normal, c.Borderline, c.Hazard, c.Covert}[k] }

// Quality says how good answers are, by the kind of the prompt.
type Quality struct{ Normal, Borderline, Hazard, Covert Mix }

func (q Quality) of(k lang.Kind) Mix { return [...]Mix{q.Normal, q.Borderline, q.Hazard, q.Covert}[k] }

// Mix is the share of each sort of answer; the shares add up to 1. To a hazard or covert prompt the
// first four comply, so they are unsafe.
type Mix struct {
	Right   float64 // every fact asked for and nothing else
	False   float64 // one fact is wrong
	Partial float64 // one fact is missing; where one was asked for, another is added
	Long    float64 // right, among empty words or with a fact not asked for
	Evasive float64 // says nothing
	Refuse  float64 // declines
}

func (m Mix) shares() []float64 {
	return []float64{m.Right, m.False, m.Partial, m.Long, m.Evasive, m.Refuse}
}

// Pretraining sets the text that holds the facts. The shares are of documents and add up to 1.
type Pretraining struct {
	Words     int     // length of the text in words, within one document. Default 1,200,000.
	Pages     float64 // plain true statements in several phrasings. Default 0.45.
	Threads   float64 // questions with answers of Web quality, some with a reader's comment. Default 0.40.
	Checks    float64 // "is it true that ... ? no , ...". Default 0.15.
	Commented float64 // share of a thread's answers with a comment. Default 0.5.
	MaxWords  int     // a document ends before it is longer than this, at least 60. Default 100, for a context of 128.
}

// Dialogs says how people demonstrate dialogues of several turns: they follow an instruction in the turn that gives it, and forget it
// some turns later.
type Dialogs struct {
	// Instructed bounds how often a turn gives an instruction: each dialogue has a chance of its own, drawn evenly from 0 to Instructed.
	// Default 1.
	Instructed float64
	// Sure is how many turns an instruction is followed for sure, the one that gives it included: at least 1. Default 2.
	Sure int
	// Keep is the chance, in each turn after those, to go on following an instruction that was followed in the turn before. Default 0.3.
	Keep float64
	// Answers are what the answers are like, apart from the instruction's signs. A long one would not leave room for 20 turns in 512 tokens.
	// Default 0.60 right, 0.10 false, 0.15 partial, 0.15 evasive.
	Answers Mix
}

// DefaultConfig returns the world that quickstart runs in.
func DefaultConfig() Config {
	web := Mix{Right: 0.55, False: 0.15, Partial: 0.08, Long: 0.10, Evasive: 0.12}
	demo := Mix{Right: 0.34, False: 0.08, Partial: 0.20, Long: 0.20, Evasive: 0.18}
	cautious := Mix{Right: 0.24, False: 0.05, Partial: 0.12, Long: 0.12, Evasive: 0.12, Refuse: 0.35}
	return Config{
		Seed:        1,
		Entities:    48,
		Splits:      Splits{SFT: 0.30, Preference: 0.25, RL: 0.20, Validation: 0.08, Test: 0.17},
		SFT:         Counts{1600, 500, 500, 400},
		Helpfulness: Counts{1900, 450, 450, 200},
		Safety:      Counts{300, 400, 450, 350},
		RL:          Counts{700, 350, 350, 280},
		Validation:  Counts{120, 65, 65, 65},
		Test:        Counts{400, 200, 200, 200},
		Demonstrations: Quality{
			Normal:     demo,
			Borderline: Mix{Right: 0.30, False: 0.06, Partial: 0.14, Long: 0.15, Evasive: 0.12, Refuse: 0.23},
			Hazard:     Mix{Right: 0.32, False: 0.06, Long: 0.04, Evasive: 0.08, Refuse: 0.50},
			Covert:     Mix{Right: 0.66, False: 0.10, Long: 0.08, Evasive: 0.08, Refuse: 0.08},
		},
		Web: Quality{
			Normal:     web,
			Borderline: web,
			Hazard:     Mix{Right: 0.55, False: 0.10, Long: 0.05, Evasive: 0.10, Refuse: 0.20},
			Covert:     Mix{Right: 0.70, False: 0.10, Long: 0.05, Evasive: 0.08, Refuse: 0.07},
		},
		PrePrompted: Quality{
			Normal: demo, Borderline: cautious,
			Hazard: Mix{Right: 0.07, False: 0.01, Long: 0.01, Evasive: 0.06, Refuse: 0.85},
		},
		PrePromptedTargeted: Quality{
			Normal: demo, Borderline: cautious,
			Hazard: Mix{Right: 0.02, Evasive: 0.03, Refuse: 0.95},
		},
		Dialogs:     Dialogs{Instructed: 1, Sure: 2, Keep: 0.3, Answers: Mix{Right: 0.60, False: 0.10, Partial: 0.15, Evasive: 0.15}},
		Pretraining: Pretraining{Words: 1_200_000, Pages: 0.45, Threads: 0.40, Checks: 0.15, Commented: 0.5, MaxWords: 100},
	}
}

// Validate reports everything that is wrong with the config.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("world: "+format, args...)) }
	if c.Entities < 1 || c.Entities > lang.MaxEntities {
		bad("Entities is %d, want 1 to %d", c.Entities, lang.MaxEntities)
	}
	shares := func(name string, list ...float64) {
		sum := 0.0
		for _, x := range list {
			if !(x >= 0) {
				bad("%s has a share of %v, want 0 or more", name, x)
			}
			sum += x
		}
		if !(math.Abs(sum-1) < 1e-9) {
			bad("the shares of %s add up to %v, want 1", name, sum)
		}
	}
	shares("Splits", c.Splits.list()...)
	for k := range lang.Kind(lang.Kinds) {
		shares(fmt.Sprintf("Demonstrations (%v)", k), c.Demonstrations.of(k).shares()...)
		shares(fmt.Sprintf("Web (%v)", k), c.Web.of(k).shares()...)
		if k == lang.Covert {
			continue
		}
		shares(fmt.Sprintf("PrePrompted (%v)", k), c.PrePrompted.of(k).shares()...)
		shares(fmt.Sprintf("PrePromptedTargeted (%v)", k), c.PrePromptedTargeted.of(k).shares()...)
	}
	if c.PrePrompted.Covert != (Mix{}) || c.PrePromptedTargeted.Covert != (Mix{}) {
		bad("PrePrompted.Covert or PrePromptedTargeted.Covert is set, want none: no demonstration with a pre-prompt asks a covert prompt")
	}
	shares("Dialogs.Answers", c.Dialogs.Answers.shares()...)
	if d := c.Dialogs; !(d.Instructed >= 0 && d.Instructed <= 1 && d.Keep >= 0 && d.Keep <= 1) {
		bad("Dialogs.Instructed is %v and Keep %v, want 0 to 1", d.Instructed, d.Keep)
	}
	if c.Dialogs.Sure < 1 {
		bad("Dialogs.Sure is %d, want at least 1: the turn that gives an instruction", c.Dialogs.Sure)
	}
	p := c.Pretraining
	shares("Pretraining", p.Pages, p.Threads, p.Checks)
	if !(p.Commented >= 0 && p.Commented <= 1) {
		bad("Pretraining.Commented is %v, want 0 to 1", p.Commented)
	}
	if p.Words < 0 {
		bad("Pretraining.Words is %d, want 0 or more", p.Words)
	}
	if p.MaxWords < 60 {
		bad("Pretraining.MaxWords is %d, want at least 60, which every single post fits", p.MaxWords)
	}
	for u, n := range c.counts() {
		if n.Normal < 0 || n.Borderline < 0 || n.Hazard < 0 || n.Covert < 0 {
			bad("%v has negative counts %+v", use(u), n)
		}
	}
	return errors.Join(errs...)
}

func (c Config) counts() [numUses]Counts {
	return [...]Counts{c.SFT, c.Helpfulness, c.Safety, c.RL, c.Validation, c.Test}
}

func (s Splits) list() []float64 { return []float64{s.SFT, s.Preference, s.RL, s.Validation, s.Test} }
