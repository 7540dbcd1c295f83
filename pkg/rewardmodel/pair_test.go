package rewardmodel

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
)

// bytewise is a tokenizer that makes a token of every byte.
type bytewise struct{}

func (bytewise) BOS() int32 { return 1 }
func (bytewise) EOS() int32 { return 2 }
func (bytewise) Encode(text string) (ids []int32) {
	for _, b := range []byte(text) {
		ids = append(ids, int32(b))
	}
	return ids
}

// A pair is the prompt as a policy reads it, and both answers as a policy gives them.
func TestEncode(t *testing.T) {
	tmpl, err := data.Llama2Template(bytewise{})
	require.NoError(t, err)
	prompt := []data.Message{
		{Role: data.User, Content: "Hi"}, {Role: data.Assistant, Content: "Hello"}, {Role: data.User, Content: "2+2?"},
	}
	pairs, err := Encode(tmpl, []data.Preference{{
		Messages: prompt, Chosen: "four", Rejected: "five",
		Rating: data.Better, ChosenSafe: data.Safe, RejectedSafe: data.Unsafe, Set: data.SafetySet,
	}})
	require.NoError(t, err)
	require.Len(t, pairs, 1)
	ids, err := tmpl.EncodePrompt(prompt)
	require.NoError(t, err)
	assert.Equal(t, ids, pairs[0].Prompt)
	assert.Equal(t, append(bytewise{}.Encode(" four "), 2), pairs[0].Chosen)
	assert.Equal(t, append(bytewise{}.Encode(" five "), 2), pairs[0].Rejected)
	assert.Equal(t, data.Better, pairs[0].Rating)
	assert.Equal(t, data.Safe, pairs[0].ChosenSafe)
	assert.Equal(t, data.Unsafe, pairs[0].RejectedSafe)
	assert.Equal(t, data.SafetySet, pairs[0].Set)

	_, err = Encode(tmpl, []data.Preference{{Messages: prompt, Chosen: "[INST]", Rejected: "x"}})
	assert.ErrorIs(t, err, data.ErrTag)
	assert.ErrorContains(t, err, "rewardmodel: preference 0")
}

// named makes pairs that can be told apart by their prompts.
func named(first, count int32) []data.Pair {
	pairs := make([]data.Pair, count)
	for i := range pairs {
		pairs[i].Prompt = []int32{first + int32(i)}
	}
	return pairs
}

func names(pairs []data.Pair) []int32 {
	var ids []int32
	for _, p := range pairs {
		ids = append(ids, p.Prompt[0])
	}
	return ids
}

func TestMixes(t *testing.T) {
	for name, c := range map[string]struct {
		mix           func(own, others []data.Pair, seed uint64) []data.Pair
		own, others   int32
		drawnOfOthers int
	}{
		"as many others":       {HelpfulnessMix, 10, 100, 10},
		"too few others":       {HelpfulnessMix, 10, 4, 4},
		"no others":            {HelpfulnessMix, 10, 0, 0},
		"90 to 10":             {SafetyMix, 90, 100, 10},
		"90 to 10, rounded":    {SafetyMix, 130, 100, 14}, // 14.4
		"90 to 10, rounded up": {SafetyMix, 131, 100, 15}, // 14.6
		"90 to 10, too little": {SafetyMix, 90, 3, 3},
	} {
		own, others := named(0, c.own), named(1000, c.others)
		mixed := c.mix(own, others, 1)
		require.Len(t, mixed, int(c.own)+c.drawnOfOthers, name)
		assert.Equal(t, names(own), names(mixed)[:c.own], name)
		drawn := map[int32]bool{}
		for _, id := range names(mixed)[c.own:] {
			assert.GreaterOrEqual(t, id, int32(1000), name)
			drawn[id] = true
		}
		assert.Len(t, drawn, c.drawnOfOthers, "%s: each at most once", name)
		assert.Equal(t, mixed, c.mix(own, others, 1), name)
	}
	own, others := named(0, 50), named(1000, 1000)
	assert.NotEqual(t, HelpfulnessMix(own, others, 1), HelpfulnessMix(own, others, 2))
}

// of puts pairs into a set.
func of(set data.Set, pairs []data.Pair) []data.Pair {
	for i := range pairs {
		pairs[i].Set = set
	}
	return pairs
}

// thousand counts the pairs whose names begin with that thousand.
func thousand(pairs []data.Pair, first int32) (n int) {
	for _, id := range names(pairs) {
		if id >= first && id < first+1000 {
			n++
		}
	}
	return n
}

// The mixes of section 3.2.2: harmlessness data is safety data, wherever it comes from.
func TestMixesOfOpenData(t *testing.T) {
	helpfulness, safety := of(data.HelpfulnessSet, named(0, 400)), of(data.SafetySet, named(1000, 90))
	helpful, harmless := of(data.HelpfulnessSet, named(2000, 200)), of(data.SafetySet, named(3000, 900))
	open := slices.Concat(harmless[:450], helpful, harmless[450:])
	forHelpfulness, forSafety := Mixes(helpfulness, safety, open, 7)

	assert.Len(t, forHelpfulness, 2*400)
	assert.Equal(t, names(helpfulness), names(forHelpfulness[:400]), "all helpfulness data")
	// 400 of 1190 others: each kind by its size, 90, 200 and 900.
	for first, size := range map[int32]float64{1000: 90, 2000: 200, 3000: 900} {
		mean := 400 * size / 1190
		deviation := math.Sqrt(mean * (1 - size/1190) * (1190 - 400) / 1189)
		assert.InDelta(t, mean, thousand(forHelpfulness, first), 5*deviation)
	}

	assert.Equal(t, slices.Concat(names(safety), names(harmless)), names(forSafety[:990]), "all safety data and all harmlessness data")
	assert.Len(t, forSafety, 990+110, "90 to 10")
	// 110 of 600 helpfulness pairs: two thirds of them collected.
	assert.Equal(t, 110, thousand(forSafety, 0)+thousand(forSafety, 2000))
	assert.InDelta(t, 110*400.0/600, thousand(forSafety, 0), 5*math.Sqrt(110*400.0/600*200/600*490/599))

	again, _ := Mixes(helpfulness, safety, open, 8)
	assert.NotEqual(t, forHelpfulness, again)
}

// Pairs whose chosen answer alone is unsafe are gone before the shares are counted.
func TestMixesWithoutUnsafeChoices(t *testing.T) {
	unsafe := func(pairs []data.Pair) []data.Pair {
		for i := range pairs {
			pairs[i].ChosenSafe, pairs[i].RejectedSafe = data.Unsafe, data.Safe
		}
		return pairs
	}
	helpfulness := append(named(0, 20), unsafe(named(500, 80))...)
	safety := of(data.SafetySet, append(named(1000, 80), unsafe(named(1500, 90))...))
	open := slices.Concat(named(2000, 5), unsafe(named(2500, 100)), of(data.SafetySet, slices.Concat(named(3000, 10), unsafe(named(3500, 90)))))
	forHelpfulness, forSafety := Mixes(helpfulness, safety, open, 1)
	assert.Len(t, forHelpfulness, 20+20)
	assert.Len(t, forSafety, 90+10)
	assert.Equal(t, forHelpfulness, WithoutUnsafeChoices(forHelpfulness))
	assert.Equal(t, forSafety, WithoutUnsafeChoices(forSafety))
}

func TestBySet(t *testing.T) {
	pairs := slices.Concat(of(data.SafetySet, named(1, 1)), of(data.HelpfulnessSet, named(2, 2)), of(data.SafetySet, named(4, 1)))
	safety, others := BySet(pairs, data.SafetySet)
	assert.Equal(t, []int32{1, 4}, names(safety))
	assert.Equal(t, []int32{2, 3}, names(others))
}

func TestWithoutUnsafeChoices(t *testing.T) {
	pairs := []data.Pair{
		{ChosenSafe: data.Unsafe, RejectedSafe: data.Safe, Rating: 1},
		{ChosenSafe: data.Unsafe, RejectedSafe: data.Unsafe, Rating: 2},
		{ChosenSafe: data.Safe, RejectedSafe: data.Unsafe, Rating: 3},
		{ChosenSafe: data.Unsafe, RejectedSafe: data.SafetyUnknown, Rating: 4},
	}
	kept := WithoutUnsafeChoices(pairs)
	require.Len(t, kept, 3)
	assert.Equal(t, data.Rating(2), kept[0].Rating)
	assert.Equal(t, data.Rating(1), pairs[0].Rating, "the argument stays as it is")
}

// A pair as a micro-batch, by hand: the prompt 1 6, and the 4 that both answers begin with, are there once.
func TestAppendPair(t *testing.T) {
	r := data.NewRagged(20, 4)
	require.NoError(t, appendPair(r, data.Pair{
		Prompt: []int32{1, 6}, Chosen: []int32{4, 5, 2}, Rejected: []int32{4, 7, 2},
		Rating: data.Better, ChosenSafe: data.Safe, RejectedSafe: data.Unsafe,
	}, LargeMargin))
	require.NoError(t, appendPair(r, data.Pair{Prompt: []int32{1}, Chosen: []int32{3, 2, 2}, Rejected: []int32{3, 2}, RejectedSafe: data.Safe}, LargeMargin))
	assert.Equal(t, []int32{1, 6, 4, 5, 2, 7, 2, 1, 3, 2, 2, 2}, r.Tokens[:12])
	assert.Equal(t, []int32{4, 0, 5, 7, 11, 12}, r.Layout)
	assert.Equal(t, []int32{0, 3, 0, 2}, r.Shared)
	assert.Equal(t, []float32{2, 0, 0, 0}, r.SegmentColumn(columnMargin))
	assert.Equal(t, []float32{1, 0, 0, 1}, r.SegmentColumn(columnSafe))
	assert.Equal(t, []float32{1, 1, 0, 1}, r.SegmentColumn(columnKnown))
}
