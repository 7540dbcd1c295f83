package eval

import (
	"context"
	"fmt"
	"math"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/each"
	"github.com/tame-rlhf/tame/internal/parallel"
	"github.com/tame-rlhf/tame/pkg/backend"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
)

// KL is the divergence D_KL(p || q) of two policies along each answer, in nats: at every token of the answer the exact
// sum over the whole vocabulary, Σ_v p(v) (log p(v) - log q(v)), added up over the answer. Averaged over answers that
// were sampled from p it is the divergence of the answers' distributions, without the noise of the estimators k1 to k3.
// temperature divides the logits of both; n and s are the budget of a micro-batch.
func KL(ctx context.Context, p, q *model.Params, answers []data.Answer, temperature float64, n, s int) ([]float64, error) {
	if p.Config().VocabSize != q.Config().VocabSize {
		return nil, fmt.Errorf("eval: the models have vocabularies of %d and %d", p.Config().VocabSize, q.Config().VocabSize)
	}
	for name, m := range map[string]*model.Params{"p": p, "q": q} {
		if m.Output() == nil || m.DType() != tensor.Float32 {
			return nil, fmt.Errorf("eval: model %s: want float32 weights with an output projection", name)
		}
	}
	if !(temperature > 0) || math.IsInf(temperature, 1) {
		return nil, fmt.Errorf("eval: the temperature is %v, want a positive number", temperature)
	}
	examples := each.Of(answers, data.Answer.Example)
	kl := make([]float64, len(answers))
	outputs := [2]output{outputOf(p), outputOf(q)}
	err := forward(ctx, []named{{"p", p}, {"q", q}}, examples, n, s, func(trunks []*model.Trunk) ([]*gorgonia.Node, error) {
		return []*gorgonia.Node{trunks[0].Hidden, trunks[1].Hidden}, nil
	}, func(r *data.Ragged, items []int, hidden [][]float32) {
		perSlot := divergence(hidden, outputs, r, temperature)
		for k, i := range items {
			lo, hi := r.Span(k)
			for _, d := range perSlot[lo:hi] {
				kl[i] += d
			}
		}
	})
	if err != nil {
		return nil, fmt.Errorf("eval: %w", err)
	}
	return kl, nil
}

// klRows is how many slots' logits exist at a time.
const klRows = 64

// output is a model's output projection.
type output struct {
	math    backend.Vectors[float64]
	weights backend.Matrix // (V, C)
	v, c    int
}

func outputOf(p *model.Params) output {
	v, c := p.Config().VocabSize, p.Config().Dim
	return output{p.Backend().Float64(), p.Backend().Matrix(p.Output().Value.Float32s(), v, c), v, c}
}

// divergence is the exact KL at every counted slot, (N), computed in float64 from float32 logits.
func divergence(hidden [][]float32, outputs [2]output, micro *data.Ragged, temperature float64) []float64 {
	v := outputs[0].v
	kl := make([]float64, micro.N)
	var counted []int // slots
	for i, m := range micro.Mask {
		if m != 0 {
			counted = append(counted, i)
		}
	}
	h := make([]float32, klRows*max(outputs[0].c, outputs[1].c))
	logits := [2][]float32{make([]float32, klRows*v), make([]float32, klRows*v)}
	for slots := range slices.Chunk(counted, klRows) {
		for m, o := range outputs {
			for k, i := range slots {
				copy(h[k*o.c:], hidden[m][i*o.c:(i+1)*o.c])
			}
			o.weights.Apply(logits[m], h, len(slots))
		}
		parallel.For(len(slots), 1, func(lo, hi int) {
			logP, logQ := make([]float64, v), make([]float64, v)
			for k := lo; k < hi; k++ {
				outputs[0].logSoftmax(logP, logits[0][k*v:(k+1)*v], temperature)
				outputs[1].logSoftmax(logQ, logits[1][k*v:(k+1)*v], temperature)
				for id, lp := range logP {
					kl[slots[k]] += math.Exp(lp) * (lp - logQ[id])
				}
			}
		})
	}
	return kl
}

// logSoftmax sets dst to the log-probabilities of logits at a temperature.
func (o output) logSoftmax(dst []float64, logits []float32, temperature float64) {
	for id, x := range logits {
		dst[id] = float64(x) / temperature
	}
	lse := o.math.LogSumExp(dst)
	for id := range dst {
		dst[id] -= lse
	}
}
