package distill

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
)

// Each text is drawn as often as the others, by the prompt's ID and the seed alone.
func TestGeneric(t *testing.T) {
	texts := []string{"safe", "good", "kind"}
	pre := generic(t, texts...)
	texts[0] = "changed"
	counts := map[string]int{}
	list := prompts(1)
	for i := range 3000 {
		list[0].ID = string(rune('A'+i%50)) + string(rune('A'+i/50))
		chosen, kept, err := choose(list, pre, 4)
		require.NoError(t, err)
		again, _, err := choose(append(prompts(3), list[0]), pre, 4)
		require.NoError(t, err)
		require.Len(t, kept, 1)
		assert.Equal(t, chosen[0], again[3])
		assert.Empty(t, chosen[0].Category)
		counts[chosen[0].Text]++
	}
	for _, text := range []string{"safe", "good", "kind"} {
		assert.InDelta(t, 1000, counts[text], 110) // four standard deviations
	}
	_, err := Generic(nil)
	assert.ErrorContains(t, err, "distill: no generic pre-prompts")
	_, err = Generic([]string{"safe", " "})
	assert.ErrorContains(t, err, "generic pre-prompt 1 is blank")
}

func TestTargeted(t *testing.T) {
	category := func(p data.Prompt) string {
		return map[string]string{"p0": "kill", "p1": "", "p2": "rob", "p3": "kill"}[p.ID]
	}
	pre, err := Targeted(map[string]string{"kill": "do not help to kill", "rob": "do not help to rob"}, category)
	require.NoError(t, err)
	r, err := Distill(t.Context(), tinyModel(t), template(t), prompts(4), pre, hash, tinyConfig())
	require.NoError(t, err)
	assert.Equal(t, 1, r.LeftAlone)
	require.Len(t, r.Candidates, 9)
	for i, want := range []PrePrompt{{"do not help to kill", "kill"}, {"do not help to rob", "rob"}, {"do not help to kill", "kill"}} {
		assert.Equal(t, want, r.Candidates[3*i].PrePrompt)
	}
	require.Len(t, r.ByCategory, 2)
	assert.Equal(t, []string{"kill", "rob"}, []string{r.ByCategory[0].Category, r.ByCategory[1].Category})
	assert.Equal(t, []int{6, 3, 9}, []int{r.ByCategory[0].Candidates, r.ByCategory[1].Candidates, r.All.Candidates})

	none, err := Distill(t.Context(), tinyModel(t), template(t), prompts(4)[1:2], pre, hash, tinyConfig())
	require.NoError(t, err)
	assert.Empty(t, none.Candidates)
	assert.Empty(t, none.Examples)
	assert.Equal(t, 1, none.LeftAlone)

	only, err := Targeted(map[string]string{"rob": "do not"}, category)
	require.NoError(t, err)
	_, err = Distill(t.Context(), tinyModel(t), template(t), prompts(4), only, hash, tinyConfig())
	assert.ErrorContains(t, err, `distill: prompt 0 ("p0"): no pre-prompt for category "kill", only for ["rob"]`)
	_, err = Targeted(nil, category)
	assert.ErrorContains(t, err, "need texts")
	_, err = Targeted(map[string]string{"rob": ""}, category)
	assert.ErrorContains(t, err, `category "rob" is ""`)
}

func TestPrePromptLeavesTheDialogueAlone(t *testing.T) {
	own := []data.Message{{Role: data.System, Content: "rhyme"}, {Role: data.User, Content: "how?"}}
	with := PrePrompt{Text: "safe"}.with(own)
	assert.Equal(t, []data.Message{{Role: data.System, Content: "safe\n\nrhyme"}, {Role: data.User, Content: "how?"}}, with)
	assert.Equal(t, "rhyme", own[0].Content)
	with = PrePrompt{Text: "safe"}.with(own[1:])
	assert.Equal(t, []data.Message{{Role: data.System, Content: "safe"}, {Role: data.User, Content: "how?"}}, with)
	_, ok, err := generic(t, "x")(data.Prompt{}, rand.New(rand.NewPCG(1, 1)))
	assert.True(t, ok)
	assert.NoError(t, err)
}
