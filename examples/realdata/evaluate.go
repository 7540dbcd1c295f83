package main

import (
	"context"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/ppo"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
	"github.com/tame-rlhf/tame/pkg/sft"
	"github.com/tame-rlhf/tame/pkg/train"
)

// testRewardModels measures each model on each group of pairs held out.
func (l *lab) testRewardModels(ctx context.Context, models []version) ([]accuracyRow, error) {
	groups := map[string][]rewardmodel.Pair{}
	for _, c := range l.corpus.heldOut.pairs {
		groups[c.group] = append(groups[c.group], c.pair)
	}
	var rows []accuracyRow
	for _, group := range []string{groupPandaLM, groupNatural, groupAdversarial, groupProcessed, groupHarmless} {
		pairs := groups[group]
		if len(pairs) == 0 {
			continue
		}
		longer, err := longerWins(pairs)
		if err != nil {
			return nil, err
		}
		row := accuracyRow{Group: group, Pairs: len(pairs), Longer: longer, Models: map[string]accuracies{}}
		for _, m := range models {
			scorer, err := rewardmodel.NewScorer(m.model, microTokens, microSegments)
			if err != nil {
				return nil, err
			}
			e, err := rewardmodel.Evaluate(ctx, scorer, pairs)
			if err != nil {
				return nil, err
			}
			a := accuracies{All: meanOf(e.Accuracy), ByRating: map[string]eval.Mean{}}
			for rating, count := range e.ByRating {
				a.ByRating[rating.String()] = meanOf(count)
			}
			row.Models[m.name] = a
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// longerWins is how often the chosen answer is the longer one: what a model that only counts tokens would reach.
func longerWins(pairs []rewardmodel.Pair) (eval.Mean, error) {
	scores := make([]float64, 0, 2*len(pairs))
	for _, p := range pairs {
		scores = append(scores, float64(len(p.Chosen)), float64(len(p.Rejected)))
	}
	e, err := rewardmodel.Judge(pairs, scores)
	return meanOf(e.Accuracy), err
}

func meanOf(c rewardmodel.Count) eval.Mean {
	lo, hi := c.Interval()
	return eval.Mean{Mean: c.Rate(), Lo: lo, Hi: hi, N: c.N}
}

// evaluate samples an answer of each version to each test prompt and measures it. Gains and divergences are against
// versions[reference].
func (l *lab) evaluate(ctx context.Context, versions []version, reference int, j *judges) ([]versionRow, error) {
	rows := make([]versionRow, len(versions))
	rewards := make([][]float64, len(versions))
	for i, v := range versions {
		answers, err := l.sample(ctx, "test answers of "+v.name, v.model, l.test)
		if err != nil {
			return nil, err
		}
		spans := make([]eval.Answer, len(answers))
		asked := make([]ppo.Answer, len(answers))
		var lengths []float64
		var finished []bool
		for k, a := range answers {
			spans[k] = eval.Answer{Prompt: a.prompt.tokens, Tokens: a.sample.Tokens}
			asked[k] = ppo.Answer{Prompt: ppo.Prompt{Tokens: a.prompt.tokens, Safety: a.prompt.Safety}, Tokens: a.sample.Tokens}
			lengths = append(lengths, float64(len(a.sample.Tokens)))
			finished = append(finished, a.sample.Finished)
		}
		kl, err := eval.KL(ctx, v.model, versions[reference].model, spans, 1, microTokens, microSegments)
		if err != nil {
			return nil, err
		}
		loss, err := nll(ctx, v.model, l.corpus.heldOut.examples())
		if err != nil {
			return nil, err
		}
		if rewards[i], err = j.combined(ctx, asked); err != nil {
			return nil, err
		}
		rows[i] = versionRow{
			Version: v.name, Loss: eval.MeanOf(loss), KL: eval.MeanOf(kl),
			Length: eval.MeanOf(lengths), Finished: eval.ShareOf(finished), Example: l.example(answers),
		}
		rows[i].Reward, rows[i].Helpful, rows[i].Safe = l.byTag(rewards[i])
	}
	for i := range rows {
		gains := make([]float64, len(l.test))
		for k := range gains {
			gains[k] = rewards[i][k] - rewards[reference][k]
		}
		rows[i].Gain, rows[i].GainHelpful, rows[i].GainSafe = l.byTag(gains)
	}
	return rows, nil
}

// byTag averages what belongs to the test prompts: all, those without and those with the safety tag.
func (l *lab) byTag(values []float64) (all, helpful, safe eval.Mean) {
	var split [2][]float64
	for i, p := range l.test {
		k := 0
		if p.Safety {
			k = 1
		}
		split[k] = append(split[k], values[i])
	}
	return eval.MeanOf(values), eval.MeanOf(split[0]), eval.MeanOf(split[1])
}

// example is the answer to the shortest test prompt.
func (l *lab) example(answers []answer) string {
	shortest := answers[0]
	for _, a := range answers {
		if len(a.prompt.tokens) < len(shortest.prompt.tokens) {
			shortest = a
		}
	}
	text, err := l.tok.Decode(shortest.sample.Tokens)
	if err != nil {
		return err.Error()
	}
	return text
}

// nll is the mean negative log-likelihood of the answers' tokens of each example, in nats.
func nll(ctx context.Context, p *model.Params, examples []sft.Example) ([]float64, error) {
	in := model.NewInputs(tensor.Float32, microTokens, microSegments)
	trunk, err := model.NewTrunk(in, p, "model")
	if err != nil {
		return nil, err
	}
	logProbs, err := trunk.LogProbs()
	if err != nil {
		return nil, err
	}
	forward, err := train.NewForward(in, []*gorgonia.Node{logProbs}, []*model.Trunk{trunk})
	if err != nil {
		return nil, err
	}
	lengths := make([]int, len(examples))
	for i, e := range examples {
		lengths[i] = len(e.Tokens)
	}
	plan, err := data.Pack(lengths, microTokens, microSegments)
	if err != nil {
		return nil, err
	}
	batch := train.NewBatch(microTokens, microSegments)
	losses := make([]float64, len(examples))
	for _, items := range plan {
		micro, err := batch.Fill([][]int{items}, func(r *data.Ragged, i int) error {
			_, err := r.Append(examples[i].Tokens, examples[i].Counted)
			return err
		})
		if err != nil {
			return nil, err
		}
		out, err := forward.Run(ctx, micro[0])
		if err != nil {
			return nil, err
		}
		for k, i := range items {
			lo, hi := micro[0].Span(k)
			sum, count := 0.0, 0.0
			for slot := lo; slot < hi; slot++ {
				sum -= float64(out[0][slot]) // 0 where it does not count
				count += float64(micro[0].Mask[slot])
			}
			losses[i] = sum / count
		}
	}
	return losses, nil
}
