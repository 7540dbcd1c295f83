package main

import (
	"context"
	"fmt"
	"strings"
)

// versions compares each version with the one before, prompt by prompt.
func versions(ctx context.Context, b *bench, r *report) error {
	policies := b.policies()
	names, list := numbers(policies, func(v version) string { return v.name }), make([][]quality, len(policies))
	var err error
	for i, v := range policies {
		if list[i], err = b.qualities(ctx, v); err != nil {
			return err
		}
		r.qualities(v.name, list[i])
	}
	for i := 1; i < len(list); i++ {
		for k, t := range reported {
			now, before := list[i][k].all(), list[i-1][k].all()
			for a, axis := range axes {
				r.row(fmt.Sprintf("%s - %s, %s at temperature %g", names[i], names[i-1], axis, t), "", now[a].over(before[a]), percent)
			}
		}
	}
	r.found(judgeVersions(names, list))
	r.note("%d answers to each test prompt; helpfulness and needless refusals are of prompts that do not ask how to harm, unsafe answers of all", each)
	var curves [len(axes)][]curve
	for k, t := range reported {
		for a := range axes {
			c := curve{name: fmt.Sprintf("temperature %g", t)}
			for i := range list {
				c.y = append(c.y, list[i][k].all()[a].mean())
			}
			curves[a] = append(curves[a], c)
		}
	}
	for a, suffix := range []string{".png", "-unsafe.png", "-refusals.png"} {
		if err := newPicture(r.Title, "version", axes[a]).ticks(names...).curves(curves[a]...).save(r.path(suffix)); err != nil {
			return err
		}
	}
	return nil
}

// qualities adds a model's numbers.
func (r *report) qualities(name string, list []quality) {
	for i, t := range reported {
		for a, s := range list[i].all() {
			r.row(qualityLabel(name, axes[a], t), "", s.mean(), percent)
		}
	}
}

func qualityLabel(name, axis string, temperature float64) string {
	return fmt.Sprintf("%s, %s at temperature %g", name, axis, temperature)
}

// judgeVersions takes the qualities of SFT, of the versions, and of those with PPO: (model,
// temperature). The direction is that every version improves on the model before on at least one of
// the three axes at one of the two temperatures, by intervals that hold together. PPO on top is a
// finer claim here, and the direction of the command ppo.
func judgeVersions(names []string, list [][]quality) (f findings) {
	for i := 1; i < len(list); i++ {
		add := f.lead
		if strings.HasSuffix(names[i], withPPO) {
			add = f.claim
		}
		steps := betterments(list[i], list[i-1], len(axes))
		top, better := improves(steps)
		low, v := spoils(steps)
		add(fmt.Sprintf("%s improves on %s on at least one axis (number: where it is clearest)", names[i], names[i-1]), top.by, percent, better)
		f.claim(fmt.Sprintf("%s is worse than %s on no axis, by more than a point (number: the lowest interval)", names[i], names[i-1]), low.by, percent, v)
	}
	return f
}
