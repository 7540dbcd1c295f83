// Rewardmodel learns from comparisons which answers are good (Touvron et al. 2023, section 3.2.2). An annotator, whose
// judgement is not perfect, has said of pairs of answers which is better and by how much. It takes seconds.
//
// As in Table 8 of the paper the model agrees with the annotator most where the annotator was most sure.
package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
	"github.com/tame-rlhf/tame/pkg/train"
)

var (
	things    = strings.Fields("bike clock lamp radio")
	helpful   = strings.Fields("open clean oil test")
	unhelpful = strings.Fields("dunno whatever maybe kick")
)

// quality is what the annotator tries to see: helpful words less unhelpful ones. The model is never told.
func quality(answer string) (q float64) {
	for _, word := range strings.Fields(answer) {
		switch {
		case slices.Contains(helpful, word):
			q++
		case slices.Contains(unhelpful, word):
			q--
		}
	}
	return q
}

// preferences draws prompts with two answers and has them judged.
func preferences(seed uint64, n int) []data.Preference {
	rng := rand.New(rand.NewPCG(seed, 1))
	answer := func() string {
		words := make([]string, 4)
		for i := range words {
			words[i] = [][]string{helpful, unhelpful}[rng.IntN(2)][rng.IntN(4)]
		}
		return strings.Join(words, " ")
	}
	rows := make([]data.Preference, n)
	for i := range rows {
		chosen, rejected := answer(), answer()
		gap := quality(chosen) - quality(rejected) + 1.5*rng.NormFloat64() // as the annotator sees it
		if gap < 0 {
			chosen, rejected, gap = rejected, chosen, -gap
		}
		rating := data.NegligiblyBetter
		switch {
		case gap > 4:
			rating = data.SignificantlyBetter
		case gap > 2.5:
			rating = data.Better
		case gap > 1:
			rating = data.SlightlyBetter
		}
		rows[i] = data.Preference{
			Messages: []data.Message{{Role: data.User, Content: "how do I fix my " + things[rng.IntN(len(things))] + "?"}},
			Chosen:   chosen, Rejected: rejected, Rating: rating, Set: data.HelpfulnessSet,
		}
	}
	return rows
}

// fresh makes a tokenizer of the answers' words and a tiny model. A real reward model starts from a chat model.
func fresh(ctx context.Context, rows []data.Preference) (*tokenizer.Tokenizer, *model.Params, error) {
	var lines []string
	for _, row := range rows {
		lines = append(lines, row.Messages[0].Content, row.Chosen, row.Rejected)
	}
	cfg := tokenizer.DefaultTrainConfig()
	cfg.VocabSize = 330
	tok, err := tokenizer.Train(ctx, slices.Values(lines), cfg)
	if err != nil {
		return nil, nil, err
	}
	p := model.NewParams(model.Config{
		Dim: 32, NumLayers: 1, NumHeads: 4, NumKVHeads: 4, HeadDim: 8, HiddenDim: 64, VocabSize: tok.VocabSize(),
		MaxSeqLen: 64, NormEps: 1e-5, RopeTheta: 1e4, BOS: tok.BOS(), EOS: tok.EOS(),
	}, tensor.Float32)
	rng := rand.New(rand.NewPCG(1, 2))
	p.Init(rng)
	p.AddHead(rng) // a score instead of a next token
	return tok, p, nil
}

// run gives the losses of every step and how the model does on pairs it has not seen.
func run(ctx context.Context, out io.Writer) (losses []float64, e rewardmodel.Evaluation, err error) {
	training, heldOut := preferences(1, 1200), preferences(2, 600)
	tok, p, err := fresh(ctx, training)
	if err != nil {
		return nil, e, err
	}
	tmpl, err := data.PieceTemplate(tok)
	if err != nil {
		return nil, e, err
	}
	pairs, err := rewardmodel.Encode(tmpl, training)
	if err != nil {
		return nil, e, err
	}

	// One epoch, as in the paper: more over-fits.
	cfg := rewardmodel.DefaultConfig()
	cfg.Optim = optim.DefaultConfig(5e-3)
	cfg.BatchSize = 30
	cfg.Margins = rewardmodel.SmallMargin
	cfg.MicroTokens, cfg.MicroSegments = 2048, 60
	cfg.OnStep = func(s train.StepInfo) {
		losses = append(losses, s.Metrics["loss"])
		if s.Step%10 == 0 || s.Step == 1 {
			fmt.Fprintf(out, "step %2d of %d  loss %.2f  accuracy %.2f\n", s.Step, s.Total, s.Metrics["loss"], s.Metrics["accuracy"])
		}
	}
	if _, err := rewardmodel.Train(ctx, p, pairs, nil, cfg); err != nil {
		return nil, e, err
	}

	// Accuracy on held-out pairs, by how sure the annotator was.
	if pairs, err = rewardmodel.Encode(tmpl, heldOut); err != nil {
		return nil, e, err
	}
	scorer, err := rewardmodel.NewScorer(p, 2048, 64)
	if err != nil {
		return nil, e, err
	}
	if e, err = rewardmodel.Evaluate(ctx, scorer, pairs); err != nil {
		return nil, e, err
	}
	for rating := data.SignificantlyBetter; rating >= data.NegligiblyBetter; rating-- {
		c := e.ByRating[rating]
		lo, hi := c.Interval()
		fmt.Fprintf(out, "%-26v accuracy %.2f [%.2f, %.2f] of %3d pairs\n", rating, c.Rate(), lo, hi, c.N)
	}

	// Scores of two answers: 0 is the middle, larger is better.
	prompt, good, bad := pairs[0].Prompt, "open clean test oil", "maybe kick maybe dunno"
	scores, err := scorer.Score(ctx, [][]int32{
		slices.Concat(prompt, tok.Encode(good), []int32{tok.EOS()}), slices.Concat(prompt, tok.Encode(bad), []int32{tok.EOS()}),
	})
	if err != nil {
		return nil, e, err
	}
	for i, answer := range []string{good, bad} {
		fmt.Fprintf(out, "%-26s score %5.1f, a reward of %.2f\n", answer, scores[i], 1/(1+math.Exp(-scores[i])))
	}
	return losses, e, nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if _, _, err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "rewardmodel:", err)
		os.Exit(1)
	}
}
