package eval

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"gorgonia.org/gorgonia"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
)

// TokenLoss is how well a language model predicts tokens, each from those before it.
type TokenLoss struct {
	Tokens int     // that count
	NLL    float64 // Σ -log p(token), in nats
	Hits   int     // tokens that are the most probable ones, the lowest id of equal ones
}

// Mean is the negative log-likelihood of a token in nats; NaN if no token counts.
func (l TokenLoss) Mean() float64 { return l.NLL / float64(l.Tokens) }

// Perplexity is exp of the mean.
func (l TokenLoss) Perplexity() float64 { return math.Exp(l.Mean()) }

// Accuracy is the share of tokens that are the most probable ones.
func (l TokenLoss) Accuracy() float64 { return float64(l.Hits) / float64(l.Tokens) }

// LossOn measures a model on sequences: on their tokens with a weight other than 0, which all count
// alike. n and s are the budget of a micro-batch in tokens and sequences, which decides memory and not
// results.
func LossOn(ctx context.Context, p *model.Params, examples []data.Example, n, s int) (loss TokenLoss, err error) {
	err = forward(ctx, []named{{"model", p}}, examples, n, s, func(trunks []*model.Trunk) ([]*gorgonia.Node, error) {
		logProbs, err := trunks[0].LogProbs()
		if err != nil {
			return nil, err
		}
		hits, err := trunks[0].Hits()
		return []*gorgonia.Node{logProbs, hits}, err
	}, func(r *data.Ragged, _ []int, out [][]float32) {
		loss.Tokens += r.Counted()
		for i, x := range out[0] { // both are 0 where a token does not count
			loss.NLL -= float64(x)
			loss.Hits += int(out[1][i])
		}
	})
	if err != nil {
		return TokenLoss{}, fmt.Errorf("eval: %w", err)
	}
	if math.IsNaN(loss.NLL) || math.IsInf(loss.NLL, 0) {
		return TokenLoss{}, errors.Join(fmt.Errorf("eval: the loss is %v", loss.NLL), p.CheckFinite())
	}
	return loss, nil
}

// Windows cuts documents into sequences of at most size tokens, at least 2. The last token of one is
// the first of the next, as in pretraining, so that every token but a document's first counts exactly
// once.
func Windows(docs [][]int32, size int) []data.Example {
	size = max(size, 2)
	var list []data.Example
	for _, doc := range docs {
		for len(doc) > 1 {
			window := doc[:min(size, len(doc))]
			doc = doc[len(window)-1:]
			weights := slices.Repeat([]float32{1}, len(window))
			weights[0] = 0
			list = append(list, data.Example{Tokens: window, Weights: weights})
		}
	}
	return list
}
