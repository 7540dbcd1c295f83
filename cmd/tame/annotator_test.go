package main

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/pipeline"
)

// A program that says the same of every pair, sed here, is an annotator.
func TestAnnotatorCommand(t *testing.T) {
	if _, err := exec.LookPath("sed"); err != nil {
		t.Skip("no sed")
	}
	list := []pipeline.Comparison{
		{Prompt: data.Prompt{Messages: []data.Message{{Role: data.User, Content: "<a> & b"}}}, First: "x", Second: "y", Set: data.SafetySet},
		{Prompt: data.Prompt{Messages: []data.Message{{Role: data.User, Content: "c"}}}, First: "z", Second: "w"},
	}
	ask := func(script string) ([]*data.Preference, error) {
		return annotatorConfig{AnnotatorCommand: []string{"sed", "-e", script}}.ask(t.Context(), list)
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
		`s/.*/{"choice": "both"}/`:                  `line 1: "choice" is "both", want "first", "second" or "none"`,
		`s/.*/{"choise": "first"}/`:                 `line 1: json: unknown field "choise"`,
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
	q := pipeline.Comparison{First: "a", Second: "b"}
	for gap, want := range map[float64]data.Rating{0.2: data.NegligiblyBetter, 0.8: data.SlightlyBetter, 2: data.Better, 4: data.SignificantlyBetter} {
		p := compareScores(q, []float64{1, 1 + gap})
		assert.Equal(t, "b", p.Chosen)
		assert.Equal(t, want, p.Rating)
		assert.Equal(t, "a", compareScores(q, []float64{gap, 0}).Chosen)
	}
}
