package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/tame-rlhf/tame/examples/internal/lab"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/ppo"
	"github.com/tame-rlhf/tame/pkg/rejection"
	"github.com/tame-rlhf/tame/pkg/sft"
	"github.com/tame-rlhf/tame/pkg/train"
)

// route is a way from a model to a better one, with the judges of the run's last version.
type route struct {
	version         // the model at its end
	from    version // its start
	ppo     *route  // for rejection sampling: the PPO run whose cost it may spend; nil for PPO
}

// Measures of a mark.
const (
	rewardMeasure      = "reward"
	helpfulnessMeasure = "helpfulness"
	unsafeMeasure      = "unsafe"
	klMeasure          = "kl"
)

var measures = []string{rewardMeasure, helpfulnessMeasure, unsafeMeasure, klMeasure}

// mark is a mean over one answer to each validation prompt, sampled at temperature 1 on the way.
type mark struct {
	Iteration int     `arrow:"iteration" json:"iteration"` // of PPO, or of the PPO run that has cost as much
	Tokens    int     `arrow:"tokens" json:"tokens"`       // the cost so far
	Measure   string  `arrow:"measure" json:"measure"`     // combined reward, oracle's helpfulness (harmless prompts) and share of unsafe answers (all prompts), KL to the start in nats
	Mean      float64 `arrow:"mean" json:"mean"`
	Lo        float64 `arrow:"lo" json:"lo"`
	Hi        float64 `arrow:"hi" json:"hi"`
	N         int     `arrow:"n" json:"n"`
}

// Schema is mark v1.
func (mark) Schema() data.Schema { return data.Schema{Name: "mark", Version: 1} }

// climber is a route at work.
type climber struct {
	*bench
	route
	policy, start *model.Params
	tokens        int // the cost so far: tokens of sampled answers, and those that a network was trained on
	marks         []mark
}

// climb goes a route, and returns what was measured on it. The model is kept at the route's path.
func (b *bench) climb(ctx context.Context, r route) ([]mark, error) {
	var err error
	temperature := b.rounds[len(b.rounds)-1].Temperature
	var budget []mark
	s := step{"PPO", b.Iteration.PPO, b.Iteration.PPO.Seed, []string{r.from.path, b.last + "/helpfulness", b.last + "/safety"}}
	if r.ppo != nil {
		if budget, err = b.climb(ctx, *r.ppo); err != nil {
			return nil, err
		}
		budget = slices.DeleteFunc(budget, func(m mark) bool { return m.Measure != rewardMeasure })
		s.stage, s.config = "rejection sampling at the cost of PPO", struct {
			Rejection   rejection.Config
			FineTune    sft.Config
			Temperature float64
			Budget      []mark
		}{b.Iteration.Rejection, b.Iteration.FineTune, temperature, budget}
	}
	return rows(&b.cache, r.path+".arrow", s, func() ([]mark, error) {
		c := &climber{bench: b, route: r}
		if c.policy, err = model.Load(b.path(r.from.path)); err != nil {
			return nil, err
		}
		c.start = c.policy.Clone()
		if err = c.measure(ctx, 0); err != nil {
			return nil, err
		}
		if r.ppo == nil {
			err = c.byPPO(ctx)
		} else {
			err = c.byRejection(ctx, budget[1:], temperature)
		}
		if err != nil {
			return nil, err
		}
		l, err := b.lineage(s)
		if err != nil {
			return nil, err
		}
		return c.marks, b.save(r.path, c.policy, l)
	})
}

// measure adds the marks of an iteration.
func (c *climber) measure(ctx context.Context, iteration int) error {
	sampled, err := c.Sample(ctx, fmt.Sprintf("%s, iteration %d", c.name, iteration), c.policy, c.World.ValidationPrompts(), 1, 1, 9)
	if err != nil {
		return err
	}
	list := lab.Rows(sampled, 1)
	reward, err := lab.Score(ctx, c.judges, list, sampled)
	if err != nil {
		return err
	}
	q, err := c.judgedBy(list)
	if err != nil {
		return err
	}
	kl, err := eval.KL(ctx, c.policy, c.start, asAnswers(list), 1, lab.MicroTokens, lab.MicroSegments)
	if err != nil {
		return err
	}
	for i, m := range []eval.Mean{reward, q.helpfulness.mean(), q.unsafe.mean(), eval.MeanOf(kl)} {
		c.marks = append(c.marks, mark{iteration, c.tokens, measures[i], m.Mean, m.Lo, m.Hi, m.N})
	}
	return nil
}

// byPPO trains the policy as the run does on its last version.
func (c *climber) byPPO(ctx context.Context) error {
	prompts, err := c.Tmpl.EncodePrompts(c.World.RLPrompts())
	if err != nil {
		return err
	}
	heldOut, err := c.Tmpl.EncodePrompts(c.World.ValidationPrompts())
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	cfg := c.Iteration.PPO
	every := max(1, cfg.Iterations/10)
	task := c.Console.Start(c.name, cfg.Iterations)
	cfg.OnSamples = func(_ int, answers []data.Answer, _ []ppo.Score) {
		for _, a := range answers {
			c.tokens += len(a.Tokens) + 2*cfg.Epochs*(len(a.Prompt.Tokens)+len(a.Tokens)) // policy and critic
		}
	}
	cfg.OnStep = func(info train.StepInfo) {
		task.Update(info.Step, lab.Detail(info.Metrics))
		if info.Step%every == 0 || info.Step == cfg.Iterations {
			if err := c.measure(ctx, info.Step); err != nil {
				stop(err)
			}
		}
	}
	report, err := ppo.Train(ctx, c.policy, c.helpfulness.Clone(), prompts, heldOut, c.judges, cfg)
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err == nil {
		c.Note(c.name, c.tokens, task.Done(fmt.Sprintf("best after iteration %d", report.BestIteration)))
	}
	return err
}

// byRejection spends what PPO has spent up to each of its marks on a round of rejection sampling:
// answers to so many prompts that sampling them and fine-tuning on the best ones costs that much.
func (c *climber) byRejection(ctx context.Context, budget []mark, temperature float64) error {
	all, err := c.Tmpl.EncodePrompts(c.World.RLPrompts())
	if err != nil {
		return err
	}
	cfg, tune := c.Iteration.Rejection, c.Iteration.FineTune
	cfg.Temperature = temperature
	batch := min(tune.BatchSize, len(all))
	drawn := 0 // batches of prompts
	for _, until := range budget {
		var examples []data.Example
		training := 0
		for c.tokens+training < until.Tokens {
			cfg.Seed = c.Iteration.Rejection.Seed + uint64(drawn) + 1
			candidates, err := rejection.Sample(ctx, c.policy, batchOf(all, batch, drawn, c.Iteration.Rejection.Seed), c.judges.Reward, cfg)
			if err != nil {
				return err
			}
			drawn++
			for _, sampled := range candidates {
				c.tokens += len(sampled.Tokens)
			}
			for _, best := range rejection.Best(candidates) {
				e := best.Example()
				examples = append(examples, e)
				training += tune.Epochs * len(e.Tokens)
			}
		}
		if len(examples) > 0 {
			if c.policy, err = c.FineTune(ctx, fmt.Sprintf("%s, to iteration %d", c.name, until.Iteration), c.policy, examples, tune); err != nil {
				return err
			}
		}
		c.tokens += training
		if err := c.measure(ctx, until.Iteration); err != nil {
			return err
		}
	}
	return nil
}

// batchOf is the n-th batch of prompts in an endless sequence of shuffled passes; what is left over
// at the end of a pass is not used.
func batchOf(all []data.TokenPrompt, size, n int, seed uint64) []data.TokenPrompt {
	perPass := len(all) / size
	order := data.Shuffled(len(all), seed, n/perPass)
	at := n % perPass * size
	return numbers(order[at:at+size], func(i int) data.TokenPrompt { return all[i] })
}
