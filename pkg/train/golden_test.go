package train_test

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"

	"github.com/tame-rlhf/tame/internal/golden"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/train"
)

// goldenFile is the part of golden.json that training is compared with. PyTorch wrote it.
type goldenFile struct {
	InputIDs      [][]int32   `json:"input_ids"`
	TokenLogProbs [][]float64 `json:"token_logprobs"`
	AdamW         struct {
		Trace []struct {
			Step     int     `json:"step"`
			LR       float64 `json:"lr"`
			Loss     float64 `json:"loss"`
			GradNorm float64 `json:"grad_norm"`
		} `json:"trace"`
	} `json:"adamw"`
}

// all counts every token that something predicts.
func all(tokens [][]int32) [][]bool {
	counted := make([][]bool, len(tokens))
	for i, t := range tokens {
		counted[i] = make([]bool, len(t))
		for j := range counted[i] {
			counted[i][j] = true
		}
	}
	return counted
}

// Six AdamW steps, once with both rows in one micro-batch and once with one row in each.
func TestGoldenAdamW(t *testing.T) {
	for _, name := range []string{"llama-gqa", "llama-mha-tied"} {
		for _, rows := range []int{2, 1} {
			t.Run(name, func(t *testing.T) {
				var want goldenFile
				golden.JSON(t, name+"/golden.json", &want)
				p, err := model.Load(filepath.Join(golden.Dir(t), name))
				require.NoError(t, err)

				in := model.NewInputs(p.DType(), 48, 2)
				trunk, err := model.NewTrunk(in, p, "policy")
				require.NoError(t, err)
				terms, err := nll(in, trunk)
				require.NoError(t, err)
				net := policy(trunk, 0)
				net.Schedule = optim.Cosine{Peak: 1e-3, Min: 1e-4, Warmup: 2, Total: 6}
				step, err := train.NewStep(in, terms, []train.Network{net}, train.Options{})
				require.NoError(t, err)

				micro := batches(t, 48, 2, rows, want.InputIDs, all(want.InputIDs))
				require.Len(t, want.AdamW.Trace, 6)
				for i, w := range want.AdamW.Trace {
					got, err := step.Run(context.Background(), micro)
					require.NoError(t, err)
					assert.Equal(t, i, got.Step)
					assert.Equal(t, 46, got.Tokens)
					assert.Equal(t, 2, got.Seqs)
					assert.InDelta(t, w.LR, got.LR["policy"], 1e-12, "lr of step %d", i)
					assert.InDelta(t, w.Loss, got.Loss, 1e-4, "loss of step %d", i)
					assert.InEpsilon(t, w.GradNorm, got.GradNorm["policy"], 1e-4, "norm of step %d", i)
					assert.InDelta(t, -46*got.Loss, got.Metrics["logp"], 1e-4)
				}
				after := goldenAfter(t, name)
				for _, q := range p.All() {
					off, norm := distance(q.Value.Float32s(), after.Get(q.Name).Value.Float32s())
					assert.LessOrEqual(t, off, 1e-4*norm, q.Name)
				}
			})
		}
	}
}

// goldenAfter loads the weights after the trace, through a folder that holds them as a model.
func goldenAfter(t *testing.T, name string) *model.Params {
	t.Helper()
	dir := t.TempDir()
	for from, to := range map[string]string{"config.json": "config.json", "params_after_adamw.safetensors": "model.safetensors"} {
		raw, err := os.ReadFile(filepath.Join(golden.Dir(t), name, from))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, to), raw, 0o644))
	}
	p, err := model.Load(dir)
	require.NoError(t, err)
	return p
}

// distance is the norm of got-want, and that of want.
func distance(got, want []float32) (off, norm float64) {
	for i, w := range want {
		off += math.Pow(float64(got[i])-float64(w), 2)
		norm += math.Pow(float64(w), 2)
	}
	return math.Sqrt(off), math.Sqrt(norm)
}

func TestForwardGolden(t *testing.T) {
	var want goldenFile
	golden.JSON(t, "llama-gqa/golden.json", &want)
	p, err := model.Load(filepath.Join(golden.Dir(t), "llama-gqa"))
	require.NoError(t, err)
	in := model.NewInputs(p.DType(), 50, 3)
	trunk, err := model.NewTrunk(in, p, "policy")
	require.NoError(t, err)
	logp, err := trunk.LogProbs()
	require.NoError(t, err)
	terms, err := nll(in, trunk)
	require.NoError(t, err)
	f, err := train.NewForward(in, []*gorgonia.Node{logp, terms.Loss}, []*model.Trunk{trunk})
	require.NoError(t, err)

	batch := ragged(t, 50, 3, want.InputIDs, all(want.InputIDs))
	got, err := f.Run(context.Background(), batch)
	require.NoError(t, err)
	var sum float64
	for row, values := range want.TokenLogProbs {
		for i, w := range values {
			assert.InDelta(t, w, float64(got[0][24*row+i]), 2e-5)
			sum += w
		}
		assert.Zero(t, got[0][24*row+23], "the last slot of a segment has no target")
	}
	assert.Equal(t, []float32{0, 0}, got[0][48:])
	assert.InDelta(t, -sum/46, float64(got[1][0]), 2e-5)

	// A hotter distribution is flatter: its log-probabilities are those of the logits divided by T.
	f.SetScalar("temperature", 2)
	hot, err := f.Run(context.Background(), batch)
	require.NoError(t, err)
	assert.Less(t, hot[1][0], got[1][0])

	_, err = f.Run(context.Background(), data.NewRagged(7, 1))
	assert.ErrorContains(t, err, "train: ")
}

// TestForwardEach: PyTorch's log-probabilities, with a budget that takes one sequence at a time.
func TestForwardEach(t *testing.T) {
	var want goldenFile
	golden.JSON(t, "llama-gqa/golden.json", &want)
	p, err := model.Load(filepath.Join(golden.Dir(t), "llama-gqa"))
	require.NoError(t, err)
	in := model.NewInputs(p.DType(), 30, 3)
	trunk, err := model.NewTrunk(in, p, "policy")
	require.NoError(t, err)
	logp, err := trunk.LogProbs()
	require.NoError(t, err)
	f, err := train.NewForward(in, []*gorgonia.Node{logp}, []*model.Trunk{trunk})
	require.NoError(t, err)

	marks := all(want.InputIDs)
	add := func(r *data.Ragged, i int) error {
		_, err := r.Append(want.InputIDs[i], marks[i])
		return err
	}
	seen := map[int]bool{}
	require.NoError(t, f.Each(t.Context(), [][]int{{24}, {24}}, add, func(r *data.Ragged, items []int, out [][]float32) {
		for k, i := range items {
			seen[i] = true
			lo, _ := r.Span(k)
			for slot, w := range want.TokenLogProbs[i] {
				assert.InDelta(t, w, float64(out[0][lo+slot]), 2e-5)
			}
		}
	}))
	assert.Len(t, seen, 2)
	assert.ErrorIs(t, f.Each(t.Context(), [][]int{{24}, {31}}, add, nil), data.ErrTooLong)
}
