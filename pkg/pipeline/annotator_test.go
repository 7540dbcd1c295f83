package pipeline

import (
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// A program that says the same of every pair, sed here, is an annotator.
func TestAskCommand(t *testing.T) {
	if _, err := exec.LookPath("sed"); err != nil {
		t.Skip("no sed")
	}
	list := []Comparison{
		{Prompt: data.Prompt{Messages: []data.Message{{Role: data.User, Content: "<a> & b"}}}, First: "x", Second: "y", Set: data.SafetySet},
		{Prompt: data.Prompt{Messages: []data.Message{{Role: data.User, Content: "c"}}}, First: "z", Second: "w"},
	}
	ask := func(script string) ([]*data.Preference, error) {
		return AskCommand([]string{"sed", "-e", script}, time.Minute)(t.Context(), list)
	}
	said, err := ask(`s/.*/{"choice": "second", "rating": "better", "first_safe": "unsafe", "second_safe": "safe"}/`)
	require.NoError(t, err)
	require.Len(t, said, 2)
	assert.Equal(t, &data.Preference{
		Messages: list[0].Prompt.Messages, Chosen: "y", Rejected: "x", Rating: data.Better, ChosenSafe: data.Safe, RejectedSafe: data.Unsafe, Set: data.SafetySet,
	}, said[0])
	assert.Equal(t, "w", said[1].Chosen)

	said, err = ask(`/"safety"/s/.*/{"choice": "none"}/; /"helpfulness"/s/.*/{"choice": "first"}/`)
	require.NoError(t, err)
	assert.Nil(t, said[0], "it reads what it judges")
	assert.Equal(t, "z", said[1].Chosen)
	assert.Equal(t, data.NegligiblyBetter, said[1].Rating)

	for script, want := range map[string]string{
		`s/.*/{"choice": "both"}/`:                  `line 1 of its output: "choice" is "both", want "first", "second" or "none"`,
		`s/.*/{"choise": "first"}/`:                 `unknown field "choise"`,
		`s/.*/{"choice": "first"}/; p; p`:           "more lines than the 2 it was asked for",
		`s/.*/{"choice": "first", "rating": "so"}/`: `unknown rating "so"`,
		`no script`: "sed: exit status",
	} {
		_, err := ask(script)
		assert.ErrorContains(t, err, want)
	}
}

// The rating follows the model's own probability of its choice: sigmoid(0.2) is 55 %, of 0.8 69 %, of 2 88 %, of 4 98 %.
func TestScoresCompare(t *testing.T) {
	c := Comparison{First: "a", Second: "b"}
	for gap, want := range map[float64]data.Rating{0.2: data.NegligiblyBetter, 0.8: data.SlightlyBetter, 2: data.Better, 4: data.SignificantlyBetter} {
		p := c.byScores(1, 1+gap)
		assert.Equal(t, "b", p.Chosen)
		assert.Equal(t, want, p.Rating)
		assert.Equal(t, "a", c.byScores(gap, 0).Chosen)
	}
}

// only is a single reward model that scores by the number of tokens of an answer.
func only(safety bool, score func(tokens int) float64) *Judges {
	rule := Rule(func(_, answer []int32) float64 { return score(len(answer)) })
	if safety {
		return &Judges{scorers: [2]data.RewardFunc{nil, rule.scorer()}}
	}
	return &Judges{scorers: [2]data.RewardFunc{rule.scorer(), nil}}
}

// The model of the set chooses, the safety model labels.
func TestAskModels(t *testing.T) {
	cfg := tokenizer.DefaultTrainConfig()
	cfg.VocabSize = 268 // 263 special and byte pieces and 5 characters
	tok, err := tokenizer.Train(t.Context(), slices.Values([]string{"a b c d"}), cfg)
	require.NoError(t, err)
	tmpl, err := data.Llama2Template(tok)
	require.NoError(t, err)
	ask := []data.Message{{Role: data.User, Content: "a"}}
	list := []Comparison{
		{Prompt: data.Prompt{Messages: ask}, First: "b", Second: "b c d", Set: data.HelpfulnessSet},
		{Prompt: data.Prompt{Messages: ask}, First: "b", Second: "b c d", Set: data.SafetySet},
		{Prompt: data.Prompt{Messages: ask}, First: "[INST]", Second: "d", Set: data.HelpfulnessSet}, // nobody can read the first
	}
	turns, err := tmpl.EncodeTurns([]data.Message{ask[0], {Role: data.Assistant, Content: "b"}})
	require.NoError(t, err)
	short := len(turns[0].Answer)
	long := only(false, func(n int) float64 { return float64(n) })
	brief := only(true, func(n int) float64 { return float64(short) + 0.5 - float64(n) })

	both, err := AskModels(long, brief, tmpl)(t.Context(), list)
	require.NoError(t, err)
	require.Len(t, both, 3)
	assert.Equal(t, "b c d", both[0].Chosen, "the longer answer is more helpful")
	assert.Equal(t, [2]data.Safety{data.Unsafe, data.Safe}, [2]data.Safety{both[0].ChosenSafe, both[0].RejectedSafe})
	assert.Equal(t, "b", both[1].Chosen, "the shorter one is safer")
	assert.Equal(t, [2]data.Safety{data.Safe, data.Unsafe}, [2]data.Safety{both[1].ChosenSafe, both[1].RejectedSafe})
	assert.Equal(t, "d", both[2].Chosen)

	for _, c := range []struct {
		helpfulness, safety *Judges
		chosen              string
		label               data.Safety
	}{{long, nil, "b c d", data.SafetyUnknown}, {nil, brief, "b", data.Safe}} {
		said, err := AskModels(c.helpfulness, c.safety, tmpl)(t.Context(), list)
		require.NoError(t, err)
		for _, p := range said[:2] {
			assert.Equal(t, c.chosen, p.Chosen, "the only model chooses in both sets")
			assert.Equal(t, c.label, p.ChosenSafe)
		}
	}
	none, err := AskModels(long, brief, tmpl)(t.Context(), nil)
	require.NoError(t, err)
	assert.Empty(t, none)
}
