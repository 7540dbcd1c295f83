package main

import (
	"context"
	"fmt"

	"github.com/tame-rlhf/tame/pkg/eval"
)

// routes are PPO from SFT, from an early version and on the last one, and rejection sampling alone
// from SFT and on the last version, at the cost of PPO.
func (b *bench) routes() (list []route) {
	tuned := func(v int) version {
		return version{fmt.Sprintf("V%d", v), fmt.Sprintf("%s/v%d/tuned", runName, v)}
	}
	sft, last := version{"SFT", startName}, tuned(len(b.rounds))
	starts := []version{sft}
	if len(b.rounds) > 2 {
		starts = append(starts, tuned(2))
	}
	for _, s := range append(starts, last) {
		list = append(list, route{version: version{"PPO on " + s.name, "routes/ppo-" + s.name}, from: s})
	}
	for _, i := range []int{0, len(list) - 1} {
		r := list[i]
		list = append(list, route{version: version{"rejection on " + r.from.name, "routes/rejection-" + r.from.name}, from: r.from, ppo: &r})
	}
	return list
}

// compared is a route's end beside a model that it is compared with, each at the reported
// temperatures.
type compared struct {
	now, before        string
	quality, reference []quality
	lead               bool
}

// climbs compares PPO from several starts with those starts, and with rejection sampling at equal
// cost.
func climbs(ctx context.Context, b *bench, r *report) error {
	list := b.routes()
	known := map[string][]quality{}
	report := func(v version) error {
		if known[v.path] != nil {
			return nil
		}
		q, err := b.qualities(ctx, v)
		known[v.path] = q
		if err == nil {
			r.qualities(v.name, q)
		}
		return err
	}
	marks := map[string][]mark{}
	var pairs []compared
	var err error
	for i, way := range list {
		if marks[way.name], err = b.climb(ctx, way); err != nil {
			return err
		}
		for _, v := range []version{way.from, way.version} {
			if err := report(v); err != nil {
				return err
			}
		}
		onTop := way.ppo == nil && i+1 < len(list) && list[i+1].ppo != nil
		pairs = append(pairs, compared{way.name, way.from.name, known[way.path], known[way.from.path], onTop})
		if way.ppo != nil {
			pairs = append(pairs, compared{way.ppo.name, way.name, known[way.ppo.path], known[way.path], false})
		}
	}
	r.found(judgePPO(pairs))
	r.note("judges are the reward models of the last version; curves are of one answer to each validation prompt at temperature 1, the table of %d answers to each test prompt", each)
	r.note("cost is counted in tokens: of sampled answers, and of prompts and answers that a network is trained on, policy and critic each; scoring is not counted. "+
		"Rejection sampling spends as much in rounds of %d answers to a prompt and SFT on the best", b.Iteration.Rejection.Samples)
	for _, way := range list {
		end := marks[way.name][len(marks[way.name])-1]
		r.note("%s: %d tokens; KL %.3f nats in the end", way.name, end.Tokens, end.Mean)
	}
	if err := r.writeJSON("-curves.json", marks); err != nil {
		return err
	}
	return r.drawMarks(list, marks)
}

// drawMarks draws a picture of each measure.
func (r *report) drawMarks(list []route, marks map[string][]mark) error {
	labels := []string{"combined reward (logit)", "helpfulness, harmless prompts", "unsafe answers, all prompts", "KL to the start (nats)"}
	for i, measure := range measures {
		pic := newPicture(r.Title, "iteration of PPO, or as much cost", labels[i])
		for _, way := range list {
			c := curve{name: way.name}
			for _, m := range marks[way.name] {
				if m.Measure == measure {
					c.x, c.y = append(c.x, float64(m.Iteration)), append(c.y, eval.Mean{Mean: m.Mean, Lo: m.Lo, Hi: m.Hi, N: m.N})
				}
			}
			pic.curves(c)
		}
		path := r.picture()
		if measure != rewardMeasure {
			path = r.path("-" + measure + ".png")
		}
		if err := pic.save(path); err != nil {
			return err
		}
	}
	return nil
}

// judgePPO takes models with those that they are compared with. A model improves if it is more
// helpful or says less that is unsafe, over all prompts, at one of the two temperatures, by
// intervals that hold together. The direction is that of PPO on top of the last version.
func judgePPO(pairs []compared) (f findings) {
	const first = 2 // axes: helpfulness and unsafe answers
	for _, p := range pairs {
		steps := betterments(p.quality, p.reference, first)
		if p.lead {
			for _, s := range steps {
				f.claim(fmt.Sprintf("%s is better than %s: %v", p.now, p.before, s), s.by, percent, positive(s.by))
			}
		}
		add := f.claim
		if p.lead {
			add = f.lead
		}
		top, v := improves(steps)
		add(fmt.Sprintf("%s improves on %s in helpfulness or unsafe answers (number: where it is clearest)", p.now, p.before), top.by, percent, v)
	}
	return f
}
