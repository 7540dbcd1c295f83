package ppo

import (
	"context"
	"errors"
	"fmt"
	"math"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
)

// Report is what a run did.
type Report struct {
	// Iterations is the number of iterations done, Steps that of optimisation steps.
	Iterations, Steps int
	// BestIteration is the iteration after which the policy did best on the held-out prompts, 0 for the start. BestScore is its
	// held-out score: the mean of R_c before whitening, with unfinished answers scored as Config.Unfinished says. Without
	// held-out prompts they are the last iteration and NaN.
	BestIteration int
	BestScore     float64
	// Stopped is the reason why the run ended before its last iteration: Config.Patience or that of
	// StepInfo.Stop. Empty for a run that did all iterations.
	Stopped string
}

// best is the best policy so far on the held-out prompts.
type best struct {
	evaluation
	weights   *model.Params // nil before the first evaluation
	iteration int
	unit      scale // of Config.UnfinishedValue in all evaluations, see heldOutScale
	worse     int   // evaluations since
	stopped   bool
}

// evaluation is how a policy does on the held-out prompts.
type evaluation struct {
	score    float64 // mean of R_c before whitening, with unfinished answers scored as Config.Unfinished says
	finished float64 // share of answers that a stop token ended
}

// better says whether a policy did better than another one. One that never ends an answer is worse than any that does,
// whatever the scores: reward models know only whole answers.
func (e evaluation) better(than evaluation) bool {
	if ends := e.finished > 0; ends != (than.finished > 0) {
		return ends
	}
	return e.score > than.score
}

// heldOutScale is the scale of Config.UnfinishedValue among raw held-out scores, from the scores of the start: the value is
// in deviations with WhitenScores. It stays for the run, so that evaluations can be compared.
func heldOutScale(raw []float64, finished []bool, cfg Config) scale {
	if !cfg.WhitenScores {
		return rawScale
	}
	counted := population(raw, finished, cfg)
	if len(counted) < 2 { // one score has no deviation, and the price of not finishing would be nothing
		counted = raw
	}
	return scaleOf(counted)
}

func (t *Trainer) evaluates() bool { return len(t.heldOut) > 0 && t.cfg.EvalEvery > 0 }

// evaluate answers the held-out prompts, reports to m, and keeps the policy if it is the best so far. The
// score is R_c before whitening, because whitening would hide any progress.
func (t *Trainer) evaluate(ctx context.Context, m map[string]float64) error {
	t.phase("evaluating")
	answers, err := t.sample(ctx, t.heldOut, heldOutStreams, 1)
	if err != nil {
		return err
	}
	_, raw, _, err := judge(ctx, t.rewarder, answers, t.cfg)
	if err != nil {
		return err
	}
	finished, ended, empty, length := make([]bool, len(answers)), 0.0, 0.0, 0.0
	for i, a := range answers {
		length += float64(len(a.Tokens))
		if finished[i] = a.Finished; a.Finished {
			ended++
		}
		if a.Empty() {
			empty++
		}
	}
	if t.best.weights == nil {
		t.best.unit = heldOutScale(raw, finished, t.cfg)
	}
	m["eval/raw_scores"], _ = moments(raw)
	score, _ := moments(settle(raw, finished, t.best.unit, t.cfg))
	n := float64(len(answers))
	t.compare(evaluation{score: score, finished: ended / n})
	m["eval/scores"], m["eval/best"] = score, t.best.score
	m["eval/finished"], m["eval/empty"], m["eval/response_length"] = ended/n, empty/n, length/n
	return nil
}

// compare keeps the policy if it did better than the best so far, else it counts for Config.Patience. While the critic warms up
// the policy is still the start, whatever a rewarder with noise says.
func (t *Trainer) compare(now evaluation) {
	b := &t.best
	switch {
	case b.weights == nil:
		b.weights, b.evaluation, b.iteration = t.policy.Clone(), now, t.iteration
	case t.iteration <= t.cfg.CriticWarmup:
	case now.better(b.evaluation):
		copyWeights(b.weights, t.policy)
		b.evaluation, b.iteration, b.worse = now, t.iteration, 0
	default:
		b.worse++
		b.stopped = t.cfg.Patience > 0 && b.worse >= t.cfg.Patience
	}
}

// Finish gives the policy the weights of the best evaluation, if there was one, and reports.
func (t *Trainer) Finish() Report {
	if t.best.weights != nil {
		copyWeights(t.policy, t.best.weights)
	}
	return t.report()
}

func (t *Trainer) report() Report {
	r := Report{Iterations: t.iteration, Steps: t.step.Done(), BestIteration: t.iteration, BestScore: math.NaN(), Stopped: t.stopped}
	if t.best.weights != nil {
		r.BestIteration, r.BestScore = t.best.iteration, t.best.score
		if t.best.stopped && t.stopped == "" && t.iteration < t.cfg.Iterations {
			r.Stopped = fmt.Sprintf("no better evaluation in %d", t.best.worse)
		}
	}
	return r
}

// copyWeights copies float32 weights between two models of one shape.
func copyWeights(dst, src *model.Params) {
	to := dst.All()
	for i, p := range src.All() {
		copy(to[i].Value.Float32s(), p.Value.Float32s())
	}
}

// check refuses what New could not use, all at once.
func check(policy, critic *model.Params, prompts, heldOut []data.TokenPrompt, r Rewarder, cfg Config) error {
	errs := []error{cfg.Validate()}
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf("ppo: "+format, args...)) }
	if r == nil {
		fail("the rewarder is nil")
	}
	if len(prompts) == 0 {
		fail("there are no prompts: %w", data.ErrEmpty)
	}
	if policy == nil {
		fail("the policy is nil")
		return errors.Join(errs...)
	}
	shape, vocab := policy.Config(), policy.Config().VocabSize
	criticContext := shape.MaxSeqLen
	valueModel, what := critic, "critic"
	switch {
	case cfg.SharedTrunk && critic != nil:
		fail("there is a critic, and Config.SharedTrunk wants the policy to be it: pass nil")
	case cfg.SharedTrunk:
		valueModel, what = policy, "policy"
	case critic == nil:
		fail("the critic is nil: pass a model with a scalar head, or set Config.SharedTrunk")
	case critic == policy:
		fail("policy and critic are the same weights: pass a copy, or nil and Config.SharedTrunk")
	case critic.Config().VocabSize != vocab:
		fail("the critic has a vocabulary of %d, the policy of %d: they need one tokenizer", critic.Config().VocabSize, vocab)
	default:
		criticContext = critic.Config().MaxSeqLen
	}
	for _, p := range []*model.Params{policy, valueModel} {
		if p != nil && p.DType() != tensor.Float32 {
			fail("the weights are %v, want float32: convert them with Params.As", p.DType())
		}
	}
	if valueModel != nil && !valueModel.HasHead() {
		fail("the %s has no scalar head for the values: call AddHead(nil)", what)
	}
	for i, id := range cfg.Stop {
		if int(id) < 0 || int(id) >= vocab {
			fail("Config.Stop[%d] is %d, the vocabulary has %d tokens", i, id, vocab)
		}
	}
	for _, list := range []struct {
		name    string
		prompts []data.TokenPrompt
	}{{"prompt", prompts}, {"held-out prompt", heldOut}} {
		const most = 10 // errors of one kind are enough
		found := 0
		for i, p := range list.prompts {
			if err := checkPrompt(p, cfg, shape, criticContext); err != nil {
				fail("%s %d: %w", list.name, i, err)
				if found++; found == most {
					break
				}
			}
		}
	}
	return errors.Join(errs...)
}

// checkPrompt wants a prompt whose answers fit into the contexts and into a micro-batch.
func checkPrompt(p data.TokenPrompt, cfg Config, shape model.Config, criticContext int) error {
	context := shape.MaxSeqLen
	longest := min(len(p.Tokens)+cfg.MaxNewTokens, context)
	switch {
	case len(p.Tokens) == 0:
		return errors.New("it is empty, want at least the begin of sequence")
	case len(p.Tokens) >= context:
		return fmt.Errorf("it has %d tokens, the context of %d leaves no room for an answer: leave it out", len(p.Tokens), context)
	case longest > criticContext:
		return fmt.Errorf("with an answer it may have %d tokens, the critic's context is %d: lower Config.MaxNewTokens", longest, criticContext)
	case longest > cfg.MicroTokens:
		return fmt.Errorf("with an answer it may have %d tokens, Config.MicroTokens is %d: raise it", longest, cfg.MicroTokens)
	}
	return shape.CheckTokens(p.Tokens)
}
