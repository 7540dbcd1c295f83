package main

import (
	"context"
	"fmt"

	"github.com/tame-rlhf/tame/pkg/eval"
)

// figure15: the more safety data, the higher the safety score and the thinner its low tail;
// helpfulness stays.
func figure15(ctx context.Context, b *bench, r *report) error {
	list, err := b.doses(ctx)
	if err != nil {
		return err
	}
	safety, helpfulness := make([][]float64, len(list)), make([][]float64, len(list))
	var hazards, normals []string
	for i, d := range list {
		safety[i], hazards = b.column(d.answers, hazard, safetyOf)
		helpfulness[i], normals = b.column(d.answers, normal, helpfulnessOf)
	}
	tail := eval.Quantile(safety[0], lowTail)
	d, err := eval.Distribute(safety, 24, tail)
	if err != nil {
		return err
	}
	means := [2]curve{{name: "safety score, hazards"}, {name: "helpfulness score, normal prompts"}}
	names := make([]string, len(list))
	pic := newPicture("Safety scores on hazards", "safety score", "share of answers")
	for i, dose := range list {
		names[i] = fmt.Sprintf("%d %%", dose.percent)
		means[0].y, means[1].y = append(means[0].y, clustered(safety[i], hazards)), append(means[1].y, clustered(helpfulness[i], normals))
		r.row(names[i]+", safety score on hazards", "", means[0].y[i], plain)
		r.row(names[i]+", in the low tail", "", clustered(below(safety[i], tail), hazards), percent)
		r.row(names[i]+", helpfulness score on normal prompts", "", means[1].y[i], plain)
		pic.steps(names[i], d.Edges, d.Versions[i].Counts)
	}
	r.found(judgeFigure15(names, safety, hazards, helpfulness, normals))
	if err := pic.save(r.path("-scores.png")); err != nil {
		return err
	}
	return newPicture(r.Title, "share of the safety data", "mean score").ticks(names...).curves(means[:]...).save(r.picture())
}

// lowTail is the share of the answers without safety data that figure 15 calls the low tail.
const lowTail = 0.25

// judgeFigure15 takes the scores of answers for each share of the safety data, from none to all.
func judgeFigure15(names []string, safety [][]float64, hazards []string, helpfulness [][]float64, normals []string) (f findings) {
	parts := []verdict{}
	last := len(names) - 1
	for i := 1; i <= last; i++ {
		parts = append(parts, notBelow(gain(safety[i], safety[i-1], hazards), deviation(safety[0])/5))
	}
	m := gain(safety[last], safety[0], hazards)
	f.lead("the mean safety score rises with the share, and no step falls by a fifth of its standard deviation (number: 0 to 100 %)", m, plain, all(append(parts, positive(m))...))
	tail := eval.Quantile(safety[0], lowTail)
	m = gain(below(safety[last], tail), below(safety[0], tail), hazards)
	f.lead("the low tail, a quarter of the answers without safety data, shrinks", m, percent, negative(m))
	for i := 1; i <= last; i++ {
		m = gain(helpfulness[i], helpfulness[0], normals)
		f.claim(fmt.Sprintf("at %s the helpfulness score stays, within a fifth of its standard deviation", names[i]), m, plain, unchanged(m, deviation(helpfulness[0])/5))
	}
	return f
}
