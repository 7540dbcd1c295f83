package main

import (
	"context"
	"fmt"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
)

// size is a model size of figure 6.
type size struct {
	name  string
	model model.Config
	hits  map[int][]float64 // of the helpfulness model on the helpfulness set, by the batches of preferences that it was trained on
}

// sizes are two smaller models, and that of the run.
func (b *bench) sizes() []size {
	list := []size{{name: "width 32"}, {name: "width 64"}, {name: fmt.Sprintf("width %d", b.Model.Dim)}}
	for i := range list {
		list[i].model, list[i].hits = b.Model, map[int][]float64{}
	}
	for i, c := range []struct{ dim, layers, hidden int }{{32, 2, 96}, {64, 3, 176}} {
		m := &list[i].model
		m.Dim, m.NumLayers, m.HiddenDim, m.HeadDim = c.dim, c.layers, c.hidden, c.dim/m.NumHeads
	}
	return list
}

// figure6: accuracy grows with the preferences and with the size of the model. Every size is
// pretrained and fine-tuned on the same texts; all learn from the same preferences, on the answers
// of the largest.
func figure6(ctx context.Context, b *bench, r *report) error {
	rounds := b.rounds
	test, err := b.Test(ctx, data.HelpfulnessSet)
	if err != nil {
		return err
	}
	list := b.sizes()
	batches := []int{1, (len(rounds) + 1) / 2, len(rounds)}
	if len(rounds) < 3 {
		batches = []int{1, len(rounds)}
	}
	used := make([]float64, len(batches))
	for i := range list {
		s := &list[i]
		start := startName
		if i < len(list)-1 {
			if start, err = b.smaller(ctx, s); err != nil {
				return err
			}
		}
		for k, n := range batches {
			pairs, _, err := b.mixes(n)
			if err != nil {
				return err
			}
			used[k] = float64(len(pairs))
			var p *model.Params
			if start == startName {
				p, err = model.Load(rounds[n-1].Helpfulness)
			} else {
				p, err = b.rewardModel(ctx, fmt.Sprintf("sizes/%s/helpfulness-%d", s.name, n), start, pairs, b.Iteration.Helpfulness)
			}
			if err != nil {
				return err
			}
			scored, err := scores(ctx, p, test.pairs)
			if err != nil {
				return err
			}
			s.hits[n] = hits(scored)
		}
	}
	r.found(judgeFigure6(list, batches, test.questions))
	var curves []curve
	for _, s := range list {
		c := curve{name: s.name, x: used}
		for k, n := range batches {
			m := clustered(s.hits[n], test.questions)
			c.y = append(c.y, m)
			r.row(fmt.Sprintf("%s, %.0f pairs", s.name, used[k]), "", m, percent)
		}
		curves = append(curves, c)
	}
	r.note("pairs with those of the mix; the paper's figure has 7B, 13B and 70B over the batches of its preferences, and no numbers")
	return newPicture(r.Title, "pairs", "accuracy on the helpfulness set").logX(used).curves(curves...).save(r.picture())
}

// smaller pretrains and fine-tunes a smaller chat model.
func (b *bench) smaller(ctx context.Context, s *size) (chat string, err error) {
	base := fmt.Sprintf("sizes/%s/base", s.name)
	p, err := b.pretrained(ctx, base, s.model)
	if err != nil {
		return "", err
	}
	chat = fmt.Sprintf("sizes/%s/chat", s.name)
	_, err = b.tuned(ctx, chat, base, p)
	return chat, err
}

// judgeFigure6 wants accuracy to grow with the data for every size, and with all data from each
// size to the next larger one. Sizes are in ascending order, batches too.
func judgeFigure6(list []size, batches []int, prompts []string) (f findings) {
	first, last := batches[0], batches[len(batches)-1]
	for _, s := range list {
		f.leadAbove(fmt.Sprintf("%s: all preferences give more accuracy than the first batch", s.name), gain(s.hits[last], s.hits[first], prompts), percent)
	}
	for i := 1; i < len(list); i++ {
		f.leadAbove(fmt.Sprintf("%s is more accurate than %s", list[i].name, list[i-1].name), gain(list[i].hits[last], list[i-1].hits[last], prompts), percent)
	}
	largest := list[len(list)-1]
	f.above(fmt.Sprintf("%s is more accurate than %s", largest.name, list[0].name), gain(largest.hits[last], list[0].hits[last], prompts), percent)
	newest, oldest := make([]float64, len(prompts)), make([]float64, len(prompts))
	for _, s := range list {
		for i := range newest {
			newest[i] += s.hits[last][i] / float64(len(list))
			oldest[i] += s.hits[first][i] / float64(len(list))
		}
	}
	f.above("all preferences give more accuracy than the first batch (number: mean over the sizes)", gain(newest, oldest, prompts), percent)
	return f
}
