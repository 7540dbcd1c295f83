package pipeline_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/curate"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/ppo"
	"github.com/tame-rlhf/tame/pkg/rejection"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
	"github.com/tame-rlhf/tame/pkg/run"
)

// biasOf is the bias of a reward model's head.
func biasOf(p *model.Params) *float32 { return &p.Get("score.bias").Value.Float32s()[0] }

// TestWinnersDoNotDependOnTheBias gives the helpfulness model of a run other biases before the
// calibration, and a safety model that catches half of the answers. The gate compares the two
// models' scores, so without a calibration the winners differ.
func TestWinnersDoNotDependOnTheBias(t *testing.T) {
	d, cfg := smallRun(t)
	cfg.Versions, cfg.PPOFrom = 1, 2
	cfg.Calibration.Quantile, cfg.HeldOut = 0.2, 0.3
	dir := filepath.Join(t.TempDir(), "run")
	versions, err := pipeline.Run(t.Context(), dir, d, cfg)
	require.NoError(t, err)
	saved, err := model.Load(versions[0].Helpfulness)
	require.NoError(t, err)
	safety, err := model.Load(versions[0].Safety)
	require.NoError(t, err)
	rows, _, err := data.Read[pipeline.SampledPreference](filepath.Join(dir, "v1", "preferences-helpfulness.arrow"))
	require.NoError(t, err)
	used, _, err := curate.Split(rows, cfg.HeldOut, cfg.Seed)
	require.NoError(t, err)
	require.Less(t, len(used), len(rows))
	var pairs []data.Pair
	for _, row := range used {
		pairs = append(pairs, data.Pair{Prompt: row.PromptIDs, Chosen: row.ChosenIDs, Rejected: row.RejectedIDs})
	}

	// What the run noted, and what the folder's weights do.
	var noted rewardmodel.Level
	raw, err := os.ReadFile(filepath.Join(versions[0].Helpfulness, "calibration.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &noted))
	assert.Equal(t, 2*len(pairs), noted.Scored)
	assert.Equal(t, 0.2, noted.Quantile)
	assert.Equal(t, ppo.Logit(0.15), noted.Level)
	assert.Equal(t, float64(*biasOf(saved)), noted.Bias)
	assert.NoFileExists(t, filepath.Join(versions[0].Safety, "calibration.json"))
	l, err := data.ReadLineage(versions[0].Helpfulness)
	require.NoError(t, err)
	assert.Contains(t, string(l.Config), `"Calibration":{"Method":"quantile","Quantile":0.2`)
	l, err = data.ReadLineage(versions[0].Safety)
	require.NoError(t, err)
	assert.NotContains(t, string(l.Config), "Calibration", "the safety model is never moved")

	pool := untagged(t, dir)
	judges, err := pipeline.NewJudges(saved, safety, pipeline.DefaultJudgesConfig())
	require.NoError(t, err)
	scores, err := judges.Score(t.Context(), pool)
	require.NoError(t, err)
	var safe []float64
	for _, s := range scores {
		safe = append(safe, s.Safety)
	}
	slices.Sort(safe)
	*biasOf(safety) += float32(ppo.Logit(0.15) - safe[len(safe)/2]) // the median is at the gate

	winners := func(helpfulness *model.Params) (ids []int) {
		judges, err := pipeline.NewJudges(helpfulness, safety, pipeline.DefaultJudgesConfig())
		require.NoError(t, err)
		rewards, err := judges.Reward(t.Context(), pool)
		require.NoError(t, err)
		list := make([]rejection.Candidate, len(pool))
		for i, a := range pool {
			list[i] = rejection.Candidate{Answer: a, Index: i, Reward: rewards[i]}
		}
		for _, w := range rejection.Best(list) {
			ids = append(ids, w.Index)
		}
		return ids
	}
	want, wild := winners(saved), [][]int{}
	for _, bias := range []float32{-6, 0, 6} {
		p := saved.Clone()
		*biasOf(p) = bias
		wild = append(wild, winners(p))
		scorer, err := rewardmodel.NewScorer(p, 512, 64)
		require.NoError(t, err)
		_, err = rewardmodel.CalibratePairs(t.Context(), scorer, pairs, cfg.Calibration)
		require.NoError(t, err)
		assert.Equal(t, math.Float32bits(*biasOf(saved)), math.Float32bits(*biasOf(p)), "bias %v", bias)
		assert.Equal(t, want, winners(p), "bias %v", bias)
	}
	assert.NotEqual(t, wild[0], wild[2], "without a calibration the bias decides")
}

// untagged are the samples of a run's V1, as answers to prompts without the safety tag.
func untagged(t *testing.T, dir string) (pool []data.Answer) {
	t.Helper()
	samples, _, err := data.Read[data.Sample](filepath.Join(dir, "v1", "samples.arrow"))
	require.NoError(t, err)
	for _, s := range samples {
		pool = append(pool, data.Answer{Prompt: data.TokenPrompt{ID: s.PromptID, Tokens: s.Prompt}, Tokens: s.Tokens, Finished: true})
	}
	return pool
}

// TestCalibrationOfTheNewestPairs looks into a run of two versions: each is calibrated on its own
// fresh pairs.
func TestCalibrationOfTheNewestPairs(t *testing.T) {
	d, cfg := smallRun(t)
	cfg.PPOFrom, cfg.HeldOut = 3, 0
	cfg.Calibration.Answers = rewardmodel.CalibrateChosen
	dir := filepath.Join(t.TempDir(), "run")
	versions, err := pipeline.Run(t.Context(), dir, d, cfg)
	require.NoError(t, err)
	for _, v := range versions {
		raw, err := os.ReadFile(filepath.Join(v.Helpfulness, "calibration.json"))
		require.NoError(t, err)
		var noted rewardmodel.Level
		require.NoError(t, json.Unmarshal(raw, &noted))
		assert.Equal(t, v.Preferences[0], noted.Scored, "one answer of each fresh pair of V%d", v.Number)
	}
	require.Positive(t, versions[1].Preferences[0])

	cfg.Calibration.Method = rewardmodel.CalibrateNone
	_, err = pipeline.Run(t.Context(), dir, d, cfg)
	assert.ErrorIs(t, err, run.ErrOtherRun)
	cfg.Versions = 1
	plain, err := pipeline.Run(t.Context(), filepath.Join(t.TempDir(), "plain"), d, cfg)
	require.NoError(t, err)
	assert.NoFileExists(t, filepath.Join(plain[0].Helpfulness, "calibration.json"))
}

func TestCalibrationBelowTheGate(t *testing.T) {
	_, cfg := smallRun(t)
	require.NoError(t, cfg.Validate())
	cfg.PPO.SafetyThreshold = 0.5
	assert.ErrorContains(t, cfg.Validate(), "Config.Calibration.Level is -1.7346010553881064, want at least 0, the logit of PPO.SafetyThreshold")
	cfg.Calibration.Level = 0
	assert.NoError(t, cfg.Validate())
	cfg.Calibration.Quantile = 1
	assert.ErrorContains(t, cfg.Validate(), "pipeline: Config.Calibration")
	assert.ErrorContains(t, cfg.Validate(), "Quantile is 1")
	cfg.Calibration = rewardmodel.Calibration{Level: -9}
	assert.NoError(t, cfg.Validate(), "nothing is moved")
}

// TestContradiction scores answers that are all caught and all gain: the judges say so once, when
// there are enough of them.
func TestContradiction(t *testing.T) {
	cfg := pipeline.DefaultJudgesConfig()
	var said []ppo.GateCount
	cfg.OnContradiction = func(g ppo.GateCount) { said = append(said, g) }
	ask := func(j *pipeline.Judges, n int, safetyPrompt bool) {
		answers := make([]data.Answer, n)
		for i := range answers {
			answers[i] = data.Answer{Prompt: data.TokenPrompt{Tokens: []int32{1, 3}, Safety: safetyPrompt}, Tokens: []int32{4, 2}}
		}
		_, err := j.Score(t.Context(), answers)
		require.NoError(t, err)
	}
	j, err := pipeline.NewJudges(constant(-4), constant(-3), cfg)
	require.NoError(t, err)
	ask(j, 30, true)
	ask(j, 19, false)
	assert.Empty(t, said, "19 answers are too few, and safety prompts don't count")
	ask(j, 2, false)
	ask(j, 30, false)
	assert.Equal(t, []ppo.GateCount{{Caught: 21, Gains: 21}}, said)
	assert.Equal(t, ppo.GateCount{Caught: 51, Gains: 51}, j.Gate())

	said = nil
	for _, scores := range [][2]float32{{-2, -3}, {-4, -1}} { // no gain; not caught
		j, err = pipeline.NewJudges(constant(scores[0]), constant(scores[1]), cfg)
		require.NoError(t, err)
		ask(j, 40, false)
	}
	assert.Empty(t, said)
}

// TestRunReportsAContradiction runs a version with a gate that catches every answer: at a threshold
// near 1 its logit is far above all scores. Without a calibration most answers gain. With one at
// the gate's level hardly any does.
func TestRunReportsAContradiction(t *testing.T) {
	d, cfg := smallRun(t)
	cfg.Versions, cfg.PPOFrom, cfg.PPO.SafetyThreshold = 1, 2, 1-1e-12
	contradictions := func(c rewardmodel.Calibration) (events []pipeline.Event) {
		cfg.Calibration = c
		cfg.Watch = func(e pipeline.Event) {
			if e.Contradiction != nil {
				events = append(events, e)
			}
		}
		_, err := pipeline.Run(t.Context(), filepath.Join(t.TempDir(), "run"), d, cfg)
		require.NoError(t, err)
		return events
	}
	events := contradictions(rewardmodel.Calibration{})
	require.Len(t, events, 1)
	assert.Equal(t, "v1/helpfulness", events[0].Step)
	assert.True(t, events[0].Contradiction.Contradicts())

	level := rewardmodel.DefaultCalibration()
	level.Level = ppo.Logit(cfg.PPO.SafetyThreshold)
	assert.Empty(t, contradictions(level))
}
