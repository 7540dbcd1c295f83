package ppo

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/golden"
	"github.com/tame-rlhf/tame/pkg/losstest"
)

// goldenTol is the bar in float64.
const goldenTol = 1e-9

// goldens are the parts of losses.json that belong to PPO, computed by PyTorch.
type goldens struct {
	WhitenLogit struct {
		Score, Logit, Whitened []float64
	} `json:"whiten_logit"`
	Combined struct {
		Safety, Helpfulness, Combined []float64
		IsSafetyPrompt                []bool `json:"is_safety_prompt"`
		Threshold                     float64
	}
	GAE struct {
		Rewards, Values, Advantages, Returns [][]float64
		Lengths                              []int
		Gamma, Lam                           float64
	}
	PPO struct {
		OldLogProbs  [][]float64 `json:"old_logprobs"`
		NewLogProbs  [][]float64 `json:"new_logprobs"`
		OldValues    [][]float64 `json:"old_values"`
		NewValues    [][]float64 `json:"new_values"`
		Lengths      []int
		Clip         float64
		ValueClip    float64     `json:"value_clip"`
		ValueCoef    float64     `json:"value_coef"`
		Whitened     [][]float64 `json:"advantages_whitened"`
		PolicyLoss   float64     `json:"policy_loss"`
		ValueLoss    float64     `json:"value_loss"`
		ClipFraction float64     `json:"clip_fraction"`
		K1           float64     `json:"approx_kl_k1"`
		K3           float64     `json:"approx_kl_k3"`
		DNewLogProbs [][]float64 `json:"d_new_logprobs"`
		DNewValues   [][]float64 `json:"d_new_values"`
	}
}

func readGoldens(t *testing.T) (g goldens) {
	golden.JSON(t, "losses.json", &g)
	require.NotEmpty(t, g.WhitenLogit.Score)
	require.NotEmpty(t, g.PPO.DNewValues)
	return g
}

func TestGoldenScores(t *testing.T) {
	g := readGoldens(t)
	raw := make([]float64, len(g.WhitenLogit.Score))
	for i, p := range g.WhitenLogit.Score {
		raw[i] = Logit(p)
		assert.InDelta(t, g.WhitenLogit.Logit[i], raw[i], goldenTol)
	}
	assert.InDeltaSlice(t, g.WhitenLogit.Whitened, Whiten(raw), goldenTol)

	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	for i, want := range g.Combined.Combined {
		s := Score{Helpfulness: Logit(g.Combined.Helpfulness[i]), Safety: Logit(g.Combined.Safety[i])}
		got, bySafety := Combine(s, g.Combined.IsSafetyPrompt[i], g.Combined.Threshold)
		assert.InDelta(t, want, sigmoid(got), goldenTol, "answer %d", i)
		assert.Equal(t, want == g.Combined.Safety[i], bySafety)
	}
}

func TestGoldenGAE(t *testing.T) {
	g := readGoldens(t).GAE
	for i, n := range g.Lengths {
		advantages, returns := GAE(g.Rewards[i][:n], g.Values[i][:n], nil, g.Gamma, g.Lam)
		assert.InDeltaSlice(t, g.Advantages[i][:n], advantages, goldenTol)
		assert.InDeltaSlice(t, g.Returns[i][:n], returns, goldenTol)
	}
}

// flat packs the first lengths[i] numbers of each row into the slots of the answers' actions; every answer follows a prompt of one
// token, and its last slot has no action.
func flat(rows [][]float64, lengths []int) []float64 {
	var x []float64
	for i, n := range lengths {
		x = append(append(x, rows[i][:n]...), 0)
	}
	return x
}

func TestGoldenLoss(t *testing.T) {
	all := readGoldens(t)
	g := all.PPO
	var advantages []float64
	for i, n := range g.Lengths {
		a, _ := GAE(all.GAE.Rewards[i][:n], all.GAE.Values[i][:n], nil, all.GAE.Gamma, all.GAE.Lam)
		advantages = append(advantages, a...)
	}
	white, next := Whiten(advantages), 0
	rows := make([][]float64, len(g.Lengths))
	c := losstest.Case{Wrt: []string{"LogProbs", "Values"}}
	mask := make([][]float64, len(g.Lengths))
	for i, n := range g.Lengths {
		rows[i], next = white[next:next+n], next+n
		assert.InDeltaSlice(t, g.Whitened[i][:n], rows[i], goldenTol)
		for range n {
			mask[i] = append(mask[i], 1)
			c.Segments = append(c.Segments, int32(i))
		}
		c.Segments = append(c.Segments, int32(i))
	}
	zeros := make([]float64, len(c.Segments))
	c.Token = map[string][]float64{
		"LogProbs": flat(g.NewLogProbs, g.Lengths), "OldLogProbs": flat(g.OldLogProbs, g.Lengths),
		"Values": flat(g.NewValues, g.Lengths), "OldValues": flat(g.OldValues, g.Lengths),
		"Advantages": flat(rows, g.Lengths), "Returns": flat(all.GAE.Returns, g.Lengths),
		"Mask": flat(mask, g.Lengths), "Entropy": zeros,
	}
	cfg := DefaultConfig()
	cfg.ClipRange, cfg.ValueClip, cfg.ValueCoef = g.Clip, g.ValueClip, g.ValueCoef
	got, err := losstest.Eval(ClippedLoss(cfg), c)
	require.NoError(t, err)
	assert.InDelta(t, g.PolicyLoss+g.ValueCoef*g.ValueLoss, got.Loss, goldenTol)
	assert.InDelta(t, g.PolicyLoss, got.Metrics["loss/policy_avg"], goldenTol)
	assert.InDelta(t, g.ValueLoss, got.Metrics["loss/value_avg"], goldenTol)
	assert.InDelta(t, g.ClipFraction, got.Metrics["policy/clipfrac_avg"], goldenTol)
	assert.InDelta(t, g.K1, got.Metrics["policy/approxkl_k1"], goldenTol)
	assert.InDelta(t, g.K3, got.Metrics["policy/approxkl_k3"], goldenTol)
	assert.InDeltaSlice(t, flat(g.DNewLogProbs, g.Lengths), got.Grads["LogProbs"], goldenTol)
	assert.InDeltaSlice(t, flat(g.DNewValues, g.Lengths), got.Grads["Values"], goldenTol)
}
