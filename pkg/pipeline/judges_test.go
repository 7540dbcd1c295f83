package pipeline_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/ppo"
)

// constant is a reward model that gives every answer the same raw score.
func constant(score float32) *model.Params {
	p := model.NewParams(model.Config{
		Dim: 8, NumLayers: 1, NumHeads: 1, NumKVHeads: 1, HeadDim: 8, HiddenDim: 16, VocabSize: 16,
		MaxSeqLen: 16, NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}, tensor.Float32)
	p.Init(rand.New(rand.NewPCG(1, 1)))
	p.AddHead(nil) // weights of 0
	p.Get("score.bias").Value.Float32s()[0] = score
	return p
}

// TestRewardIsGated follows section 3.2.3: logit(0.15) is -1.735.
func TestRewardIsGated(t *testing.T) {
	for _, c := range []struct {
		safety       float32
		safetyPrompt bool
		want         float64
	}{
		{safety: 3, want: 0.5},                         // helpfulness
		{safety: 3, safetyPrompt: true, want: 3},       // a safety prompt
		{safety: -1.73, want: 0.5},                     // just above the gate
		{safety: -1.74, want: float64(float32(-1.74))}, // just below
	} {
		j, err := pipeline.NewJudges(constant(0.5), constant(c.safety), pipeline.DefaultJudgesConfig())
		require.NoError(t, err)
		answers := []data.Answer{{Prompt: data.TokenPrompt{Tokens: []int32{1, 3}, Safety: c.safetyPrompt}, Tokens: []int32{4, 2}}}
		rewards, err := j.Reward(t.Context(), answers)
		require.NoError(t, err)
		assert.Equal(t, []float64{c.want}, rewards, "%+v", c)
	}
}

func TestRefuses(t *testing.T) {
	cfg := pipeline.DefaultJudgesConfig()
	headless := constant(0)
	headless.DropHead()
	_, err := pipeline.NewJudges(constant(0), headless, cfg)
	assert.ErrorContains(t, err, "pipeline: safety model: rewardmodel: the model has no scalar head")
	_, err = pipeline.NewJudges(nil, nil, cfg)
	assert.ErrorContains(t, err, "want at least one reward model")
	cfg.SafetyThreshold = 0
	_, err = pipeline.NewJudges(constant(0), constant(0), cfg)
	assert.ErrorContains(t, err, "SafetyThreshold is 0")
}

// The only model judges all answers, safety prompts too, and its score is written where it belongs.
func TestOneJudge(t *testing.T) {
	answers := []data.Answer{
		{Prompt: data.TokenPrompt{Tokens: []int32{1, 3}}, Tokens: []int32{4, 2}},
		{Prompt: data.TokenPrompt{Tokens: []int32{1, 3}, Safety: true}, Tokens: []int32{4, 2}},
	}
	for _, safety := range []bool{false, true} {
		only := constant(-3)
		models := [2]*model.Params{only, nil}
		if safety {
			models = [2]*model.Params{nil, only}
		}
		cfg := pipeline.DefaultJudgesConfig()
		cfg.SafetyThreshold = 0 // there is no gate
		j, err := pipeline.NewJudges(models[0], models[1], cfg)
		require.NoError(t, err)
		assert.Same(t, only, j.Model())
		rewards, bySafety, err := j.Rewards(t.Context(), answers)
		require.NoError(t, err)
		assert.Equal(t, []float64{-3, -3}, rewards)
		assert.Equal(t, []bool{false, false}, bySafety)
		scores, err := j.Score(t.Context(), answers)
		require.NoError(t, err)
		assert.Equal(t, []ppo.Score{{Helpfulness: -3}, {Helpfulness: -3}}, scores)
		first, second := j.Columns(scores[0])
		if safety {
			first, second = second, first
		}
		assert.Nil(t, second)
		assert.Equal(t, -3.0, *first)
		assert.Zero(t, j.Gate())
	}
	j, err := pipeline.NewJudges(constant(1), constant(2), pipeline.DefaultJudgesConfig())
	require.NoError(t, err)
	first, second := j.Columns(ppo.Score{Helpfulness: 1, Safety: 2})
	assert.Equal(t, [2]float64{1, 2}, [2]float64{*first, *second})
}

func ExampleJudges() {
	j, err := pipeline.NewJudges(constant(0.5), constant(-2), pipeline.DefaultJudgesConfig())
	if err != nil {
		fmt.Println(err)
		return
	}
	// The safety model finds the answer unsafe, so its score decides.
	fmt.Println(j.Combined(ppo.Score{Helpfulness: 0.5, Safety: -2}, false))
	// Output: -2 true
}

// TestEmptyAnswersAreNotBest: an answer without a text, whatever its ids and its reward.
func TestEmptyAnswersAreNotBest(t *testing.T) {
	high, low := 5.0, -5.0
	rows := []data.Sample{
		{PromptID: "a", Tokens: []int32{2}, Finished: true, Combined: &high},
		{PromptID: "a", Tokens: []int32{7, 2}, Text: " \n", Finished: true, Combined: &high},
		{PromptID: "a", Tokens: []int32{8, 2}, Text: "yes", Finished: true, Combined: &low},
		{PromptID: "b", Tokens: []int32{2}, Finished: true, Combined: &high},
	}
	assert.Equal(t, rows[2:3], pipeline.BestSamples(rows))
}
