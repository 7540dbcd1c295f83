package main

import (
	"context"
	"fmt"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/pretrain"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// evaluateSegments is the number of sequences in a micro-batch.
const evaluateSegments = 64

// loss measures a language model.
func (a *evaluateArgs) loss(ctx context.Context, m measured, p *model.Params, tok *tokenizer.Tokenizer, tmpl *data.Template) (measured, error) {
	context := p.Config().MaxSeqLen
	var examples []data.Example
	switch m.Form {
	case "text":
		texts, err := readAll(a.data, "text", readers[string]{partly(func(t data.Text) (string, error) { return t.Text, nil })})
		if err != nil {
			return m, err
		}
		m.Rows = len(texts)
		examples = eval.Windows(pretrain.Encode(tok, texts), context)
	case "conversation", "sample":
		rows, err := readAll(a.data, "messages", sftForms(tmpl, a.lastTurnOnly))
		if err != nil {
			return m, err
		}
		examples, m.TooLong = upTo(context, items(rows), exampleLength)
		m.Rows = len(examples)
	default:
		return m, fmt.Errorf("%s is a language model and %s holds %ss, want conversations, samples or texts: for preferences give a reward model",
			a.model, a.data[0], m.Form)
	}
	if err := a.notEmpty(m); err != nil {
		return m, err
	}
	loss, err := eval.LossOn(ctx, p, examples, max(context, a.judges.MicroTokens), evaluateSegments)
	if err != nil {
		return m, err
	}
	if loss.Tokens == 0 {
		return m, fmt.Errorf("no token of the %d %ss counts", m.Rows, m.Form)
	}
	m.Loss = &lossReport{loss.Tokens, loss.Mean(), loss.Perplexity(), loss.Accuracy()}
	return m, nil
}

// accuracy measures a reward model on pairs.
func (a *evaluateArgs) accuracy(ctx context.Context, m measured, p *model.Params, tmpl *data.Template) (measured, error) {
	pairs, tooLong, err := readPairs(a.data, tmpl, p.Config().MaxSeqLen)
	if err != nil {
		return m, err
	}
	m.Rows, m.TooLong = len(pairs), tooLong
	if err := a.notEmpty(m); err != nil {
		return m, err
	}
	scorer, err := rewardmodel.NewScorer(p, a.judgesConfig(p).MicroTokens, evaluateSegments)
	if err != nil {
		return m, err
	}
	evaluation, err := rewardmodel.Evaluate(ctx, scorer, pairs)
	m.Preferences = &evaluation
	return m, err
}

// rewards measures answers by one or two reward models.
func (a *evaluateArgs) rewards(ctx context.Context, m measured, judges *pipeline.Judges, tmpl *data.Template) (measured, error) {
	rows, err := readAll(a.data, "messages", readers[data.Sample]{
		as(func(s data.Sample) data.Sample { return s }),
		encoded(func(c data.Conversation) (s data.Sample, err error) {
			if last := c.Messages[len(c.Messages)-1]; last.Role != data.Assistant {
				return s, fmt.Errorf("the last message is the %v's, want an answer to score", last.Role)
			}
			var a data.Answer
			a, err = tmpl.EncodeAnswer(c.Messages)
			s.Prompt, s.Tokens = a.Prompt.Tokens, a.Tokens
			return s, err
		}),
	})
	if err != nil {
		return m, err
	}
	fit, tooLong := upTo(judges.Model().Config().MaxSeqLen, rows, func(row data.Sample) int { return len(row.Prompt) + len(row.Tokens) })
	m.Rows, m.TooLong = len(fit), tooLong
	if err := a.notEmpty(m); err != nil {
		return m, err
	}
	if _, err := judges.RateSamples(ctx, fit, func(data.Sample) bool { return false }); err != nil {
		return m, err
	}
	m.Rewards = pipeline.SummariseRewards(fit)
	for i := range m.Rewards {
		if r := &m.Rewards[i]; r.Safety == nil {
			r.Helpfulness = nil // the only model, which is not known to be one of helpfulness
		}
	}
	return m, nil
}

// notEmpty wants something to measure.
func (a *evaluateArgs) notEmpty(m measured) error {
	if m.Rows > 0 {
		return nil
	}
	return fmt.Errorf("nothing is left to measure: of %d rows all are longer than the model's context", m.TooLong)
}
