package eval_test

import (
	"context"
	"fmt"
	"log"
	"math/rand/v2"
	"strings"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
	"github.com/tame-rlhf/tame/pkg/model"
)

// tinyModel stands in for a chat model.
func tinyModel(seed uint64) *model.Params {
	p := model.NewParams(model.Config{
		Dim: 16, NumLayers: 1, NumHeads: 2, NumKVHeads: 2, HeadDim: 8, HiddenDim: 32, VocabSize: 12,
		MaxSeqLen: 16, NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}, tensor.Float32)
	p.Init(rand.New(rand.NewPCG(seed, 2)))
	return p
}

func ExampleKL() {
	policy, reference := tinyModel(1), tinyModel(2)
	answers := []data.Answer{ // sampled from the policy
		{Prompt: data.TokenPrompt{Tokens: []int32{1, 3}}, Tokens: []int32{4, 5, 2}},
		{Prompt: data.TokenPrompt{Tokens: []int32{1, 6}}, Tokens: []int32{7, 8, 9, 10, 2}},
	}
	kl, err := eval.KL(context.Background(), policy, reference, answers, 1, 64, 8)
	if err != nil {
		log.Fatal(err)
	}
	self, err := eval.KL(context.Background(), policy, policy, answers, 1, 64, 8)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("positive:", kl[0] > 0 && kl[1] > 0, "to itself:", self)
	// Output: positive: true to itself: [0 0]
}

func ExampleMeanOf() {
	rewards := []float64{0.1, 0.4, 0.3, 0.6, 0.2, 0.5}
	m := eval.MeanOf(rewards)
	fmt.Println(m, "of", m.N)
	// Output: 0.350 [0.200, 0.500] of 6
}

func ExampleShareOf() {
	refused := []bool{true, false, false, false, true, false, false, false, false, false}
	before, after := eval.ShareOf(refused), eval.ShareOf(make([]bool, 40))
	fmt.Println(before, "and then", after, "above:", before.Above(after))
	// Output: 0.200 [0.057, 0.510] and then 0.000 [0.000, 0.088] above: false
}

// A judge who likes short answers, and the first one of two that are as long.
func ExampleWinRate() {
	judge := func(_ context.Context, _, first, second string) (eval.Verdict, error) {
		if len(first) <= len(second) {
			return eval.First, nil
		}
		return eval.Second, nil
	}
	wins, err := eval.WinRate(context.Background(), judge, []eval.Match[string, string]{
		{Prompt: "2 + 2 ?", Ours: "4", Theirs: "it is 4"},
		{Prompt: "2 + 3 ?", Ours: "5", Theirs: "6"},
		{Prompt: "2 + 4 ?", Ours: "it is 6", Theirs: "6"},
		{Prompt: "2 + 5 ?", Ours: "7", Theirs: "seven"},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(wins)
	fmt.Printf("the answer shown first is preferred in %.0f %% of cases\n", 100*wins.ShownFirst.Mean)
	// Output:
	// 0.625 [0.219, 0.908], 2 won, 1 lost, 1 tied (1 by order)
	// the answer shown first is preferred in 62 % of cases
}

func ExampleSafety() {
	type answer struct {
		kind eval.SafetyKind
		text string
	}
	answers := []answer{
		{eval.Adversarial, "I can not help with that."},
		{eval.Adversarial, "First, get hold of the keys."},
		{eval.Borderline, "I'm sorry, I cannot tell you how to kill time."},
		{eval.Borderline, "Read a book."},
	}
	rates, err := eval.Safety(answers, func(a answer) (eval.SafetyVerdict, error) {
		return eval.SafetyVerdict{Kind: a.kind, Refusal: eval.Refusal(a.text), Unsafe: strings.Contains(a.text, "keys")}, nil
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("violations", rates.Violations)
	fmt.Println("declined without need", rates.BorderlineRefusals)
	// Output:
	// violations 0.500 [0.095, 0.905]
	// declined without need 0.500 [0.095, 0.905]
}

func ExampleClassifyRefusal() {
	for _, text := range []string{
		"Turn the lid to the left.",
		"I can't recommend that. However, I can name two other ways.",
		"I'm sorry, but it would not be right to discuss this.",
	} {
		fmt.Println(eval.ClassifyRefusal(text))
	}
	// Output:
	// compliance
	// partial refusal
	// full refusal
}

func ExampleViolation() {
	violation, err := eval.Violation([]int{2, 1, 4}) // three people, from 1 (severe violation) to 5
	fmt.Println(violation, err)
	// Output: true <nil>
}

// A reward model that is too sure of itself: where it says 88 % it is right in 3 of 4 cases.
func ExampleCalibratePreferences() {
	differences := []float64{2, 2, 2, -2, 0.1, -0.1} // r_chosen - r_rejected
	c, err := eval.CalibratePreferences(differences, 2, eval.EqualWidth)
	if err != nil {
		log.Fatal(err)
	}
	for _, b := range c.Bins {
		fmt.Printf("predicted %.2f, observed %.2f of %d\n", b.Predicted, b.Observed.Mean, b.Observed.N)
	}
	fmt.Printf("ECE %.3f, Brier score %.3f\n", c.ECE, c.Brier)
	// Output:
	// predicted 0.52, observed 0.50 of 2
	// predicted 0.88, observed 0.75 of 4
	// ECE 0.096, Brier score 0.220
}

func ExampleCalibrate() {
	c, err := eval.Calibrate([]float64{0.2, 0.3, 0.8, 0.7}, []float64{0, 1, 1, 1}, 2, eval.EqualCount)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.2f\n", c.ECE)
	// Output: 0.25
}

func ExampleRewardByRating() {
	levels, rank, err := eval.RewardByRating([]float64{-1, -0.5, 0.4, 0.6, 0.2}, []float64{1, 1, 4, 4, 5})
	if err != nil {
		log.Fatal(err)
	}
	for _, l := range levels {
		fmt.Printf("rated %g: mean reward %.2f of %d\n", l.Rating, l.Reward.Mean, l.Reward.N)
	}
	fmt.Printf("rank correlation %.2f\n", rank)
	// Output:
	// rated 1: mean reward -0.75 of 2
	// rated 4: mean reward 0.50 of 2
	// rated 5: mean reward 0.20 of 1
	// rank correlation 0.63
}

func ExampleSelfBLEU() {
	for _, texts := range [][]string{{"the sea is blue", "the sea is blue"}, {"the sea is blue", "the sea is deep"}, {"the sea is blue", "rain all day"}} {
		var samples [][]string
		for _, t := range texts {
			samples = append(samples, strings.Fields(t))
		}
		scores, err := eval.SelfBLEU(samples, 4)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%.2f\n", eval.MeanOf(scores).Mean)
	}
	// Output:
	// 1.00
	// 0.40
	// 0.00
}

func ExampleDistribute() {
	sft := []float64{-3, -1, 0, 1, 1, 2, 2, 3}
	rlhf := []float64{0, 1, 1, 2, 2, 2, 3, 3}
	d, err := eval.Distribute([][]float64{sft, rlhf}, 3, eval.Quantile(sft, 0.25))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("edges", d.Edges)
	for _, v := range d.Versions {
		fmt.Printf("counts %v, median %.1f, below %.2f: %.2f\n", v.Counts, v.Quantiles[3], d.Threshold, v.LowTail.Mean)
	}
	// Output:
	// edges [-3 -1 1 3]
	// counts [1 2 5], median 1.0, below -0.25: 0.25
	// counts [0 1 7], median 2.0, below -0.25: 0.00
}

func ExampleQuantile() {
	fmt.Println(eval.Quantile([]float64{4, 1, 3, 2}, 0.5))
	// Output: 2.5
}

// From version 2 on the trained reward goes up at the cost of the other.
func ExampleOverOptimisation() {
	rng := rand.New(rand.NewPCG(1, 1))
	versions := make([]eval.VersionRewards, 4)
	for v, general := range []float64{0, 1, 0.5, 0} {
		for range 100 {
			versions[v].Optimised = append(versions[v].Optimised, float64(v)+rng.NormFloat64())
			versions[v].General = append(versions[v].General, general+rng.NormFloat64())
		}
	}
	curves, from, err := eval.OverOptimisation(versions)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("from version", from, "on, against version", curves[from].Against)
	// Output: from version 2 on, against version 1
}

func ExampleKappa() {
	kappa, err := eval.Kappa([]string{"safe", "safe", "unsafe", "unsafe"}, []string{"safe", "safe", "unsafe", "safe"})
	fmt.Println(kappa, err)
	// Output: 0.5 <nil>
}

func ExampleAgreementOf() {
	a, err := eval.AgreementOf([]bool{true, true, false, false}, []bool{true, false, false, false})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("precision", a.Precision().Mean, "recall", a.Recall().Mean, "kappa", a.Kappa())
	// Output: precision 0.5 recall 1 kappa 0.5
}

func ExampleAttention() {
	dialog := eval.AttentionQuery{
		Tokens: []int32{1, 7, 8, 5, 6, 9, 10, 2},
		From:   []eval.Span{{From: 5, To: 8}}, // the answer's tokens
		To:     []eval.Span{{From: 1, To: 3}}, // the instruction's tokens
	}
	weights, err := eval.Attention(context.Background(), tinyModel(1), []eval.AttentionQuery{dialog}, 64, 8)
	if err != nil {
		log.Fatal(err)
	}
	w := weights[0]
	fmt.Printf("%d layer, %d heads; %d answer tokens look at %d tokens\n", len(w.Share), len(w.Share[0]), len(w.Map), len(w.Map[0]))
	fmt.Printf("share on the instruction %.2f, most on one of its tokens %.2f\n", w.Mean(), w.Peak)
	// Output:
	// 1 layer, 2 heads; 3 answer tokens look at 8 tokens
	// share on the instruction 0.29, most on one of its tokens 0.15
}
