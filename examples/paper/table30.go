package main

import (
	"context"
	"fmt"

	"github.com/tame-rlhf/tame/pkg/eval"
	"github.com/tame-rlhf/tame/pkg/gatt"
	"github.com/tame-rlhf/tame/pkg/model"
)

// table30: with Ghost Attention a model keeps in later turns what was asked of it in the first. In
// the run it joins from one version on. That version is compared with itself, fine-tuned without
// the examples of Ghost Attention and with them by both rules of the loss. The last version has had
// them in every round.
func table30(ctx context.Context, b *bench, r *report) error {
	v := b.ghostVersion()
	turns := []int{2, 4, 6, 20}
	turns = turns[:min(len(turns), 1+b.MaxTurns/4)] // of short dialogues
	var curves []curve
	measure := func(name string, p *model.Params, paper map[int]string) ([]eval.Mean, error) {
		points, err := b.Kept(ctx, name, p, turns...)
		if err != nil {
			return nil, err
		}
		c := curve{name: name}
		for _, pt := range points {
			r.row(fmt.Sprintf("%s, kept in turn %d", name, pt.Turn), paper[pt.Turn], pt.Kept, percent)
			c.x, c.y = append(c.x, float64(pt.Turn)), append(c.y, pt.Kept)
		}
		curves = append(curves, c)
		return c.y, nil
	}
	paper := [3]map[int]string{{2: "100", 4: "10", 6: "0", 20: "0"}, {2: "100", 4: "100", 6: "100", 20: "100"}}
	var kept [3][]eval.Mean
	for i, a := range arms {
		p, err := b.tunedAs(ctx, a)
		if err != nil {
			return err
		}
		if kept[i], err = measure(fmt.Sprintf("V%d %s", v, a.name), p, paper[i]); err != nil {
			return err
		}
	}
	p, err := model.Load(b.rounds[len(b.rounds)-1].Tuned)
	if err != nil {
		return err
	}
	final, err := measure(fmt.Sprintf("V%d, %s in every version from V%d on", len(b.rounds), ruleOf(b.Iteration.GAtt), v), p, nil)
	if err != nil {
		return err
	}
	r.found(judgeTable30(turns, kept, final))
	r.note("%d dialogues whose questions and combinations of attributes were in no training data, answered at temperature 1; the run uses the rule of %s",
		final[0].N, ruleOf(b.Iteration.GAtt))
	return newPicture(r.Title, "turn", "share of the attributes kept").curves(curves...).save(r.picture())
}

// ruleOf says which answers of a dialogue carry the loss.
func ruleOf(cfg gatt.Config) string {
	if cfg.EveryTurn {
		return "every answer (EveryTurn)"
	}
	return "the last answer (the paper's)"
}

// judgeTable30 takes the share that is kept in each of the turns, without Ghost Attention, with it
// by the paper's rule, and with the loss on every answer, and that of the last version. The paper's
// rule decides.
func judgeTable30(turns []int, kept [3][]eval.Mean, final []eval.Mean) (f findings) {
	last := len(turns) - 1
	without := kept[0]
	f.above(fmt.Sprintf("without, less is kept in turn %d than in turn %d", turns[last], turns[0]), difference(without[0], without[last]), percent)
	for i := 1; i <= last; i++ {
		f.leadAbove(fmt.Sprintf("by the paper's rule more is kept in turn %d than without Ghost Attention", turns[i]), difference(kept[1][i], without[i]), percent)
	}
	for i := 1; i <= last; i++ {
		f.above(fmt.Sprintf("with the loss on every answer more is kept in turn %d than without", turns[i]), difference(kept[2][i], without[i]), percent)
	}
	for _, c := range []struct {
		name string
		kept []eval.Mean
	}{{"by the paper's rule", kept[1]}, {"with the loss on every answer", kept[2]}, {"in the last version", final}} {
		d := difference(c.kept[last], c.kept[0])
		f.claim(fmt.Sprintf("%s turn %d keeps what turn %d does, within ten points", c.name, turns[last], turns[0]), d, percent, unchanged(d, 0.1))
	}
	return f
}
