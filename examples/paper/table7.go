package main

import (
	"context"
	"fmt"

	"github.com/tame-rlhf/tame/pkg/model"
)

// judge is a reward model with its hits on the test pairs of both sets.
type judge struct {
	name string
	hits [2][]float64
}

// judged lets the run's two newest reward models, and the general one, judge the test pairs.
func (b *bench) judged(ctx context.Context, general bool) (judges []judge, test [2]testPairs, err error) {
	names, models := []string{"helpfulness", "safety"}, []*model.Params{b.helpfulness, b.safety}
	if general {
		third, err := b.General(ctx)
		if err != nil {
			return nil, test, err
		}
		names, models = append(names, "general"), append(models, third)
	}
	judges = make([]judge, len(models))
	for _, set := range sets {
		if test[set], err = b.Test(ctx, set); err != nil {
			return nil, test, err
		}
		for i, p := range models {
			s, err := scores(ctx, p, test[set].pairs)
			if err != nil {
				return nil, test, err
			}
			judges[i].name, judges[i].hits[set] = names[i], hits(s)
		}
	}
	return judges, test, nil
}

// table7: each model is best on its own set. The paper's third models are other people's; ours
// learnt from other people's preferences for both sets.
func table7(ctx context.Context, b *bench, r *report) error {
	judges, test, err := b.judged(ctx, true)
	if err != nil {
		return err
	}
	paper := map[string][2]string{"helpfulness": {"63.2", "62.8"}, "safety": {"56.2", "64.5"}, "general": {"52.8 to 58.6", "43.8 to 58.1"}}
	var curves []curve
	for _, j := range judges {
		c := curve{name: j.name + " model"}
		for _, set := range sets {
			m := clustered(j.hits[set], test[set].questions)
			r.row(fmt.Sprintf("%s model, %v set", j.name, set), paper[j.name][set], m, percent)
			c.y = append(c.y, m)
		}
		curves = append(curves, c)
	}
	r.found(judgeTable7(judges, [2][]string{test[0].questions, test[1].questions}))
	r.note("paper: Meta's test sets, whose answers are closer to each other than a small model's; the third models there are open ones and GPT-4")
	return newPicture(r.Title, "test set", "accuracy").ticks("helpfulness", "safety").curves(curves...).save(r.picture())
}

// judgeTable7 wants each of the first two models, helpfulness and safety, to be better than every
// other model on its own set.
func judgeTable7(judges []judge, prompts [2][]string) (f findings) {
	for own, set := range sets {
		for other := range judges {
			if other == own {
				continue
			}
			f.leadAbove(fmt.Sprintf("on the %v set the %s model is better than the %s model", set, judges[own].name, judges[other].name), gain(judges[own].hits[set], judges[other].hits[set], prompts[set]), percent)
		}
	}
	return f
}
