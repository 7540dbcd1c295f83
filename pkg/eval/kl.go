package eval

import (
	"context"
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/kern"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/train"
)

// Answer is a prompt and an answer to it as token ids.
type Answer struct {
	Prompt, Tokens []int32
}

// KL is the divergence D_KL(p || q) of two policies along each answer, in nats: at every token of the answer the exact
// sum over the whole vocabulary, Σ_v p(v) (log p(v) - log q(v)), added up over the answer. Averaged over answers that
// were sampled from p it is the divergence of the answers' distributions, without the noise of the estimators k1 to k3.
// temperature divides the logits of both; n and s are the budget of a micro-batch.
func KL(ctx context.Context, p, q *model.Params, answers []Answer, temperature float64, n, s int) ([]float64, error) {
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
	lengths := make([]int, len(answers))
	for i, a := range answers {
		lengths[i] = len(a.Prompt) + len(a.Tokens)
	}
	forward, err := hiddenStates(p, q, n, s)
	if err != nil {
		return nil, fmt.Errorf("eval: %w", err)
	}
	kl := make([]float64, len(answers))
	err = forward.Each(ctx, lengths, func(r *data.Ragged, i int) error {
		_, err := r.Append(data.Join(answers[i].Prompt, answers[i].Tokens))
		return err
	}, func(r *data.Ragged, items []int, hidden [][]float32) {
		perSlot := divergence(hidden, [2]*model.Params{p, q}, r, temperature)
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

// hiddenStates computes (N, C) of both models in one program.
func hiddenStates(p, q *model.Params, n, s int) (*train.Forward, error) {
	in := model.NewInputs(tensor.Float32, n, s)
	tp, err := model.NewTrunk(in, p, "p")
	if err != nil {
		return nil, err
	}
	tq, err := model.NewTrunk(in, q, "q")
	if err != nil {
		return nil, err
	}
	return train.NewForward(in, []*gorgonia.Node{tp.Hidden, tq.Hidden}, []*model.Trunk{tp, tq})
}

// divergence is the exact KL at every counted slot, (N), computed in float64 from float32 logits.
func divergence(hidden [][]float32, models [2]*model.Params, micro *data.Ragged, temperature float64) []float64 {
	v := models[0].Config().VocabSize
	kl := make([]float64, micro.N)
	kern.For(micro.N, 16, func(lo, hi int) {
		logits := make([]float32, v)
		z := [2][]float64{make([]float64, v), make([]float64, v)}
		for i := lo; i < hi; i++ {
			if micro.Mask[i] == 0 {
				continue
			}
			var lse [2]float64
			for m, p := range models {
				c := p.Config().Dim
				w := p.Output().Value.Float32s()
				kern.GemmSerial(false, true, 1, v, c, 1, hidden[m][i*c:(i+1)*c], c, w, c, 0, logits, v)
				for k, x := range logits {
					z[m][k] = float64(x) / temperature
				}
				lse[m] = kern.LogSumExp(z[m])
			}
			for k := range v {
				logP, logQ := z[0][k]-lse[0], z[1][k]-lse[1]
				kl[i] += math.Exp(logP) * (logP - logQ)
			}
		}
	})
	return kl
}
