package ppo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/run"
	"github.com/tame-rlhf/tame/pkg/train"
)

// Trainer is PPO on one policy. Use New, or Train for a whole run. It is for one goroutine at a time.
type Trainer struct {
	cfg                       Config
	policy, critic, reference *model.Params
	prompts, heldOut          []data.TokenPrompt
	rewarder                  Rewarder

	forward *train.Forward
	step    *train.Step
	batch   *train.Batch

	iteration int
	klCoef    float64
	best      best
	id        run.Identity // of a run with Config.Checkpointing
	saved     int          // the iteration after which it was saved last
	stopped   string       // the reason that OnStep gave

	unreported map[string]float64 // metrics of an iteration whose evaluation is not finished
}

// New prepares PPO. Policy and critic, float32 weights, are trained in place; the reference π_0 is a
// frozen copy of the policy as it is now. The critic has a scalar head and the policy's vocabulary,
// such as a copy of the helpfulness reward model; with Config.SharedTrunk it is nil and the policy has
// the head. heldOut are the prompts of the evaluation, none for no evaluation.
//
// With Config.Checkpointing a run that was stopped resumes after the last iteration that was saved: policy and
// critic, given as they were at its start, take the weights of the checkpoint.
func New(policy, critic *model.Params, prompts, heldOut []data.TokenPrompt, r Rewarder, cfg Config) (*Trainer, error) {
	return newTrainer(context.Background(), policy, critic, prompts, heldOut, r, cfg)
}

// newTrainer is New with a context for reading a checkpoint.
func newTrainer(ctx context.Context, policy, critic *model.Params, prompts, heldOut []data.TokenPrompt, r Rewarder, cfg Config) (*Trainer, error) {
	if err := check(policy, critic, prompts, heldOut, r, cfg); err != nil {
		return nil, err
	}
	t := &Trainer{
		cfg: cfg, policy: policy, critic: critic, reference: policy.Clone(), prompts: prompts, heldOut: heldOut, rewarder: r,
		batch: train.NewBatch(cfg.MicroTokens, cfg.MicroSegments), klCoef: cfg.KLCoef,
	}
	t.phase("compiling")
	var err error
	if t.forward, err = newForward(policy, critic, t.reference, cfg); err != nil {
		return nil, fmt.Errorf("ppo: %w", err)
	}
	if t.step, err = newStep(policy, critic, cfg); err != nil {
		return nil, fmt.Errorf("ppo: %w", err)
	}
	plan := t.plan()
	if err := plan.Memory.Check(cfg.MaxMemory); err != nil {
		return nil, fmt.Errorf("ppo: %w", err)
	}
	t.phase("hashing")
	if err := t.resume(ctx); err != nil {
		return nil, err
	}
	if cfg.OnPlan != nil {
		cfg.OnPlan(plan)
	}
	return t, nil
}

// phase tells what begins.
func (t *Trainer) phase(name string) {
	if t.cfg.OnPhase != nil {
		t.cfg.OnPhase(name, t.iteration, t.cfg.Iterations)
	}
}

// Train runs PPO until Config.Iterations are done or Config.Patience evaluations in a row were no
// better than the best one. At the end the policy holds the weights of the best evaluation, or the
// last ones without held-out prompts. When the context ends, the policy holds those of the last
// optimisation step.
func Train(ctx context.Context, policy, critic *model.Params, prompts, heldOut []data.TokenPrompt, r Rewarder, cfg Config) (Report, error) {
	t, err := newTrainer(ctx, policy, critic, prompts, heldOut, r, cfg)
	if err != nil {
		return Report{}, err
	}
	for !t.Done() {
		if _, err := t.Iterate(ctx); err != nil {
			return t.report(), err
		}
	}
	report := t.Finish()
	if err := train.Diverged(policy, report.Steps); err != nil {
		return report, fmt.Errorf("ppo: %w", err)
	}
	return report, nil
}

// Done says whether all iterations are done or training has stopped early.
func (t *Trainer) Done() bool {
	return t.unreported == nil && (t.iteration >= t.cfg.Iterations || t.best.stopped || t.stopped != "")
}

// Iterate is one iteration: it samples answers, judges them, trains policy and critic on them, and
// saves the run if Config.Checkpointing says so. It returns the metrics that Config.OnStep gets: doc.go has
// their names. When the context ends, the answers that were begun are lost, and nothing else: the run is saved
// as it was before them. Optimisation steps that were begun are finished.
func (t *Trainer) Iterate(ctx context.Context) (map[string]float64, error) {
	if t.unreported == nil { // else the run was stopped between an update and its evaluation
		if err := t.improve(ctx); err != nil {
			return nil, err
		}
	}
	m := t.unreported

	// 9. Look at the held-out prompts, keep the best policy, and report.
	if t.evaluates() && (t.iteration%t.cfg.EvalEvery == 0 || t.iteration == t.cfg.Iterations) {
		clock := newClock()
		if err := t.evaluate(ctx, m); err != nil {
			return nil, errors.Join(err, t.save())
		}
		clock.lap(m, "eval")
	}
	t.unreported = nil
	t.stopped = train.StepInfo{Stage: stage, Step: t.iteration, Total: t.cfg.Iterations, Metrics: m}.Tell(t.cfg.OnStep)
	return m, t.keep()
}

// improve samples answers and trains on them: steps 1 to 8.
func (t *Trainer) improve(ctx context.Context) error {
	clock, m := newClock(), map[string]float64{}
	episodes, err := t.experience(ctx, clock, m)
	if err != nil {
		return errors.Join(err, t.save()) // nothing has changed since the last iteration
	}

	// 7. Train on shuffled mini-batches, for some epochs.
	t.phase("training")
	if err := t.update(context.WithoutCancel(ctx), episodes, m); err != nil {
		return err
	}
	clock.lap(m, "update")

	// 8. Steer the KL coefficient.
	if t.cfg.KLControl == KLAdaptive {
		t.klCoef = AdaptKLCoef(t.klCoef, m["objective/kl"], t.cfg.KLTarget, len(episodes), t.cfg.KLHorizon)
	}
	t.iteration++
	clock.total(m, episodes)
	t.unreported = m
	return nil
}

// experience samples answers and computes what they are trained on: steps 1 to 6.
func (t *Trainer) experience(ctx context.Context, clock *clock, m map[string]float64) ([]*episode, error) {
	cfg := t.cfg
	if t.iteration == 0 && t.evaluates() { // what the start is worth
		if err := t.evaluate(ctx, m); err != nil {
			return nil, err
		}
		m["eval/start_scores"] = m["eval/scores"]
		clock.lap(m, "eval")
	}

	// 1. Sample answers.
	t.phase("sampling")
	draws := cfg.BatchSize / cfg.SamplesPerPrompt
	first := t.iteration * draws
	answers, err := t.sample(ctx, t.draw(first, draws), uint64(first), cfg.SamplesPerPrompt)
	if err != nil {
		return nil, err
	}
	clock.lap(m, "sample")

	// 2. Score them: R_c of section 3.2.3.
	t.phase("scoring")
	scores, raw, bySafety, err := judge(ctx, t.rewarder, answers, cfg)
	if err != nil {
		return nil, err
	}
	if cfg.OnSamples != nil {
		cfg.OnSamples(t.iteration, answers, scores)
	}
	episodes := make([]*episode, len(answers))
	finished := make([]bool, len(answers))
	for i, a := range answers {
		episodes[i] = &episode{Answer: a, extra: scores[i], raw: raw[i], bySafety: bySafety[i]}
		finished[i] = a.Finished
	}
	clock.lap(m, "score")

	// 3. Log-probs of policy and reference, and values, by the graph that trains.
	if err := t.evaluateModels(ctx, episodes); err != nil {
		return nil, err
	}
	clock.lap(m, "forward")

	for i, score := range finalScores(raw, finished, cfg) {
		e := episodes[i]
		e.score = score

		// 4. Rewards: the score at the last token, minus the price of KL at each.
		e.rewards = TokenRewards(score, e.logProbs, e.refLogProbs, nil, t.klCoef)

		// 5. Advantages and returns.
		e.advantages, e.returns = GAE(e.rewards, e.values, nil, cfg.Gamma, cfg.GAELambda)
	}
	rolloutMetrics(m, episodes, t.klCoef)

	// 6. Whiten the advantages, over all answer tokens. The returns are not.
	if cfg.WhitenAdvantages {
		whitenAdvantages(episodes)
	}

	return episodes, nil
}

// draw gives count prompts from the endless sequence of shuffled passes over all prompts, from position first on.
func (t *Trainer) draw(first, count int) []data.TokenPrompt {
	drawn := make([]data.TokenPrompt, count)
	n, epoch := len(t.prompts), -1
	var order []int
	for i := range drawn {
		at := first + i
		if at/n != epoch {
			epoch = at / n
			order = data.Shuffled(n, t.cfg.Seed, epoch)
		}
		drawn[i] = t.prompts[order[at%n]]
	}
	return drawn
}

// update runs the optimisation steps of an iteration and averages their metrics over the mini-batches.
func (t *Trainer) update(ctx context.Context, episodes []*episode, m map[string]float64) error {
	cfg, steps := t.cfg, 0
	items := lengths(episodes)
	sums := map[string]float64{}
epochs:
	for epoch := range cfg.Epochs {
		order := data.Shuffled(len(episodes), ^cfg.Seed, t.iteration*cfg.Epochs+epoch)
		batches, err := data.Batches(items, order, cfg.MiniBatch, cfg.MicroTokens, cfg.MicroSegments)
		if err != nil {
			return fmt.Errorf("ppo: %w", err)
		}
		for _, plan := range batches {
			micro, err := t.batch.Fill(plan, func(r *data.Ragged, i int) error { return episodes[i].add(r, cfg) })
			if err != nil {
				return fmt.Errorf("ppo: %w", err)
			}
			r, err := t.step.Run(ctx, micro)
			if err != nil {
				return fmt.Errorf("ppo: iteration %d: %w", t.iteration, err)
			}
			if steps++; steps == 1 {
				// The first step's policy is the one that sampled, so every ratio is 1 and this is 0 if the bits agree.
				if kl, ok := r.Metrics["policy/approxkl_avg"]; ok {
					m["policy/approxkl_first"] = kl
				}
			}
			collect(sums, r)
			if cfg.MaxKL > 0 && r.Metrics[ApproxKL] > cfg.MaxKL {
				break epochs
			}
		}
	}
	for name, sum := range sums {
		m[name] = sum / float64(steps)
	}
	m["policy/steps"] = float64(steps)
	return nil
}

// collect adds up what a step reports.
func collect(sums map[string]float64, r train.Result) {
	for prefix, numbers := range map[string]map[string]float64{"": r.Metrics, "loss/": {"total": r.Loss}, "grad_norm/": r.GradNorm, "lr/": r.LR} {
		for name, x := range numbers {
			sums[prefix+name] += x
		}
	}
}

// whitenAdvantages removes mean and scale over all tokens of all answers.
func whitenAdvantages(episodes []*episode) {
	var all []float64
	for _, e := range episodes {
		all = append(all, e.advantages...)
	}
	all = Whiten(all)
	for _, e := range episodes {
		n := len(e.advantages)
		e.advantages, all = slices.Clone(all[:n]), all[n:]
	}
}

// clock measures the stages of an iteration.
type clock struct{ start, last time.Time }

func newClock() *clock { now := time.Now(); return &clock{now, now} }

// lap adds the time since the last lap to timing_s/name.
func (c *clock) lap(m map[string]float64, name string) {
	now := time.Now()
	m["timing_s/"+name] += now.Sub(c.last).Seconds()
	c.last = now
}

// total is the time of the iteration and the tokens, prompts included, that it got through in a second.
func (c *clock) total(m map[string]float64, episodes []*episode) {
	tokens := 0
	for _, e := range episodes {
		tokens += len(e.Prompt.Tokens) + len(e.Tokens)
	}
	seconds := time.Since(c.start).Seconds()
	m["timing_s/total"] = seconds
	m["perf/throughput"] = float64(tokens) / seconds
}
