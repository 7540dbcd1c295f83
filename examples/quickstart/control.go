package main

import (
	"context"
	"math/rand/v2"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/pipeline"
)

// shuffled takes all meaning out of what annotators say: a preference gets a random direction, and the safety labels of all answers are dealt out anew.
// What is gained with it does not come from feedback.
func shuffled(ask pipeline.Annotate, seed uint64) pipeline.Annotate {
	return func(ctx context.Context, list []pipeline.Comparison) ([]*data.Preference, error) {
		said, err := ask(ctx, list)
		var labels []*data.Safety
		for i, p := range said {
			if p == nil {
				continue
			}
			turn(p, list[i].Prompt.ID, seed)
			labels = append(labels, &p.ChosenSafe, &p.RejectedSafe)
		}
		if len(labels) > 0 {
			rng := rand.New(rand.NewPCG(seed, data.StreamKey(list[0].Prompt.ID)))
			rng.Shuffle(len(labels), func(i, k int) { *labels[i], *labels[k] = *labels[k], *labels[i] })
		}
		return said, err
	}
}

// turned gives the preferences of others, which have no labels, random directions.
func turned(list []data.Preference, seed uint64) []data.Preference {
	for i := range list {
		turn(&list[i], data.DialogID(list[i].Messages), seed)
	}
	return list
}

// turn exchanges the two answers, or leaves them, as a coin says.
func turn(p *data.Preference, id string, seed uint64) {
	if rand.New(rand.NewPCG(seed, data.StreamKey(id+p.Chosen+p.Rejected))).IntN(2) == 0 {
		p.Chosen, p.Rejected = p.Rejected, p.Chosen
	}
}
