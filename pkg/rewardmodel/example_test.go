package rewardmodel_test

import (
	"context"
	"fmt"
	"log"
	"math/rand/v2"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/ops"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
)

// tinyModel stands in for a chat model.
func tinyModel() *model.Params {
	p := model.NewParams(model.Config{
		Dim: 16, NumLayers: 1, NumHeads: 2, NumKVHeads: 2, HeadDim: 8, HiddenDim: 32, VocabSize: 12,
		MaxSeqLen: 16, NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}, tensor.Float32)
	p.Init(rand.New(rand.NewPCG(1, 2)))
	return p
}

// preferences are pairs in whose answers the annotator likes a 4 and not a 5. Token 1 is BOS, 2 is EOS.
func preferences(count int) []data.Pair {
	pairs := make([]data.Pair, count)
	for i := range pairs {
		other := int32(6 + i%6)
		pairs[i] = data.Pair{
			Prompt: []int32{1, int32(6 + i/6%6)}, Chosen: []int32{4, other, 2}, Rejected: []int32{5, other, 2},
			Rating: data.SignificantlyBetter,
		}
	}
	return pairs
}

// config is DefaultConfig for a tiny model.
func config() rewardmodel.Config {
	cfg := rewardmodel.DefaultConfig()
	cfg.Optim = optim.DefaultConfig(1e-2)
	cfg.BatchSize = 12
	cfg.MicroTokens, cfg.MicroSegments = 256, 32
	return cfg
}

func ExampleTrain() {
	rm := tinyModel()
	rm.AddHead(rand.New(rand.NewPCG(3, 4)))
	if _, err := rewardmodel.Train(context.Background(), rm, preferences(144), nil, config()); err != nil {
		log.Fatal(err)
	}
	scorer, err := rewardmodel.NewScorer(rm, 256, 32)
	if err != nil {
		log.Fatal(err)
	}
	e, err := rewardmodel.Evaluate(context.Background(), scorer, preferences(36))
	if err != nil {
		log.Fatal(err)
	}
	lo, hi := e.Accuracy.Interval()
	fmt.Printf("accuracy %.2f [%.2f, %.2f] of %d pairs\n", e.Accuracy.Rate(), lo, hi, e.Accuracy.N)
	// Output: accuracy 1.00 [0.90, 1.00] of 36 pairs
}

// A loss of one's own: the ranking loss of Bradley and Terry without margins, and a price on large scores.
func ExampleConfig_loss() {
	cfg := config()
	cfg.Loss = func(in rewardmodel.LossInputs) (rewardmodel.Terms, error) {
		x := ops.Expr(in.Chosen.Graph())
		ranking := x.Neg(x.LogSigmoid(x.Sub(in.Chosen, in.Rejected)))
		size := x.Scale(x.Add(x.Square(in.Chosen), x.Square(in.Rejected)), 0.1)
		return rewardmodel.Terms{Loss: x.MaskedMean(x.Add(ranking, size), in.PairMask, in.Pairs)}, x.Err()
	}
	rm := tinyModel()
	rm.AddHead(rand.New(rand.NewPCG(3, 4)))
	report, err := rewardmodel.Train(context.Background(), rm, preferences(144), nil, cfg)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d steps, loss below log 2: %v\n", report.Steps, report.Loss < 0.69)
	// Output: 12 steps, loss below log 2: true
}

func ExampleNewScorer() {
	rm := tinyModel()
	rm.AddHead(nil) // zeros
	scorer, err := rewardmodel.NewScorer(rm, 64, 8)
	if err != nil {
		log.Fatal(err)
	}
	scores, err := scorer.Score(context.Background(), [][]int32{{1, 6, 4, 2}, {1, 7, 5, 2}})
	fmt.Println(scores, err)
	// Output: [0 0] <nil>
}

func ExampleJudge() {
	pairs := []data.Pair{
		{Rating: data.Better, ChosenSafe: data.Safe, RejectedSafe: data.Unsafe},
		{Rating: data.SlightlyBetter},
	}
	e, err := rewardmodel.Judge(pairs, []float64{1.5, -0.5, 0.25, 0.25}) // the second pair is a tie
	fmt.Println(e.Accuracy.Rate(), e.ByRating[data.SlightlyBetter].Rate(), e.UnsafeRecall.Rate(), err)
	// Output: 0.75 0.5 1 <nil>
}

// A quarter of the answers may stay below the gate of R_c, whose logit is -1.735.
func ExampleCalibratePairs() {
	rm := tinyModel()
	rm.AddHead(rand.New(rand.NewPCG(3, 4)))
	scorer, err := rewardmodel.NewScorer(rm, 256, 32)
	if err != nil {
		log.Fatal(err)
	}
	cfg := rewardmodel.DefaultCalibration()
	cfg.Quantile = 0.25
	pairs := preferences(36)
	level, err := rewardmodel.CalibratePairs(context.Background(), scorer, pairs, cfg)
	if err != nil {
		log.Fatal(err)
	}
	below := 0
	for _, p := range pairs {
		scores, err := scorer.ScoreAnswers(context.Background(), data.AnswersOf([]data.Pair{p}))
		if err != nil {
			log.Fatal(err)
		}
		for _, s := range scores {
			if s < cfg.Level-1e-6 {
				below++
			}
		}
	}
	fmt.Printf("%d of %d answers are below %.3f\n", below, level.Scored, cfg.Level)
	// Output: 18 of 72 answers are below -1.735
}
