package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/tame-rlhf/tame/examples/internal/lab"
	"github.com/tame-rlhf/tame/internal/console"
	"github.com/tame-rlhf/tame/pkg/curate"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// bench holds what the stages share.
type bench struct {
	settings
	lab.Bench
	corpus *corpus

	rl         []prompt // that answers to are learned from
	validation []prompt // that decide on a temperature and on the best iteration of PPO
	test       []prompt // of the report
	noRoom     int      // prompts too long for an answer

	start time.Time
}

// newLab reads the model and the data.
func newLab(dir string, s settings, c *console.Console) (*bench, *model.Params, error) {
	if err := checkDir(dir); err != nil {
		return nil, nil, err
	}
	weights := filepath.Join(dir, "stories260k", "stories260K.bin")
	base, err := model.Load(weights)
	if err != nil {
		return nil, nil, err
	}
	l := &bench{settings: s, Bench: lab.Bench{Console: c, Longest: s.maxAnswer, Detail: detail}, start: time.Now()}
	vocabulary := filepath.Join(dir, "stories260k", "tok512.bin")
	if l.Tok, err = tokenizer.Load(vocabulary); err != nil {
		return nil, nil, err
	}
	if l.Tok.VocabSize() != base.Config().VocabSize {
		return nil, nil, fmt.Errorf("%s has %d pieces, the model in %s wants %d", vocabulary, l.Tok.VocabSize(), weights, base.Config().VocabSize)
	}
	if l.Tmpl, err = data.Llama2Template(l.Tok); err != nil {
		return nil, nil, err
	}
	return l, base, l.loadCorpus(dir, base.Config().MaxSeqLen)
}

// loadCorpus reads the files and picks the prompts.
func (l *bench) loadCorpus(dir string, context int) error {
	start := time.Now()
	var err error
	if l.corpus, err = load(dir, l.Tmpl, context, l.heldOut); err != nil {
		return err
	}
	train, noRoom, err := l.corpus.train.prompts(l.Tmpl, context, l.maxAnswer)
	if err != nil {
		return err
	}
	heldOut, noRoomToo, err := l.corpus.heldOut.prompts(l.Tmpl, context, l.maxAnswer)
	if err != nil {
		return err
	}
	l.noRoom = noRoom + noRoomToo
	l.rl = pick(train, l.rlPrompts)
	if l.validation, l.test, err = curate.Split(heldOut, 0.5, splitSeed+1); err != nil {
		return err
	}
	if l.few > 0 {
		l.corpus.train, l.corpus.heldOut = l.corpus.train.first(l.fewDemos, l.few), l.corpus.heldOut.first(l.few, l.few)
		l.validation, l.test = pick(l.validation, l.few), pick(l.test, l.few)
	}
	l.Note("reading", 0, time.Since(start))
	return nil
}

// pick draws at most n prompts.
func pick(prompts []prompt, n int) []prompt {
	var picked []prompt
	for _, i := range data.Shuffled(len(prompts), splitSeed, 0)[:min(n, len(prompts))] {
		picked = append(picked, prompts[i])
	}
	return picked
}

// detail is what there is to tell of a step in a few words.
func detail(metrics map[string]float64) (text string) {
	if loss, ok := metrics["loss"]; ok {
		text = fmt.Sprintf("loss %.3f", loss)
	}
	if reward, ok := metrics["objective/scores"]; ok {
		text = fmt.Sprintf("reward %.3f  KL %.2f", reward, metrics["objective/kl"])
	}
	return text
}

// sample gives one answer at temperature 1 to each prompt.
func (l *bench) sample(ctx context.Context, name string, p *model.Params, prompts []prompt) ([]data.Answer, error) {
	return l.Answers(ctx, name, p, tokenPrompts(prompts), 1, 1, l.seed+7)
}
