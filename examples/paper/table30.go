package main

import (
	"context"
	"fmt"

	"github.com/tame-rlhf/tame/pkg/model"
)

// table30: with Ghost Attention a model keeps in later turns what was asked of it in the first. In the run it joins from one version on (the paper: from
// V4, ours: from V1); the baseline is the model before. The last version has had it in every round.
func table30(ctx context.Context, b *bench, r *report) error {
	rounds, err := b.Versions(ctx)
	if err != nil {
		return err
	}
	from := min(b.Iteration.GAttFrom, len(rounds)) // V1 is 1
	turns := []int{2, 4, 6, 20}
	turns = turns[:min(len(turns), 1+b.MaxTurns/4)] // of short dialogues
	paper := [3]map[int]string{{2: "100", 4: "10", 6: "0", 20: "0"}, {2: "100", 4: "100", 6: "100", 20: "100"}}
	var curves []curve
	for i, v := range []int{from - 1, from, len(rounds)} {
		name := []string{"before", "with Ghost Attention", "with Ghost Attention all along"}[i]
		number, path := "SFT", b.path(startName)
		if v > 0 {
			number, path = fmt.Sprintf("V%d", v), rounds[v-1].Tuned
		}
		p, err := model.Load(path)
		if err != nil {
			return err
		}
		name = number + ", " + name
		points, err := b.Kept(ctx, name, p, turns...)
		if err != nil {
			return err
		}
		c := curve{name: name}
		for _, pt := range points {
			r.row(fmt.Sprintf("%s, kept in turn %d", name, pt.Turn), paper[i][pt.Turn], pt.Kept, percent)
			c.x, c.y = append(c.x, float64(pt.Turn)), append(c.y, pt.Kept)
		}
		curves = append(curves, c)
	}
	before, with, final := curves[0].y, curves[1].y, curves[2].y
	last := len(turns) - 1
	forgets := difference(before[0], before[last])
	r.claim(fmt.Sprintf("without, less is kept in turn %d than in turn %d", turns[last], turns[0]), forgets, percent, positive(forgets))
	for i := 1; i < len(turns); i++ {
		d := difference(with[i], before[i])
		r.direction(fmt.Sprintf("with Ghost Attention more is kept in turn %d", turns[i]), d, percent, positive(d))
	}
	stays := difference(with[last], with[0])
	r.claim(fmt.Sprintf("with it, turn %d keeps what turn %d does, within ten points", turns[last], turns[0]), stays, percent, unchanged(stays, 0.1))
	stays = difference(final[last], final[0])
	r.claim(fmt.Sprintf("the last version keeps in turn %d what it does in turn %d, within ten points", turns[last], turns[0]), stays, percent, unchanged(stays, 0.1))
	r.note("%d dialogues whose questions and combinations of attributes were in no training data; a version also learns from its best answers", before[0].N)
	return newPicture(r.Title, "turn", "share of the attributes kept").curves(curves...).save(r.picture())
}
