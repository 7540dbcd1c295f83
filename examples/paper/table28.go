package main

import (
	"context"
	"fmt"

	"github.com/tame-rlhf/tame/pkg/data"
)

// table28: a margin helps on significantly better pairs, and does nothing or harm on negligibly better ones.
func table28(ctx context.Context, b *bench, r *report) error {
	list, test, err := b.margins(ctx)
	if err != nil {
		return err
	}
	paper := [3][5]string{{"79.1", "66.9", "59.8", "54.5", "62.5"}, {"80.4", "67.3", "60.4", "55.0", "63.0"}, {"80.7", "67.5", "60.5", "54.3", "62.9"}}
	var curves []curve
	right := make([][]float64, len(list))
	for i, m := range list {
		right[i] = hits(m.scores)
		c := curve{name: m.name}
		for k, rating := range ratings {
			accuracy := clustered(test.only(right[i], rating))
			r.row(fmt.Sprintf("%s, %v", m.name, rating), paper[i][k], accuracy, percent)
			c.y = append(c.y, accuracy)
		}
		r.row(m.name+", all", paper[i][4], clustered(right[i], test.prompts), percent)
		curves = append(curves, c)
	}
	change := func(i int, rating data.Rating) ([]float64, []string) {
		return test.only(subtract(right[i], right[0]), rating)
	}
	const raises = "%s raises accuracy on significantly better pairs"
	d := clustered(change(2, data.SignificantlyBetter))
	r.direction(fmt.Sprintf(raises, list[2].name), d, percent, positive(d))
	d = clustered(change(1, data.SignificantlyBetter))
	r.claim(fmt.Sprintf(raises, list[1].name), d, percent, positive(d))
	d = clustered(change(2, data.NegligiblyBetter))
	r.claim("large margin gains at most one point on negligibly better pairs", d, percent, notBelow(minus(d), 0.01))
	clear, unclear := clustered(change(2, data.SignificantlyBetter)), d
	d = difference(clear, unclear)
	r.claim("large margin gains more on significantly than on negligibly better pairs", d, percent, positive(d))
	r.note("the paper's differences are of 0.1 to 1.6 points on much larger test sets")
	return newPicture(r.Title, "rating", "accuracy").ticks("significantly", "better", "slightly", "negligibly").curves(curves...).save(r.picture())
}
