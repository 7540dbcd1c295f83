package main

import (
	"context"
	"fmt"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
)

// table28: a margin helps on significantly better pairs, and does nothing or harm on negligibly better ones.
func table28(ctx context.Context, b *bench, r *report) error {
	list, test, err := b.margins(ctx)
	if err != nil {
		return err
	}
	paper := [3][5]string{{"79.1", "66.9", "59.8", "54.5", "62.5"}, {"80.4", "67.3", "60.4", "55.0", "63.0"}, {"80.7", "67.5", "60.5", "54.3", "62.9"}}
	var curves []curve
	for i, m := range list {
		right := hits(m.scores)
		c := curve{name: m.name}
		for k, rating := range ratings {
			accuracy := clustered(test.only(right, rating))
			r.row(fmt.Sprintf("%s, %v", m.name, rating), paper[i][k], accuracy, percent)
			c.y = append(c.y, accuracy)
		}
		r.row(m.name+", all", paper[i][4], clustered(right, test.questions), percent)
		curves = append(curves, c)
	}
	r.found(judgeTable28(list, test))
	r.note("the paper's differences are of 0.1 to 1.6 points on much larger test sets")
	return newPicture(r.Title, "rating", "accuracy").ticks("significantly", "better", "slightly", "negligibly").curves(curves...).save(r.picture())
}

// judgeTable28 takes the models with no margin, the small one and the large one.
func judgeTable28(list []margin, test testPairs) (f findings) {
	change := func(i int, rating data.Rating) eval.Mean {
		return clustered(test.only(subtract(hits(list[i].scores), hits(list[0].scores)), rating))
	}
	const raises = "%s raises accuracy on significantly better pairs"
	distinct := change(2, data.SignificantlyBetter)
	f.lead(fmt.Sprintf(raises, list[2].name), distinct, percent, positive(distinct))
	f.above(fmt.Sprintf(raises, list[1].name), change(1, data.SignificantlyBetter), percent)
	alike := change(2, data.NegligiblyBetter)
	f.claim("large margin gains at most one point on negligibly better pairs", alike, percent, notBelow(minus(alike), 0.01))
	f.above("large margin gains more on significantly than on negligibly better pairs", difference(distinct, alike), percent)
	return f
}
