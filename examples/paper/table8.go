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
	var accuracy [2][]eval.Mean
	for _, set := range sets {
		for i, rating := range ratings {
			m := clustered(test[set].only(judges[set].hits[set], rating))
			accuracy[set] = append(accuracy[set], m)
			r.row(fmt.Sprintf("%s model, %v set, %v", judges[set].name, set, rating), paper[set][i], m, percent)
		}
	}
	r.found(judgeTable8(accuracy))
	return newPicture(r.Title, "rating", "accuracy").ticks("significantly", "better", "slightly", "negligibly").
		curves(curve{name: "helpfulness model", y: accuracy[0]}, curve{name: "safety model", y: accuracy[1]}).save(r.picture())
}

// judgeTable8 wants each model's accuracy, from significantly to negligibly better, to be higher at
// the first rating than at the last. The steps between are finer claims.
func judgeTable8(accuracy [2][]eval.Mean) (f findings) {
	last := len(ratings) - 1
	for _, set := range sets {
		a := accuracy[set]
		f.leadAbove(fmt.Sprintf("%v model: %v above %v", set, ratings[0], ratings[last]), difference(a[0], a[last]), percent)
		for i := 1; i <= last; i++ {
			f.above(fmt.Sprintf("%v model: %v above %v", set, ratings[i-1], ratings[i]), difference(a[i-1], a[i]), percent)
		}
	}
	return f
}
