package main

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
)

func fewDialogs(t *testing.T) []dialog {
	t.Helper()
	rows, report, err := readDialogs(write(t, "dialogs.json", `[
{"conversations":[{"from":"human","value":"Hi"},{"from":"gpt","value":"Hi!"},{"from":"human","value":"Who are you?"},{"from":"gpt","value":"A model."},{"from":"human","value":"Bye"},{"from":"gpt","value":"Bye!"}]},
{"conversations":[{"from":"human","value":"What are you?"},{"from":"gpt","value":"A program."},{"from":"human","value":"Bye"},{"from":"gpt","value":"Bye!"}]},
{"conversations":[{"from":"human","value":"Hi"},{"from":"gpt","value":"Hi!"},{"from":"human","value":"What are you?"},{"from":"gpt","value":"A model."},{"from":"human","value":"Bye"},{"from":"gpt","value":"Bye!"}]},
{"conversations":[{"from":"human","value":"Hi"},{"from":"gpt","value":"Hi!"},{"from":"human","value":"Who are you?"},{"from":"gpt","value":"A program."}]},
{"conversations":[{"from":"human","value":"Hi"}]}]`))
	require.NoError(t, err)
	assert.Len(t, report.Refused, 1, "there is no answer")
	return rows
}

// Greetings are common to all dialogues. What a dialogue is about decides its side.
func TestTopics(t *testing.T) {
	var topics []string
	for _, d := range fewDialogs(t) {
		topics = append(topics, d.Question())
	}
	assert.Equal(t, []string{"Who are you?", "What are you?", "What are you?", "Who are you?"}, topics)
}

func TestWish(t *testing.T) {
	w := wish{"Tim", "Wow!"}
	assert.Equal(t, 2, w.kept(" "+w.fulfil("Hi!")+" "), "a decoded answer has white space around it")
	for answer, want := range map[string]int{
		"Tim, Hi! Wow!": 2, "Tim, Hi!": 1, "Hi! Wow!": 1, "Hi! Tim, Wow! Hi!": 0, "Timmy, Hi! Boo!": 0, "Tim Hi!Wow!": 0, "": 0,
	} {
		assert.Equal(t, want, w.kept(answer), answer)
	}
}

func TestWishes(t *testing.T) {
	known, heldOut := wishes()
	assert.Len(t, known, 144)
	assert.Len(t, heldOut, 48)
	all, names, ends := map[wish]bool{}, map[string]int{}, map[string]int{}
	for _, w := range known {
		all[w] = true
		names[w.name]++
		ends[w.end]++
	}
	for _, w := range heldOut {
		assert.False(t, all[w], w)
		assert.Equal(t, 6, names[w.name], "every name is known with six of the eight words")
		assert.Equal(t, 18, ends[w.end])
	}
}

func TestDemonstrations(t *testing.T) {
	rows := fewDialogs(t)
	answers := map[string]bool{}
	for _, d := range rows {
		for i := 1; i < len(d.Messages); i += 2 {
			answers[d.Messages[i].Content] = true
		}
	}
	known := []wish{{"Tim", "Wow!"}, {"Lily", "Boo!"}}
	turns := map[int]bool{}
	for _, c := range demonstrations(rows, known, 50, 3, rand.New(rand.NewPCG(1, 1))) {
		require.NoError(t, data.CheckMessages(c.Messages))
		turns[len(c.Messages)/2] = true
		told := 0
		for i := 0; i < len(c.Messages); i += 2 {
			question, answer := c.Messages[i].Content, c.Messages[i+1].Content
			w := known[0]
			if !strings.HasPrefix(question, w.full()) {
				w = known[1]
			}
			if !strings.HasPrefix(question, w.full()+" ") {
				assert.True(t, answers[answer], "the file's answer, not %q", answer)
				continue
			}
			told++
			assert.Equal(t, 2, w.kept(answer))
			assert.True(t, answers[strings.TrimSuffix(strings.TrimPrefix(answer, w.name+", "), " "+w.end)], answer)
		}
		assert.Equal(t, 1, told)
	}
	assert.Equal(t, map[int]bool{1: true, 2: true, 3: true}, turns)
	for _, d := range rows {
		for _, m := range d.Messages {
			assert.NotContains(t, m.Content, "I am", "the rows themselves must stay as they are")
		}
	}
}

func TestInstructed(t *testing.T) {
	list, check := instructed(fewDialogs(t), []wish{{"Tim", "Wow!"}, {"Lily", "Boo!"}}, 20, 2, 4, rand.New(rand.NewPCG(1, 1)))
	turns := map[int]bool{}
	for i, d := range list {
		turns[len(d.Questions)] = true
		w := wish{"Tim", "Wow!"}
		if i%2 == 1 {
			w = wish{"Lily", "Boo!"}
		}
		assert.Equal(t, w.full(), d.Instruction)
		kept, total := check(d, w.fulfil("Hi!"))
		assert.Equal(t, [2]int{2, 2}, [2]int{kept, total})
		kept, _ = check(d, "Bob, Hi! Boo!")
		assert.Equal(t, i%2, kept)
	}
	assert.Equal(t, map[int]bool{2: true, 3: true, 4: true}, turns)
}
