package eval

import (
	"context"
	"fmt"
	"math"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/parallel"
	"github.com/tame-rlhf/tame/pkg/backend"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
)

// Span is the positions From to To, To not included.
type Span struct{ From, To int }

// AttentionQuery asks how much attention the tokens of From pay to those of To in a dialogue: the
// tokens of an answer to those of an instruction, say. A token attends to itself and what is before
// it; what the first token of an answer is predicted from is the state of the token before it.
type AttentionQuery struct {
	Tokens   []int32
	From, To []Span
}

// Weights is how a model's attention is spread in one AttentionQuery.
type Weights struct {
	// Share is the part of the attention that lies on To, mean over the tokens of From: (layers, H), each from 0 to 1.
	Share [][]float64
	// Map is the largest weight over all layers and heads of each token of From on every token of the dialogue: (tokens of From, tokens). Figure 10 of the
	// Llama 2 paper shows it with neighbouring tokens put together.
	Map [][]float64
	// Peak is the largest weight of a token of From on one of To, mean over the tokens of From.
	Peak float64
}

// Mean is the mean share of all layers and heads.
func (w Weights) Mean() float64 {
	sum, n := 0.0, 0
	for _, layer := range w.Share {
		for _, x := range layer {
			sum += x
			n++
		}
	}
	return sum / float64(n)
}

// Attention measures what a model attends to (Touvron et al. 2023, figure 10): softmax(q kᵀ / √D) of every layer and head, in float64 from the
// queries and keys of the float32 forward pass. n and s are the budget of a micro-batch; a dialogue has at most n tokens.
func Attention(ctx context.Context, p *model.Params, queries []AttentionQuery, n, s int) ([]Weights, error) {
	dialogs := make([]data.Example, len(queries))
	for i, q := range queries {
		if err := q.check(p); err != nil {
			return nil, fmt.Errorf("eval: attention: dialogue %d: %w", i, err)
		}
		dialogs[i] = data.Example{Tokens: q.Tokens, Weights: make([]float32, len(q.Tokens))}
	}
	if len(queries) == 0 {
		return nil, nil
	}
	out := make([]Weights, len(queries))
	err := forward(ctx, []named{{"model", p}}, dialogs, n, s, func(trunks []*model.Trunk) ([]*gorgonia.Node, error) {
		return trunks[0].QKV, nil
	}, func(r *data.Ragged, items []int, qkv [][]float32) {
		parallel.For(len(items), 1, func(lo, hi int) {
			for k := lo; k < hi; k++ {
				from, to := r.Span(k)
				out[items[k]] = queries[items[k]].weights(p, qkv, from, to)
			}
		})
	})
	if err != nil {
		return nil, fmt.Errorf("eval: attention: %w", err)
	}
	return out, nil
}

// check refuses spans that are not in the dialogue.
func (q AttentionQuery) check(p *model.Params) error {
	if p == nil || p.DType() != tensor.Float32 {
		return fmt.Errorf("want float32 weights: convert them with Params.As")
	}
	if len(q.Tokens) > p.Config().MaxSeqLen {
		return fmt.Errorf("it has %d tokens, the model's context is %d", len(q.Tokens), p.Config().MaxSeqLen)
	}
	if len(q.From) == 0 || len(q.To) == 0 {
		return fmt.Errorf("want at least one span in From and in To")
	}
	for _, sp := range slices.Concat(q.From, q.To) {
		if sp.From < 0 || sp.To <= sp.From || sp.To > len(q.Tokens) {
			return fmt.Errorf("span %d to %d: want a part of its %d tokens", sp.From, sp.To, len(q.Tokens))
		}
	}
	return p.Config().CheckTokens(q.Tokens)
}

// weights computes the attention of one dialogue, whose rows of qkv, (N, (H+2KV) D) of each layer, are lo to hi.
func (q AttentionQuery) weights(p *model.Params, qkv [][]float32, lo, hi int) Weights {
	c := p.Config()
	var from []int
	for _, sp := range q.From {
		for i := sp.From; i < sp.To; i++ {
			from = append(from, i)
		}
	}
	w := Weights{Map: make([][]float64, len(from))}
	for k := range w.Map {
		w.Map[k] = make([]float64, hi-lo)
	}
	width := (c.NumHeads + 2*c.NumKVHeads) * c.HeadDim
	for layer, x := range qkv {
		window := c.LayerWindow(layer)
		share := make([]float64, c.NumHeads)
		for h := range share {
			a := newHead(p, x[lo*width:hi*width], h)
			for k, i := range from {
				on := 0.0
				for j, weight := range a.row(i, window) {
					w.Map[k][j] = max(w.Map[k][j], weight)
					if q.isTo(j) {
						on += weight
					}
				}
				share[h] += on / float64(len(from))
			}
		}
		w.Share = append(w.Share, share)
	}
	for _, row := range w.Map {
		top := 0.0
		for j, weight := range row {
			if q.isTo(j) {
				top = max(top, weight)
			}
		}
		w.Peak += top / float64(len(from))
	}
	return w
}

// isTo says whether token j is one of To. A token in two spans counts once.
func (q AttentionQuery) isTo(j int) bool {
	return slices.ContainsFunc(q.To, func(sp Span) bool { return sp.From <= j && j < sp.To })
}

// head is the rotated queries and keys of one head, (T, D) each.
type head struct {
	d    int
	q, k []float64
	math backend.Vectors[float64]
}

func newHead(p *model.Params, x []float32, h int) head {
	c, d := p.Config(), p.Config().HeadDim
	width := (c.NumHeads + 2*c.NumKVHeads) * d
	t := len(x) / width
	a := head{d: d, q: make([]float64, t*d), k: make([]float64, t*d), math: p.Backend().Float64()}
	table := model.RotationTable[float64](c, t)
	key := (c.NumHeads + h*c.NumKVHeads/c.NumHeads) * d // column of the key head that this query head shares
	for i := range t {
		for e := range d {
			a.q[i*d+e], a.k[i*d+e] = float64(x[i*width+h*d+e]), float64(x[i*width+key+e])
		}
		rotate(a.q[i*d:(i+1)*d], table[i*d:(i+1)*d])
		rotate(a.k[i*d:(i+1)*d], table[i*d:(i+1)*d])
	}
	return a
}

// rotate turns the pairs (x[i], x[i+d/2]) of a head by the angles of a row of model.RotationTable.
func rotate(x, row []float64) {
	half := len(x) / 2
	for i, cos := range row[:half] {
		a, b, sin := x[i], x[half+i], row[half+i]
		x[i] = float64(a*cos) - float64(b*sin)
		x[half+i] = float64(b*cos) + float64(a*sin)
	}
}

// row is the attention of token i on itself and what is before it, as far as the window, if there is one; it adds up to 1.
func (a head) row(i, window int) []float64 {
	weights := make([]float64, i+1)
	for j := range weights {
		if window > 0 && j <= i-window {
			weights[j] = math.Inf(-1)
			continue
		}
		for e := range a.d {
			weights[j] += a.q[i*a.d+e] * a.k[j*a.d+e]
		}
		weights[j] /= math.Sqrt(float64(a.d))
	}
	lse := a.math.LogSumExp(weights)
	for j := range weights {
		weights[j] = math.Exp(weights[j] - lse)
	}
	return weights
}
