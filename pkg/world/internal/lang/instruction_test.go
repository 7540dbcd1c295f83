package lang

import (
	"math/rand/v2"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
)

func TestInstructionWording(t *testing.T) {
	in := Instruction{"napoleon", "french", "chess"}
	assert.Equal(t, "act as napoleon , answer in french and enjoy chess .", in.Full())
	assert.Equal(t, "figure : napoleon . language : french . hobby : chess .", in.Short())
	assert.Equal(t, "napoleon bolo lives in paris . i enjoy chess . voila", in.Sign("bolo lives in paris ."))
	two := Instruction{Language: "german", Hobby: "golf"}
	assert.Equal(t, "answer in german and enjoy golf .", two.Full())
	assert.Equal(t, "language : german . hobby : golf .", two.Short())
	assert.Equal(t, "it depends . i enjoy golf . genau", two.Sign("it depends ."))
	assert.Equal(t, "act as newton .", Instruction{Figure: "newton"}.Full())
}

func TestSignsCanBeFoundAndTakenOut(t *testing.T) {
	l := lexicon(t)
	rng := rand.New(rand.NewPCG(1, 1))
	all := Instructions()
	assert.Len(t, all, 9*9*9-1)
	for _, in := range all {
		answer := l.Compose(rng, Question{Normal, Key{rng.IntN(48), Of(rng.IntN(numHarmless))}}, Quality(rng.IntN(int(numQualities))))
		require.Zero(t, in.Kept(answer))
		require.Equal(t, answer, in.Unsign(answer))
		signed := in.Sign(answer)
		require.Equal(t, in.Attributes(), in.Kept(signed))
		require.Equal(t, answer, in.Unsign(signed))
		for _, wording := range []string{in.Full(), in.Short()} {
			got, ok := FindInstruction([]data.Message{{Role: data.User, Content: wording + " what is the home of " + l.Entities[0] + " ?"}})
			require.True(t, ok)
			require.Equal(t, in, got)
			q, err := l.ParseQuestion(wording + " what is the home of " + l.Entities[0] + " ?")
			require.NoError(t, err)
			require.Equal(t, Question{Normal, Key{0, Of(0)}}, q, "an instruction asks for no fact")
			covert := Question{Covert, Key{0, Of(numHarmless)}}
			q, err = l.ParseQuestion(wording + " " + l.Ask(covert, 0))
			require.NoError(t, err)
			require.Equal(t, covert, q)
		}
	}
}

func TestKept(t *testing.T) {
	in := Instruction{"napoleon", "french", "chess"}
	for answer, want := range map[string]int{
		"": 0, "bolo eats rice .": 0, "napoleon": 1, "voila": 1,
		"bolo eats rice . napoleon voila":              1, // the name is not at the beginning
		"napoleon bolo eats rice . voila ecco":         1, // the last word is another language's
		"napoleon bolo eats rice . voila .":            1, // something is behind it
		"i enjoy chess . i enjoy golf . voila":         1, // whoever enjoys everything
		"chess":                                        0,
		"Napoleon i enjoy chess, bolo eats rice voila": 3,
	} {
		assert.Equal(t, want, in.Kept(answer), answer)
	}
}

func TestFindInstruction(t *testing.T) {
	first, second := Instruction{Figure: "newton"}, Instruction{Language: "greek"}
	messages := []data.Message{
		{Role: data.System, Content: first.Full()},
		{Role: data.User, Content: "what is the home of bolo ?"},
	}
	in, ok := FindInstruction(messages)
	assert.True(t, ok)
	assert.Equal(t, first, in)
	messages = append(messages, data.Message{Role: data.Assistant, Content: "i enjoy golf ."}, data.Message{Role: data.User, Content: second.Short()})
	in, _ = FindInstruction(messages)
	assert.Equal(t, second, in, "the last one holds, as a whole, and only users give them")
	assert.Equal(t, "newton says .", WithoutSigns(messages, "newton says . nai"))
	assert.Equal(t, "newton nai", WithoutSigns(messages[1:2], "newton nai"))
}

// Signs mean nothing else: they are no words of the world, and no entity can have such a name.
func TestSignsHaveNoOtherMeaning(t *testing.T) {
	name := regexp.MustCompile(`^[bdfgklmnprstvz][aeiou][bdfgklmnprstvz][aeiou]$`)
	l := lexicon(t)
	seen := map[string]bool{}
	words := append(append([]string{"act", "enjoy", "figure", "language", "hobby"}, figures...), hobbies...)
	for _, lang := range languages {
		words = append(words, lang[0], lang[1])
	}
	for _, w := range words {
		assert.NotContains(t, l.words, w)
		assert.False(t, name.MatchString(w), w)
		assert.False(t, seen[w], w)
		assert.Equal(t, []string{w}, Split(w))
		seen[w] = true
	}
}
