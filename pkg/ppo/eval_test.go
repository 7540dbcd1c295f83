package ppo

import (
	"context"
	"math"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/stat"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/train"
)

// examiner judges training by sevens, and held-out answers, known by their number, by grade.
type examiner struct {
	heldOut int
	grade   func(evaluation int, a data.Answer) float64
	answers [][]data.Answer // of each evaluation
}

func (e *examiner) Score(ctx context.Context, answers []data.Answer) ([]Score, error) {
	if len(answers) != e.heldOut {
		return sevens.Score(ctx, answers)
	}
	scores := make([]Score, len(answers))
	for i, a := range answers {
		scores[i].Helpfulness = e.grade(len(e.answers), a)
	}
	e.answers = append(e.answers, answers)
	return scores, nil
}

// script grades all answers of an evaluation alike.
func script(grades ...float64) *examiner {
	return &examiner{heldOut: len(somePrompts()), grade: func(k int, _ data.Answer) float64 { return grades[k] }}
}

// scriptConfig evaluates after every iteration, and answers are not judged by how they end.
func scriptConfig() Config {
	cfg := smallConfig()
	cfg.Iterations, cfg.EvalEvery = 20, 1
	cfg.Stop, cfg.Unfinished = nil, UnfinishedKeep
	return cfg
}

func newExamined(t testing.TB, cfg Config, r Rewarder) *Trainer {
	t.Helper()
	tr, err := New(tinyModel(t, 9, 1, 1), tinyCritic(t, 9, 1, 2), somePrompts(), somePrompts(), r, cfg)
	require.NoError(t, err)
	return tr
}

func finish(t testing.TB, tr *Trainer) Report {
	t.Helper()
	for !tr.Done() {
		iterate(t, tr, 1)
	}
	return tr.Finish()
}

// TestKeepsTheBest feeds evaluations a judge that likes the policy less and less.
func TestKeepsTheBest(t *testing.T) {
	cfg := scriptConfig()
	cfg.EvalEvery, cfg.Patience = 2, 3
	tr := newExamined(t, cfg, script(1, 4, 3, 4, 3.9, 5))
	first := iterate(t, tr, 1)
	assert.Equal(t, 1.0, first["eval/start_scores"])
	second := iterate(t, tr, 1)
	assert.Equal(t, []float64{4, 4, 4}, []float64{second["eval/scores"], second["eval/raw_scores"], second["eval/best"]})
	best := weights(tr.policy)
	iterate(t, tr, 1)
	fourth := iterate(t, tr, 1)
	assert.Equal(t, []float64{3, 4}, []float64{fourth["eval/scores"], fourth["eval/best"]})
	iterate(t, tr, 4)
	assert.NotEqual(t, best, weights(tr.policy))
	assert.Equal(t, Report{Iterations: 8, Steps: 16, BestIteration: 2, BestScore: 4, Stopped: "no better evaluation in 3"}, finish(t, tr))
	assert.Equal(t, best, weights(tr.policy), "the best weights are back")
}

// TestPatienceStartsAgain wants a better evaluation to end the count of worse ones, and 0 to mean that there is no count.
func TestPatienceStartsAgain(t *testing.T) {
	cfg := scriptConfig()
	cfg.Patience = 2
	grades := []float64{5, 4, 6, 5, 7, 6, 6}
	assert.Equal(t, Report{Iterations: 6, Steps: 12, BestIteration: 4, BestScore: 7, Stopped: "no better evaluation in 2"}, finish(t, newExamined(t, cfg, script(grades...))))
	cfg.Patience, cfg.Iterations = 0, 6
	assert.Equal(t, Report{Iterations: 6, Steps: 12, BestIteration: 4, BestScore: 7}, finish(t, newExamined(t, cfg, script(grades...))))
}

// TestLastIterationIsEvaluated evaluates the policy at the end even if EvalEvery does not divide Iterations.
func TestLastIterationIsEvaluated(t *testing.T) {
	cfg := scriptConfig()
	cfg.Iterations, cfg.EvalEvery = 3, 2
	assert.Equal(t, Report{Iterations: 3, Steps: 6, BestIteration: 3, BestScore: 3}, finish(t, newExamined(t, cfg, script(1, 2, 3))))
}

// TestStartIsACandidate trains towards sevens, which the held-out judge does not like: nothing is as good as the start.
func TestStartIsACandidate(t *testing.T) {
	cfg := scriptConfig()
	cfg.Iterations = 4
	e := &examiner{heldOut: len(somePrompts())}
	e.grade = func(_ int, a data.Answer) float64 {
		n, err := sevens.Score(context.Background(), []data.Answer{a})
		require.NoError(t, err)
		return -n[0].Helpfulness
	}
	cfg.Optim.LearningRate = 0.05
	tr := newExamined(t, cfg, e)
	start := weights(tr.policy)
	m := iterate(t, tr, 4)
	require.Less(t, m["eval/scores"], m["eval/best"])
	require.NotEqual(t, start, weights(tr.policy))
	report := tr.Finish()
	assert.Equal(t, 0, report.BestIteration)
	assert.Equal(t, m["eval/best"], report.BestScore)
	assert.Equal(t, start, weights(tr.policy))
}

// TestWarmupDoesNotCountForPatience judges the same policy better or worse by chance while the critic warms up.
func TestWarmupDoesNotCountForPatience(t *testing.T) {
	cfg := scriptConfig()
	cfg.CriticWarmup, cfg.Patience = 4, 2
	tr := newExamined(t, cfg, script(5, 4, 9, 4, 4, 3, 2))
	start := weights(tr.policy)
	m := iterate(t, tr, 4)
	assert.Equal(t, []float64{4, 5}, []float64{m["eval/scores"], m["eval/best"]}, "it is reported")
	assert.False(t, tr.Done())
	assert.Zero(t, tr.best.worse)
	iterate(t, tr, 1)
	assert.Equal(t, 1, tr.best.worse)
	assert.Equal(t, Report{Iterations: 6, Steps: 12, BestIteration: 0, BestScore: 5, Stopped: "no better evaluation in 2"}, finish(t, tr))
	assert.Equal(t, start, weights(tr.policy))
}

// TestPatienceSurvivesResume stops a run after each iteration of a countdown, on disk, and wants all that a straight run has.
func TestPatienceSurvivesResume(t *testing.T) {
	cfg := smallConfig() // the scores of unfinished answers depend on the start's
	cfg.Iterations, cfg.EvalEvery, cfg.Patience = 20, 1, 4
	exam := func() *examiner {
		e := script(1, 4, 3, 2, 3, 1)
		grade := e.grade
		e.grade = func(k int, a data.Answer) float64 { return grade(k, a) + 0.01*float64(len(a.Tokens)) }
		return e
	}
	straight := newExamined(t, cfg, exam())
	var scores []float64
	for !straight.Done() {
		scores = append(scores, iterate(t, straight, 1)["eval/scores"])
	}
	want := straight.Finish()
	require.Equal(t, []any{5, 1, "no better evaluation in 4"}, []any{want.Iterations, want.BestIteration, want.Stopped})

	for stop := 1; stop <= 5; stop += 2 {
		e := exam()
		cfg.Checkpointing = train.Checkpointing{Dir: filepath.Join(t.TempDir(), "ppo"), Every: 1}
		broken := newExamined(t, cfg, e)
		iterate(t, broken, stop)
		resumed := newExamined(t, cfg, e)
		before, after := broken.best, resumed.best
		assert.Equal(t, weights(before.weights), weights(after.weights))
		before.weights, after.weights = nil, nil
		assert.Equal(t, before, after)
		assert.Equal(t, stop == 5, resumed.Done(), "a stopped run stays stopped")
		for k := stop; !resumed.Done(); k++ {
			assert.Equal(t, scores[k], iterate(t, resumed, 1)["eval/scores"], "stopped after %d, iteration %d", stop, k)
		}
		assert.Equal(t, want, resumed.Finish(), "stopped after %d", stop)
		assert.Equal(t, weights(straight.policy), weights(resumed.policy))
	}

	// The same with Train: in the middle of the countdown, and after its end.
	for _, stop := range []int{3, 5} {
		cfg.Checkpointing = train.Checkpointing{Dir: filepath.Join(t.TempDir(), "ppo"), Every: 1}
		ctx, cancel := context.WithCancel(t.Context())
		cfg.OnStep = func(info train.StepInfo) {
			if info.Step == stop {
				cancel()
			}
		}
		e := exam()
		policy := tinyModel(t, 9, 1, 1)
		_, err := Train(ctx, policy, tinyCritic(t, 9, 1, 2), somePrompts(), somePrompts(), e, cfg)
		if stop < 5 {
			require.ErrorIs(t, err, context.Canceled)
		}
		cfg.OnStep = nil
		policy = tinyModel(t, 9, 1, 1)
		got, err := Train(t.Context(), policy, tinyCritic(t, 9, 1, 2), somePrompts(), somePrompts(), e, cfg)
		require.NoError(t, err)
		assert.Equal(t, want, got, "stopped after %d", stop)
		assert.Equal(t, weights(straight.policy), weights(policy))
	}
}

// TestHeldOutScores computes them from the answers that the judge saw, in every mode: what an unfinished answer loses or gets is
// in deviations of the start's scores with WhitenScores, in raw scores without.
func TestHeldOutScores(t *testing.T) {
	sum := func(a data.Answer) (s float64) {
		for _, id := range a.Tokens {
			s += float64(id)
		}
		return s
	}
	for _, mode := range []Unfinished{UnfinishedPenalty, UnfinishedFixed, UnfinishedKeep} {
		for _, whiten := range []bool{true, false} {
			cfg := smallConfig()
			cfg.EvalEvery, cfg.Unfinished, cfg.UnfinishedValue, cfg.WhitenScores = 1, mode, 0.75, whiten
			cfg.Stop = []int32{2, 5} // some answers end, some do not
			e := &examiner{heldOut: len(somePrompts()), grade: func(_ int, a data.Answer) float64 { return sum(a) }}
			tr := newExamined(t, cfg, e)
			m := iterate(t, tr, 1)
			got := []map[string]float64{{"eval/scores": m["eval/start_scores"]}, m, iterate(t, tr, 1), iterate(t, tr, 1)}

			var counted []float64 // of the start
			for _, a := range e.answers[0] {
				if a.Finished || mode != UnfinishedFixed {
					counted = append(counted, sum(a))
				}
			}
			require.GreaterOrEqual(t, len(counted), 2)
			mean, deviation := stat.Mean(counted, nil), math.Sqrt(stat.PopVariance(counted, nil))
			if !whiten {
				mean, deviation = 0, 1
			}
			require.Len(t, e.answers, 4)
			unfinished := 0
			for k, answers := range e.answers {
				want, raw, finished := 0.0, 0.0, 0.0
				for _, a := range answers {
					score := sum(a)
					raw += score / 5
					if a.Finished {
						finished += 1.0 / 5
					} else {
						unfinished++
						switch mode {
						case UnfinishedPenalty:
							score -= 0.75 * deviation
						case UnfinishedFixed:
							score = mean + 0.75*deviation
						}
					}
					want += score / 5
				}
				assert.InDelta(t, want, got[k]["eval/scores"], 1e-7, "%v, whiten %v, evaluation %d", mode, whiten, k) // the eps in the deviation
				if k > 0 {
					assert.InDelta(t, raw, got[k]["eval/raw_scores"], 1e-12)
					assert.InDelta(t, finished, got[k]["eval/finished"], 1e-12)
				}
			}
			require.Positive(t, unfinished)
		}
	}
	// A start that ends no answer still has a scale.
	cfg := DefaultConfig()
	cfg.Unfinished = UnfinishedFixed
	unit := heldOutScale([]float64{1, 3}, []bool{false, false}, cfg)
	assert.Equal(t, 2.0, unit.Mean)
	assert.InDelta(t, 1, unit.Deviation, 1e-8)
	// So has one that ends a single answer, whose score alone has no deviation.
	unit = heldOutScale([]float64{1, 3}, []bool{true, false}, cfg)
	assert.InDelta(t, 1, unit.Deviation, 1e-8)
}

func TestBetter(t *testing.T) {
	for _, c := range []struct {
		now, than evaluation
		want      bool
	}{
		{evaluation{2, 0.5}, evaluation{1, 0.5}, true},
		{evaluation{1, 0.5}, evaluation{1, 0.1}, false}, // not better than itself; the share is in the score
		{evaluation{2, 0.1}, evaluation{1, 0.9}, true},
		{evaluation{9, 0}, evaluation{1, 0.1}, false}, // it never ends
		{evaluation{1, 0.1}, evaluation{9, 0}, true},
		{evaluation{2, 0}, evaluation{1, 0}, true}, // no answer of either ended
		{evaluation{1, 0}, evaluation{2, 0}, false},
	} {
		assert.Equal(t, c.want, c.now.better(c.than), "%+v", c)
	}
}

// TestEndlessPolicyDoesNotWin pays for every token, so that training makes the policy talk until it is cut off.
func TestEndlessPolicyDoesNotWin(t *testing.T) {
	length := FromReward(data.EachAnswer(func(a data.Answer) float64 { return float64(len(a.Tokens)) }))
	cfg := smallConfig()
	cfg.Iterations, cfg.BatchSize, cfg.MiniBatch, cfg.EvalEvery, cfg.Patience, cfg.KLCoef = 16, 64, 16, 4, 0, 0
	cfg.Optim.LearningRate = 0.03
	cfg.Unfinished, cfg.Stop = UnfinishedKeep, []int32{2, 3, 4, 5}
	tr := newExamined(t, cfg, length)
	first := iterate(t, tr, 1)
	last := iterate(t, tr, 15)
	require.Zero(t, last["eval/finished"])
	require.Equal(t, 6.0, last["eval/scores"])
	require.Less(t, first["eval/start_scores"], 6.0)
	report := tr.Finish()
	assert.Less(t, report.BestScore, 6.0)
	answers, err := tr.sample(t.Context(), tr.heldOut, heldOutStreams, 1)
	require.NoError(t, err)
	ended := 0
	for _, a := range answers {
		if a.Finished {
			ended++
		}
	}
	assert.Positive(t, ended, "the policy that is kept ends answers")
}

// TestEvaluationStreams wants every evaluation to draw the same numbers, and none of training's.
func TestEvaluationStreams(t *testing.T) {
	cfg := scriptConfig()
	cfg.CriticWarmup, cfg.Iterations = 3, 3 // the policy is the same all the time
	cfg.BatchSize, cfg.MiniBatch = 10, 10
	var sampled [][]data.Answer
	cfg.OnSamples = func(_ int, answers []data.Answer, _ []Score) { sampled = append(sampled, answers) }
	e := script(0, 0, 0, 0)
	prompts := make([]data.TokenPrompt, 5)
	for i := range prompts {
		prompts[i] = data.TokenPrompt{Tokens: []int32{1}}
	}
	tr, err := New(tinyModel(t, 9, 1, 1), tinyCritic(t, 9, 1, 2), prompts, prompts, e, cfg)
	require.NoError(t, err)
	iterate(t, tr, 3)
	require.Len(t, e.answers, 4)
	for _, again := range e.answers[1:] {
		assert.Equal(t, e.answers[0], again)
	}
	texts := map[string]int{}
	for _, answers := range append(sampled, e.answers[0]) {
		for _, a := range answers {
			texts[string(textOf(a))]++
		}
	}
	assert.Greater(t, len(texts), 33, "35 answers to one prompt are nearly all different")
}

// textOf makes a key of an answer.
func textOf(a data.Answer) (text []byte) {
	for _, id := range a.Tokens {
		text = append(text, byte('0'+id))
	}
	return text
}
