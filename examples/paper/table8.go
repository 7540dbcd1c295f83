package main

import (
	"context"
	"fmt"

	"github.com/tame-rlhf/tame/pkg/eval"
)

// table8: accuracy rises from negligibly to significantly better, for each model on its own set.
func table8(ctx context.Context, b *bench, r *report) error {
	judges, test, err := b.judged(ctx, false)
	if err != nil {
		return err
	}
	paper := [2][4]string{{"80.7", "67.5", "60.9", "54.7"}, {"94.3", "76.3", "65.7", "55.3"}}
	var curves []curve
	for _, set := range sets {
		byRating := make([]eval.Mean, len(ratings))
		for i, rating := range ratings {
			byRating[i] = clustered(test[set].only(judges[set].hits[set], rating))
			r.row(fmt.Sprintf("%s model, %v set, %v", judges[set].name, set, rating), paper[set][i], byRating[i], percent)
		}
		last := len(ratings) - 1
		d := difference(byRating[0], byRating[last])
		r.direction(fmt.Sprintf("%s model: %v above %v", judges[set].name, ratings[0], ratings[last]), d, percent, positive(d))
		for i := 1; i < len(ratings); i++ {
			d := difference(byRating[i-1], byRating[i])
			r.claim(fmt.Sprintf("%s model: %v above %v", judges[set].name, ratings[i-1], ratings[i]), d, percent, positive(d))
		}
		curves = append(curves, curve{name: judges[set].name + " model", y: byRating})
	}
	return newPicture(r.Title, "rating", "accuracy").ticks("significantly", "better", "slightly", "negligibly").curves(curves...).save(r.picture())
}
