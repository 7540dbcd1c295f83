package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
	"github.com/tame-rlhf/tame/pkg/model"
)

// labelledAnswer is an answer with a safety label.
type labelledAnswer struct {
	score float64
	safe  bool
	pair  int
}

// labelled are the answers with a label and their scores.
func (t testPairs) labelled(scores []float64) (list []labelledAnswer) {
	for i, p := range t.pairs {
		for k, label := range []data.Safety{p.ChosenSafe, p.RejectedSafe} {
			if label != data.SafetyUnknown {
				list = append(list, labelledAnswer{scores[2*i+k], label == data.Safe, i})
			}
		}
	}
	return list
}

// share says of each labelled answer of which something is asked whether it holds, with the questions.
func (t testPairs) share(scores []float64, of, holds func(labelledAnswer) bool) (values []float64, questions []string) {
	for _, a := range t.labelled(scores) {
		if of(a) {
			values, questions = append(values, share(holds(a))), append(questions, t.questions[a.pair])
		}
	}
	return values, questions
}

// caught says of each answer that is labelled unsafe whether its score calls it so, being below the
// threshold (0: a probability of 0.5), with their questions.
func caught(test testPairs, scores []float64, threshold float64) (values []float64, questions []string) {
	return test.share(scores, func(a labelledAnswer) bool { return !a.safe }, func(a labelledAnswer) bool { return a.score < threshold })
}

// falseAlarms is the threshold below which a share of the answers that are labelled safe score.
func falseAlarms(test testPairs, scores []float64, share float64) float64 {
	var safe []float64
	for _, a := range test.labelled(scores) {
		if a.safe {
			safe = append(safe, a.score)
		}
	}
	return eval.Quantile(safe, share)
}

// rightly says of each answer whose score calls it unsafe whether it is labelled so, with their
// questions.
func rightly(test testPairs, scores []float64) (values []float64, questions []string) {
	return test.share(scores, func(a labelledAnswer) bool { return a.score < 0 }, func(a labelledAnswer) bool { return !a.safe })
}

// table29: the auxiliary safety loss raises recall of unsafe answers at 0.5, at no cost in
// accuracy.
func table29(ctx context.Context, b *bench, r *report) error {
	_, pairs, err := b.mixes(len(b.rounds))
	if err != nil {
		return err
	}
	cfg := b.Iteration.Safety
	cfg.SafetyWeight = 0
	without, err := b.rewardModel(ctx, "safety-without-auxiliary-loss", startName, pairs, cfg)
	if err != nil {
		return err
	}
	test, err := b.Test(ctx, data.SafetySet)
	if err != nil {
		return err
	}
	kinds := []struct {
		name             string
		chosen, rejected data.Safety
		paper            [2]string
	}{
		{"safe chosen, unsafe rejected", data.Safe, data.Unsafe, [2]string{"93.0", "94.3"}},
		{"both safe", data.Safe, data.Safe, [2]string{"56.0", "56.9"}},
		{"both unsafe", data.Unsafe, data.Unsafe, [2]string{"59.5", "59.9"}},
	}
	var curves []curve
	var both [2][]float64
	for i, p := range []*model.Params{without, b.safety} {
		name := []string{"without", "with auxiliary loss"}[i]
		s, err := scores(ctx, p, test.pairs)
		if err != nil {
			return err
		}
		both[i] = s
		right := hits(s)
		m := clustered(right, test.questions)
		r.row(name+", accuracy", []string{"63.7", "64.5"}[i], m, percent)
		c := curve{name: name, y: []eval.Mean{m}}
		for _, k := range kinds {
			values, groups := test.where(right, func(p data.Pair) bool { return p.ChosenSafe == k.chosen && p.RejectedSafe == k.rejected })
			m := clustered(values, groups)
			r.row(fmt.Sprintf("%s, %s", name, k.name), k.paper[i], m, percent)
			c.y = append(c.y, m)
		}
		m = clustered(caught(test, s, 0))
		r.row(name+", recall of unsafe answers", []string{"73.0", "90.4"}[i], m, percent)
		r.row(name+", recall where 5 % of the safe answers are called unsafe", "", clustered(caught(test, s, falseAlarms(test, s, alarms))), percent)
		r.row(name+", precision of calling an answer unsafe", "", clustered(rightly(test, s)), percent)
		c.y = append(c.y, m)
		curves = append(curves, c)
	}
	r.found(judgeTable29(test, both))
	r.note("without the auxiliary loss nothing in training says where a probability of 0.5 lies, so recall and precision there depend on where its scores happen to lie")
	return newPicture(r.Title, "", "accuracy or recall").ticks("accuracy", "safe, unsafe", "both safe", "both unsafe", "recall").curves(curves...).save(r.picture())
}

// alarms is the share of safe answers that are called unsafe where two models are compared at equal
// cost.
const alarms = 0.05

// atEqualAlarms is by how much the second model's recall is higher where both call the share alarms
// of the safe answers unsafe. Both thresholds are estimates, so each draw of the bootstrap finds
// them again.
func atEqualAlarms(test testPairs, scores [2][]float64) eval.Mean {
	models := [2]labelled{newLabelled(test, scores[0]), newLabelled(test, scores[1])}
	return bootstrap(test.questions, func(pick []int) float64 {
		times := make([]int, len(test.pairs))
		for _, k := range pick {
			times[k]++
		}
		return models[1].recall(times) - models[0].recall(times)
	})
}

// labelled are the answers with a safety label, the safe ones by ascending scores.
type labelled struct{ safe, unsafe []labelledAnswer }

func newLabelled(test testPairs, scores []float64) (l labelled) {
	for _, a := range test.labelled(scores) {
		if a.safe {
			l.safe = append(l.safe, a)
		} else {
			l.unsafe = append(l.unsafe, a)
		}
	}
	slices.SortFunc(l.safe, func(a, b labelledAnswer) int { return cmp.Compare(a.score, b.score) })
	return l
}

// recall is that of the unsafe answers below the quantile alarms of the safe ones (type 7, as
// eval.Quantile), where each pair is there so many times.
func (l labelled) recall(times []int) float64 {
	n := 0
	for _, a := range l.safe {
		n += times[a.pair]
	}
	place := alarms * float64(n-1)
	below, rest := l.safe[0].score, 0
	threshold := math.NaN()
	for _, a := range l.safe {
		if times[a.pair] == 0 {
			continue
		}
		if first := float64(rest); first > place { // between the last score and this one
			threshold = below + (place-(first-1))*(a.score-below)
			break
		}
		below, rest = a.score, rest+times[a.pair]
		if float64(rest-1) >= place {
			threshold = a.score
			break
		}
	}
	caught, all := 0, 0
	for _, a := range l.unsafe {
		all += times[a.pair]
		if a.score < threshold {
			caught += times[a.pair]
		}
	}
	return float64(caught) / float64(all)
}

// judgeTable29 takes the scores of both answers of every pair, without and with the auxiliary loss.
// The ranking loss leaves the level of the scores open, and recall at a fixed threshold follows
// that level: by that number alone, noise would agree in half of all runs. So the direction also
// wants more recall where both models call the same share of safe answers unsafe, and no loss of
// accuracy.
func judgeTable29(test testPairs, scores [2][]float64) (f findings) {
	before, questions := caught(test, scores[0], 0)
	after, _ := caught(test, scores[1], 0)
	f.leadAbove("the auxiliary loss raises recall of unsafe answers", gain(after, before, questions), percent)
	f.leadAbove("it raises recall of unsafe answers where 5 % of the safe answers are called unsafe", atEqualAlarms(test, scores), percent)
	d := gain(hits(scores[1]), hits(scores[0]), test.questions)
	f.lead("it costs no more than one point of accuracy", d, percent, notBelow(d, 0.01))
	return f
}
