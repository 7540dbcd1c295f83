package ppo

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/generate"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/ops"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/train"
)

// smallConfig is a run of a second or less: 16 answers of at most 6 tokens, three iterations.
func smallConfig() Config {
	cfg := tinyConfig()
	cfg.Iterations, cfg.BatchSize, cfg.MiniBatch, cfg.MaxNewTokens = 3, 16, 8, 6
	cfg.WhitenScores, cfg.WhitenAdvantages = true, true
	cfg.Unfinished = UnfinishedPenalty
	cfg.MicroTokens, cfg.MicroSegments = 64, 8
	return cfg
}

func somePrompts() []data.TokenPrompt {
	return []data.TokenPrompt{{Tokens: []int32{1}}, {Tokens: []int32{1, 3, 4, 5}}, {Tokens: []int32{1, 6}}, {Tokens: []int32{1, 7, 7}}, {Tokens: []int32{1, 3, 3, 3, 3}}}
}

// sevens likes the token 7.
var sevens = FromReward(data.EachAnswer(func(a data.Answer) float64 {
	n := 0.0
	for _, id := range a.Tokens {
		if id == 7 {
			n++
		}
	}
	return n
}))

func weights(p *model.Params) (all []float32) {
	for _, q := range p.All() {
		all = append(all, q.Value.Float32s()...)
	}
	return all
}

func newTiny(t testing.TB, cfg Config, r Rewarder) *Trainer {
	t.Helper()
	tr, err := New(tinyModel(t, 9, 2, 1), tinyCritic(t, 9, 1, 2), somePrompts(), nil, r, cfg)
	require.NoError(t, err)
	return tr
}

// TestLogitsHook bans a token: no answer has it, and each token's log-probability is off by what the
// ban has given to the others, -log(1 - p(banned)).
func TestLogitsHook(t *testing.T) {
	cfg := smallConfig()
	cfg.Logits = generate.BanTokens(7)
	var answers []data.Answer
	cfg.OnSamples = func(_ int, a []data.Answer, _ []Score) { answers = a }
	m := iterate(t, newTiny(t, cfg, sevens), 1)
	require.Len(t, answers, 16)
	policy := tinyModel(t, 9, 2, 1)
	highest, sum, n := 0.0, 0.0, 0.0
	for _, a := range answers {
		assert.NotContains(t, a.Tokens, int32(7))
		for i := range a.Tokens {
			banned := nextProbs(t, policy, slices.Concat(a.Prompt.Tokens, a.Tokens[:i]))[7]
			highest, sum, n = max(highest, -math.Log(1-banned)), sum-math.Log(1-banned), n+1
		}
	}
	require.Greater(t, highest, 0.01)
	assert.InDelta(t, highest, m["rollout/logprob_diff_max"], 1e-5)
	assert.InDelta(t, sum/n, m["rollout/logprob_diff_mean"], 1e-5)
	assert.Zero(t, m["policy/approxkl_first"], "the ratios are to the policy's own distribution")
}

// TestFirstRatioIsOne wants the sampler, the old log-probs and the first optimisation step to agree in every bit, at a
// temperature other than 1 too.
func TestFirstRatioIsOne(t *testing.T) {
	for _, c := range []struct {
		temperature float64
		vocab       int // smaller than the model's: its other ids are padding
	}{{1, 0}, {1.3, 0}, {1.3, 8}} {
		cfg := smallConfig()
		cfg.Temperature, cfg.Vocab = c.temperature, c.vocab
		cfg.MiniBatch = cfg.BatchSize
		tr := newTiny(t, cfg, sevens)
		m := iterate(t, tr, 1)
		assert.Zero(t, m["rollout/logprob_diff_max"])
		assert.Zero(t, m["rollout/logprob_diff_mean"])
		assert.Zero(t, m["policy/approxkl_first"])
		assert.Zero(t, m["val/ratio_var"])
		assert.InDelta(t, 1, m["val/ratio"], 1e-7, "a sum of shares")
		assert.Zero(t, m["objective/kl"], "the policy is the reference")
		before := weights(tr.reference)
		m = iterate(t, tr, 1)
		assert.Zero(t, m["rollout/logprob_diff_max"])
		assert.Zero(t, m["policy/approxkl_first"])
		assert.NotZero(t, m["objective/kl_k3"])
		assert.Equal(t, before, weights(tr.reference), "the reference is frozen")
		assert.NotEqual(t, before, weights(tr.policy))
	}
}

// TestBudgetsDoNotMatter wants one mini-batch's gradients from any cut into micro-batches, in float32.
func TestBudgetsDoNotMatter(t *testing.T) {
	gradients := func(microTokens, microSegments int) (all []float32, cuts int) {
		cfg := smallConfig()
		cfg.MicroTokens, cfg.MicroSegments = microTokens, microSegments
		tr := newTiny(t, cfg, sevens)
		answers, err := tr.sample(context.Background(), tr.draw(0, 16), 0, 1)
		require.NoError(t, err)
		episodes, tokens := make([]*episode, len(answers)), 0
		for i, a := range answers {
			e := &episode{Answer: a}
			for k := range a.Tokens { // numbers that make every term of the loss matter
				x := math.Sin(float64(10*i + k))
				e.logProbs = append(e.logProbs, float64(a.LogProbs[k])+0.3*x)
				e.refLogProbs = append(e.refLogProbs, float64(a.LogProbs[k]))
				e.values, e.returns, e.advantages = append(e.values, 0.1*x), append(e.returns, -x), append(e.advantages, math.Cos(7*x))
			}
			tokens += len(a.Tokens)
			episodes[i] = e
		}
		g, err := newGraph(tr.policy, tr.critic, cfg)
		require.NoError(t, err)
		terms, err := ClippedLoss(cfg)(g.lossInputs(cfg))
		require.NoError(t, err)
		grads, err := train.Grad(terms.Loss, append(g.policy.ParamNodes(), g.critic.ParamNodes()...))
		require.NoError(t, err)
		grads = slices.DeleteFunc(grads, func(n *gorgonia.Node) bool { return n == nil }) // the critic's output
		f, err := train.NewForward(g.in, grads, g.trunks())
		require.NoError(t, err)
		f.SetScalar(train.ScalarTokens, float64(tokens))
		plan, err := data.PackGroups(lengths(episodes), cfg.MicroTokens, cfg.MicroSegments)
		require.NoError(t, err)
		for _, items := range plan {
			micro, err := tr.batch.Fill([][]int{items}, func(r *data.Ragged, i int) error { return episodes[i].add(r, cfg) })
			require.NoError(t, err)
			out, err := f.Run(context.Background(), micro[0])
			require.NoError(t, err)
			flat := slices.Concat(out...)
			if all == nil {
				all = make([]float32, len(flat))
			}
			for i, x := range flat {
				all[i] += x
			}
		}
		return all, len(plan)
	}
	want, cuts := gradients(256, 32)
	require.Equal(t, 1, cuts)
	norm := 0.0
	for _, x := range want {
		norm += float64(x) * float64(x)
	}
	for _, budget := range [][2]int{{64, 8}, {12, 12}, {256, 3}} {
		got, cuts := gradients(budget[0], budget[1])
		require.Greater(t, cuts, 1)
		diff := 0.0
		for i := range got {
			diff += float64(got[i]-want[i]) * float64(got[i]-want[i])
		}
		assert.Less(t, math.Sqrt(diff/norm), 1e-5, "%v", budget)
	}
}

func TestSameSeedSameBits(t *testing.T) {
	result := func(seed uint64, slots int) []float32 {
		cfg := smallConfig()
		cfg.Seed, cfg.Slots, cfg.Epochs = seed, slots, 2
		tr := newTiny(t, cfg, sevens)
		iterate(t, tr, 3)
		return weights(tr.policy)
	}
	want := result(5, 64)
	assert.Equal(t, want, result(5, 3), "the number of slots does not matter")
	assert.NotEqual(t, want, result(6, 64))
}

// TestPromptOrder wants every prompt once in each pass.
func TestPromptOrder(t *testing.T) {
	tr := newTiny(t, smallConfig(), sevens)
	drawn := append(tr.draw(0, 7), tr.draw(7, 8)...)
	assert.Equal(t, drawn, tr.draw(0, 15), "the sequence does not depend on how it is cut")
	for pass := range slices.Chunk(drawn, 5) {
		assert.ElementsMatch(t, somePrompts(), pass)
	}
	assert.NotEqual(t, drawn[:5], drawn[5:10], "passes are shuffled anew")
}

func TestCriticWarmup(t *testing.T) {
	cfg := smallConfig()
	cfg.CriticWarmup, cfg.Epochs = 2, 2
	tr := newTiny(t, cfg, sevens)
	policy, critic := weights(tr.policy), weights(tr.critic)
	m := iterate(t, tr, 2)
	assert.Equal(t, policy, weights(tr.policy))
	assert.NotEqual(t, critic, weights(tr.critic))
	assert.Zero(t, m["lr/policy"])
	m = iterate(t, tr, 1)
	assert.NotEqual(t, policy, weights(tr.policy))
	assert.Equal(t, cfg.Optim.LearningRate, m["lr/policy"])
}

// TestKLCoefFollowsTheKL wants the controller to see the KL of a whole answer, as its target is one.
func TestKLCoefFollowsTheKL(t *testing.T) {
	cfg := smallConfig()
	cfg.KLControl, cfg.KLHorizon, cfg.Unfinished = KLAdaptive, 100, UnfinishedKeep
	tr := newTiny(t, cfg, sevens)
	iterate(t, tr, 1)
	coef := tr.klCoef
	cfg.KLTarget = iterate(t, tr, 1)["objective/kl"] / 1.1 // between the limits of the controller
	tr = newTiny(t, cfg, sevens)
	iterate(t, tr, 1)
	tr.klCoef = coef
	m := iterate(t, tr, 1)
	require.NotZero(t, m["objective/kl"])
	require.NotEqual(t, cfg.KLCoef, coef)
	assert.InDelta(t, coef, m["objective/kl_coef"], 1e-15, "the answers were rewarded with the old one")
	assert.InDelta(t, -coef*m["objective/kl"], m["objective/rlhf_reward"], 1e-12, "whitened scores have the mean 0")
	assert.InDelta(t, coef*(1+0.1*16/100), tr.klCoef, 1e-9)
}

// TestFallingRate wants the cosine over all optimisation steps of the run, those of later epochs too.
func TestFallingRate(t *testing.T) {
	cfg := DefaultConfig()
	cfg.MinLRRatio, cfg.Epochs = 0.2, 2
	rate := cfg.schedule(cfg.Optim) // 200 iterations, 2 epochs, 8 mini-batches
	assert.InDelta(t, 1e-6, rate.LR(0), 1e-18)
	assert.InDelta(t, 0.6e-6, rate.LR(1600), 1e-18, "half of the way from 1 to 0.2")
	assert.InDelta(t, 0.2e-6, rate.LR(3200), 1e-18)
}

// TestOptimisersAreNotMixedUp changes one setting of one network: in the first iteration that moves this network alone.
func TestOptimisersAreNotMixedUp(t *testing.T) {
	trained := func(change func(policy, critic *optim.Config)) (policy, critic []float32, m map[string]float64) {
		cfg := smallConfig()
		change(&cfg.Optim, &cfg.CriticOptim)
		tr := newTiny(t, cfg, sevens)
		m = iterate(t, tr, 1)
		return weights(tr.policy), weights(tr.critic), m
	}
	policy, critic, _ := trained(func(*optim.Config, *optim.Config) {})
	for name, change := range map[string]func(*optim.Config){
		"rate":  func(c *optim.Config) { c.LearningRate = 7e-3 },
		"decay": func(c *optim.Config) { c.WeightDecay = 0.5 },
		"clip":  func(c *optim.Config) { c.MaxGradNorm = 1e-6 },
	} {
		p, c, m := trained(func(policy, _ *optim.Config) { change(policy) })
		assert.NotEqual(t, policy, p, name)
		assert.Equal(t, critic, c, name)
		if name == "rate" {
			assert.InDeltaSlice(t, []float64{7e-3, 3e-3}, []float64{m["lr/policy"], m["lr/critic"]}, 1e-15)
		}
		p, c, m = trained(func(_, critic *optim.Config) { change(critic) })
		assert.Equal(t, policy, p, name)
		assert.NotEqual(t, critic, c, name)
		if name == "rate" {
			assert.InDeltaSlice(t, []float64{3e-3, 7e-3}, []float64{m["lr/policy"], m["lr/critic"]}, 1e-15)
		}
	}
}

func TestConstantRate(t *testing.T) {
	cfg := DefaultConfig()
	for _, step := range []int{0, 1, 799, 1599} {
		assert.Equal(t, 1e-6, cfg.schedule(cfg.Optim).LR(step), "paper 3.2.3")
	}
}

func TestMaxKL(t *testing.T) {
	cfg := smallConfig()
	cfg.Epochs = 4
	cfg.Optim.LearningRate = 0.05
	assert.Equal(t, 8.0, iterate(t, newTiny(t, cfg, sevens), 1)["policy/steps"])
	cfg.MaxKL = 0.05
	assert.Equal(t, 2.0, iterate(t, newTiny(t, cfg, sevens), 1)["policy/steps"], "the second step sees that the first went too far")

	cfg.Loss = func(in LossInputs) (Terms, error) {
		x := ops.Expr(in.LogProbs.Graph())
		return Terms{Loss: x.Neg(x.MaskedMean(x.Mul(in.LogProbs, in.Values), in.Mask, in.Tokens))}, x.Err()
	}
	_, err := New(tinyModel(t, 9, 1, 1), tinyCritic(t, 9, 1, 2), somePrompts(), nil, sevens, cfg)
	assert.ErrorContains(t, err, "policy/approxkl_k3")
}

// TestLearnsWithEverythingOn runs the paper's recipe: gate, whitening, penalty, several prompts.
func TestLearnsWithEverythingOn(t *testing.T) {
	cfg := smallConfig()
	cfg.Iterations, cfg.BatchSize, cfg.MiniBatch = 25, 64, 16
	cfg.Gate, cfg.KLCoef, cfg.KLControl, cfg.EntropyCoef = true, 0.02, KLAdaptive, 0.001
	cfg.KLTarget = 50
	cfg.MicroTokens, cfg.MicroSegments = 256, 32
	prompts := somePrompts()
	prompts[2].Safety = true
	judge := rewarderFunc(func(ctx context.Context, answers []data.Answer) ([]Score, error) {
		scores, err := sevens.Score(ctx, answers)
		for i, a := range answers {
			scores[i].Safety = 2
			if slices.Contains(a.Tokens, 8) { // 8 is unsafe
				scores[i].Safety = -4
			}
		}
		return scores, err
	})
	tr, err := New(tinyModel(t, 9, 2, 1), tinyCritic(t, 9, 1, 2), prompts, prompts, judge, cfg)
	require.NoError(t, err)
	first := iterate(t, tr, 1)
	last := iterate(t, tr, 24)
	assert.Greater(t, last["objective/helpfulness"], first["objective/helpfulness"]+1)
	assert.Greater(t, last["objective/safety"], first["objective/safety"])
	assert.Greater(t, first["objective/by_safety"], 0.2, "a fifth of the prompts is tagged")
	assert.Greater(t, last["val/num_eos_tokens"], first["val/num_eos_tokens"], "it learns to stop")
	assert.Greater(t, last["objective/kl_k3"], 0.1)
	assert.Less(t, last["objective/kl_coef"], 0.02, "the KL is below its target")
	for _, name := range []string{
		"objective/kl", "objective/kl_k2", "objective/kl_per_token", "objective/entropy", "objective/non_score_reward", "objective/rlhf_reward",
		"objective/scores", "objective/scores_std", "policy/approxkl_avg", "policy/approxkl_k1", "policy/approxkl_k3",
		"policy/clipfrac_avg", "policy/entropy_avg", "loss/policy_avg", "loss/value_avg", "val/clipfrac_avg", "val/ratio", "val/ratio_var",
		"critic/vf_explained_var", "response_length/mean", "perf/throughput", "grad_norm/policy", "grad_norm/critic",
		"timing_s/sample", "timing_s/score", "timing_s/forward", "timing_s/update", "timing_s/total",
	} {
		x, ok := last[name]
		assert.True(t, ok && !math.IsNaN(x) && !math.IsInf(x, 0), "%s is %v", name, x)
	}
}

func TestTrainReports(t *testing.T) {
	cfg := smallConfig()
	var infos []train.StepInfo
	var given int
	cfg.OnStep = func(i train.StepInfo) { infos = append(infos, i) }
	cfg.OnSamples = func(iteration int, answers []data.Answer, scores []Score) {
		assert.Equal(t, given, iteration)
		given++
		assert.Len(t, answers, 16)
		assert.Len(t, scores, 16)
	}
	policy, critic := tinyModel(t, 9, 1, 1), tinyCritic(t, 9, 1, 2)
	report, err := Train(context.Background(), policy, critic, somePrompts(), nil, sevens, cfg)
	require.NoError(t, err)
	assert.Equal(t, 3, report.Iterations)
	assert.Equal(t, 6, report.Steps)
	assert.True(t, math.IsNaN(report.BestScore))
	require.Len(t, infos, 3)
	assert.Equal(t, 3, given)
	assert.Equal(t, "ppo", infos[2].Stage)
	assert.Equal(t, 3, infos[2].Step)
	assert.Equal(t, 3, infos[2].Total)

	ctx, cancel := context.WithCancel(context.Background())
	cfg.OnSamples = nil
	cfg.OnStep = func(train.StepInfo) { cancel() }
	report, err = Train(ctx, policy, critic, somePrompts(), nil, sevens, cfg)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, 1, report.Iterations)
}

// TestLossOfOnesOwn reads extra columns that the rewarder gives.
func TestLossOfOnesOwn(t *testing.T) {
	cfg := smallConfig()
	cfg.ExtraSegment, cfg.ExtraToken = []string{"length"}, []string{"place"}
	cfg.Loss = func(in LossInputs) (Terms, error) {
		terms, err := ClippedLoss(cfg)(in)
		x := ops.Expr(in.LogProbs.Graph())
		terms.Metrics = append(terms.Metrics,
			Metric{Name: "mine/length", Value: x.Div(x.MaskedSum(in.Extra["length"], in.SegMask), in.Seqs)},
			Metric{Name: "mine/place", Value: x.Div(x.MaskedSum(in.Extra["place"], in.Mask), in.Seqs)})
		return terms, errors.Join(err, x.Err())
	}
	r := rewarderFunc(func(_ context.Context, answers []data.Answer) ([]Score, error) {
		scores := make([]Score, len(answers))
		for i, a := range answers {
			places := make([]float64, len(a.Tokens))
			for k := range places {
				places[k] = float64(k + 1)
			}
			scores[i] = Score{Extra: map[string]float64{"length": float64(len(a.Tokens))}, TokenExtra: map[string][]float64{"place": places}}
		}
		return scores, nil
	})
	tr := newTiny(t, cfg, r)
	var answers []data.Answer
	tr.cfg.OnSamples = func(_ int, a []data.Answer, _ []Score) { answers = a }
	m := iterate(t, tr, 1)
	length, place := 0.0, 0.0
	for _, a := range answers {
		n := float64(len(a.Tokens))
		length += n / 16
		place += n * (n + 1) / 2 / 16
	}
	assert.InDelta(t, length, m["mine/length"], 1e-5)
	assert.InDelta(t, place, m["mine/place"], 1e-5)

	// A column that the rewarder leaves out would be zeros.
	for want, change := range map[string]func(*Score){
		`Extra["length"], which Config.ExtraSegment names`:   func(s *Score) { s.Extra = nil },
		`TokenExtra["place"], which Config.ExtraToken names`: func(s *Score) { s.TokenExtra = map[string][]float64{"plaice": nil} },
	} {
		without := rewarderFunc(func(ctx context.Context, answers []data.Answer) ([]Score, error) {
			scores, err := r(ctx, answers)
			change(&scores[len(scores)-1])
			return scores, err
		})
		_, err := newTiny(t, cfg, without).Iterate(t.Context())
		assert.ErrorContains(t, err, want)
	}
}

// Recompute is less memory for the same bits, in policy and critic, or in the trunk that they share.
func TestRecompute(t *testing.T) {
	for _, shared := range []bool{false, true} {
		trained := func(recompute bool) (all []float32, memory int) {
			cfg := smallConfig()
			cfg.SharedTrunk, cfg.Recompute = shared, recompute
			policy, critic := tinyModel(t, 9, 4, 1), tinyCritic(t, 9, 4, 2)
			if shared {
				policy, critic = critic, nil
			}
			tr, err := New(policy, critic, somePrompts(), nil, sevens, cfg)
			require.NoError(t, err)
			iterate(t, tr, 2)
			if all = weights(policy); !shared {
				all = append(all, weights(critic)...)
			}
			return all, tr.step.Memory().Intermediates
		}
		kept, more := trained(false)
		again, less := trained(true)
		assert.Equal(t, kept, again)
		assert.Less(t, less, more*3/4)
	}
}
