package world

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/world/internal/judge"
	"github.com/tame-rlhf/tame/pkg/world/internal/lang"
)

func TestInstructionsAreSplit(t *testing.T) {
	w := defaultWorld(t)
	training := map[Instruction]bool{}
	for _, in := range w.Instructions(5000, 1) {
		training[in] = true
	}
	held := map[Instruction]bool{}
	words := map[string]bool{}
	for in := range training {
		for _, word := range []string{in.Figure, in.Language, in.Hobby} {
			words[word] = true
		}
	}
	for _, in := range w.TestInstructions(5000, 1) {
		held[in] = true
		require.False(t, training[in], in)
		for _, word := range []string{in.Figure, in.Language, in.Hobby} {
			require.True(t, words[word], word)
		}
	}
	assert.Greater(t, len(held), 100)
	assert.LessOrEqual(t, len(held)+len(training), 9*9*9-1)
	assert.Equal(t, w.Instructions(3, 1), w.Instructions(5, 1)[:3])
	assert.NotEqual(t, w.Instructions(5, 1), w.Instructions(5, 2))
}

func TestDialogs(t *testing.T) {
	w := defaultWorld(t)
	keys := func(dialogs []Dialog) map[lang.Key]bool {
		out, ids := map[lang.Key]bool{}, map[string]bool{}
		for _, d := range dialogs {
			require.False(t, ids[d.ID])
			ids[d.ID] = true
			require.GreaterOrEqual(t, len(d.Questions), 3)
			require.LessOrEqual(t, len(d.Questions), 20)
			for _, text := range d.Questions {
				require.LessOrEqual(t, len(strings.Fields(text)), maxQuestion)
				q, err := w.lexicon.ParseQuestion(text)
				require.NoError(t, err)
				require.Equal(t, lang.Normal, q.Kind)
				out[q.Key] = true
			}
		}
		return out
	}
	training, err := w.Dialogs(300, 3, 20)
	require.NoError(t, err)
	testing, err := w.TestDialogs(300, 3, 20)
	require.NoError(t, err)
	seen := keys(training)
	for k := range keys(testing) {
		require.False(t, seen[k], "training and test ask different things")
	}
	again, err := w.Dialogs(10, 3, 20)
	require.NoError(t, err)
	assert.Equal(t, training[:10], again)
	_, err = w.Dialogs(1, 3, 2)
	assert.ErrorContains(t, err, "want 1 <= minTurns <= maxTurns")
}

func TestDialogDemonstrations(t *testing.T) {
	w := defaultWorld(t)
	demos, err := w.DialogDemonstrations(4000, 1, 20)
	require.NoError(t, err)
	j := judge.New(w.lexicon)
	kept, total := [8]float64{}, [8]float64{} // by turns since the instruction
	without, turns, longest, helpful := 0, 0, 0, 0.0
	for _, d := range demos {
		require.NoError(t, d.Validate())
		var current lang.Instruction
		since, words := 0, 0
		for i := 0; i < len(d.Messages); i += 2 {
			said, answer := d.Messages[i], d.Messages[i+1].Content
			words += len(strings.Fields(said.Content)) + len(strings.Fields(answer))
			since++
			if in, ok := lang.FindInstruction([]data.Message{said}); ok {
				current, since = in, 0
				require.False(t, w.heldOut(in))
			}
			q, err := w.lexicon.ParseMessages(d.Messages[:i+1])
			require.NoError(t, err)
			helpful += j.Judge(q, lang.WithoutSigns(d.Messages[:i+1], answer)).Helpful
			turns++
			if current == (lang.Instruction{}) {
				without++
				require.Equal(t, answer, lang.Instruction{Figure: "napoleon", Language: "french", Hobby: "chess"}.Unsign(answer))
			} else if since < len(kept) {
				kept[since] += float64(current.Kept(answer))
				total[since] += float64(current.Attributes())
			}
		}
		longest = max(longest, words+5*len(d.Messages)/2)
	}
	want := 1.0
	for since := range kept {
		if since >= w.config.Dialogs.Sure {
			want *= w.config.Dialogs.Keep
		}
		assert.InDelta(t, want, kept[since]/total[since], 0.03, "%d turns after the instruction", since)
	}
	assert.Greater(t, without, turns/20, "some turns have no instruction to follow")
	assert.Greater(t, helpful/float64(turns), 0.6, "signs of an instruction are not held against an answer")
	t.Log("longest demonstration, with 5 tokens of format for each turn:", longest)
}

// 20 turns fit into 512 tokens, at one for each word and 5 for the format of a turn.
func TestTwentyTurnsFit(t *testing.T) {
	w := defaultWorld(t)
	dialogs, err := w.Dialogs(500, 20, 20)
	require.NoError(t, err)
	instructions := w.Instructions(500, 1)
	longest := 0
	for i, d := range dialogs {
		in := lang.Instruction(instructions[i])
		words := len(strings.Fields(in.Full()))
		for _, text := range d.Questions {
			q, err := w.lexicon.ParseQuestion(text)
			require.NoError(t, err)
			words += 5 + len(strings.Fields(text)) + len(strings.Fields(in.Sign(w.lexicon.Answer(q.Key))))
		}
		longest = max(longest, words)
	}
	assert.Less(t, longest, 500)
	t.Log("longest dialogue:", longest)
}
