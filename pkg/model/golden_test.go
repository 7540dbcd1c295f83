package model

import (
	"math"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/golden"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/ops"
)

// goldenValues is what PyTorch computed for a tiny Llama.
type goldenValues struct {
	InputIDs      [][]int32   `json:"input_ids"`      // (2, 24)
	TokenLogProbs [][]float64 `json:"token_logprobs"` // (2, 23)
	Loss          float64     `json:"loss"`
	LossFloat64   float64     `json:"loss_float64"`
	LogitsLast    []float64   `json:"logits_row0_last"`
	Packed        struct {
		SegmentIDs    [][]int32   `json:"segment_ids"`
		LossMask      [][]int32   `json:"loss_mask"`
		TokenLogProbs [][]float64 `json:"token_logprobs"`
		Loss          float64     `json:"loss"`
		GradNorm      float64     `json:"grad_norm"`
	} `json:"packed"`
}

var goldenModels = []string{"llama-gqa", "llama-mha-tied"}

const (
	logProbTol = 2e-5 // float32 against float32, absolute
	gradTol    = 1e-4 // relative to the norm of the tensor
)

func TestDecoderMatchesPyTorch(t *testing.T) {
	for _, name := range goldenModels {
		t.Run(name, func(t *testing.T) {
			var want goldenValues
			golden.JSON(t, filepath.Join(name, "golden.json"), &want)
			d, err := NewDecoder(goldenModel(t, name), 2, 24)
			require.NoError(t, err)
			for row, tokens := range want.InputIDs {
				assert.InDeltaSlice(t, want.TokenLogProbs[row], widen(decoderLogProbs(t, d, row, tokens)), logProbTol)
			}
			d.Reset(0)
			logits, err := d.Forward([]Chunk{{Slot: 0, Tokens: want.InputIDs[0]}})
			require.NoError(t, err)
			assert.InDeltaSlice(t, want.LogitsLast, widen(logits[0]), logProbTol)
		})
	}
}

func TestGraphMatchesPyTorch(t *testing.T) {
	for _, name := range goldenModels {
		t.Run(name, func(t *testing.T) {
			var want goldenValues
			golden.JSON(t, filepath.Join(name, "golden.json"), &want)
			b := pack(t, 50, 3, want.InputIDs...) // two unused slots, one unused segment
			logp, grads, loss := lossAndGrads(t, goldenModel(t, name), b)
			for row := range want.InputIDs {
				lo, hi := b.Span(row)
				assert.InDeltaSlice(t, want.TokenLogProbs[row], logp[lo:hi-1], logProbTol)
			}
			assert.InDelta(t, want.Loss, loss, logProbTol)

			wantGrads, err := ReadSafetensors(filepath.Join(golden.Dir(t), name, "grads.safetensors"))
			require.NoError(t, err)
			require.Len(t, grads, len(wantGrads))
			for _, w := range wantGrads {
				assertClose(t, w.Name, widen(w.Data), grads[w.Name])
			}

			_, _, loss = lossAndGrads(t, goldenModel(t, name).As(tensor.Float64), b)
			assert.InDelta(t, want.LossFloat64, loss, 1e-12)
		})
	}
}

func TestGraphMatchesPyTorchPacked(t *testing.T) {
	for _, name := range goldenModels {
		t.Run(name, func(t *testing.T) {
			var want goldenValues
			golden.JSON(t, filepath.Join(name, "golden.json"), &want)
			b := data.NewRagged(48, 4)
			var wantLogp []float64 // slot by slot
			for row, tokens := range want.InputIDs {
				ids, mask := want.Packed.SegmentIDs[row], want.Packed.LossMask[row]
				for lo := 0; lo < len(tokens); {
					hi := lo
					var counted []bool
					for ; hi < len(tokens) && ids[hi] == ids[lo]; hi++ {
						counted = append(counted, mask[hi] != 0 && hi > lo)
						if hi > lo { // the golden value of token hi belongs to the slot before it
							wantLogp = append(wantLogp, float64(mask[hi])*want.Packed.TokenLogProbs[row][hi-1])
						}
					}
					wantLogp = append(wantLogp, 0)
					_, err := b.Append(tokens[lo:hi], counted)
					require.NoError(t, err)
					lo = hi
				}
			}
			logp, grads, loss := lossAndGrads(t, goldenModel(t, name), b)
			assert.InDeltaSlice(t, wantLogp, logp, logProbTol)
			assert.InDelta(t, want.Packed.Loss, loss, logProbTol)
			sum := 0.0
			for _, g := range grads {
				sum += norm(g) * norm(g)
			}
			assert.InDelta(t, want.Packed.GradNorm, math.Sqrt(sum), gradTol*want.Packed.GradNorm)
		})
	}
}

// lossAndGrads runs the mean negative log-probability of the counted tokens: log-probs (N), gradients under Hugging Face names, loss.
func lossAndGrads(t *testing.T, p *Params, b *data.Ragged) ([]float64, map[string][]float64, float64) {
	t.Helper()
	var logp, loss *gorgonia.Node
	var grads gorgonia.Nodes
	g := newGraph(t, p, b.N, b.S, func(in *Inputs, trunk *Trunk) []*gorgonia.Node {
		logp = node(t)(trunk.LogProbs())
		x := ops.Expr(in.G)
		loss = x.Scale(x.MaskedSum(logp, in.Mask), -1/float64(b.Counted()))
		require.NoError(t, x.Err())
		var err error
		grads, err = gorgonia.Grad(loss, trunk.ParamNodes()...)
		require.NoError(t, err)
		return append(gorgonia.Nodes{logp, loss}, grads...)
	})
	out := g.run(t, b, append(gorgonia.Nodes{logp, loss}, grads...)...)
	gp := NewParams(p.Config(), tensor.Float64)
	for i, q := range gp.All() {
		copy(floats[float64](q.Value), out[2+i])
	}
	return out[0], byHFName(gp), out[1][0]
}

func assertClose(t *testing.T, name string, want, got []float64) {
	t.Helper()
	require.Len(t, got, len(want), name)
	diff := make([]float64, len(want))
	for i := range want {
		diff[i] = got[i] - want[i]
	}
	assert.LessOrEqual(t, norm(diff), gradTol*norm(want), name)
}

func norm(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	return math.Sqrt(sum)
}

func widen(x []float32) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}
