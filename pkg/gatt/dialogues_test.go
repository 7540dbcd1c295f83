package gatt

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/generate"
)

// The prompt of a turn is what was said before, id for id: the answers are those that one gets by asking turn by turn.
func TestSampleDialoguesTurnByTurn(t *testing.T) {
	p, cfg := tinyModel(t, 400), config()
	for _, repeat := range []bool{true, false} {
		cfg.Repeat = repeat
		dialogs := someDialogs(5, 3)
		talks, err := SampleDialogues(context.Background(), p, template(t), words{}, dialogs, cfg)
		require.NoError(t, err)
		for i, talk := range talks {
			assert.Equal(t, dialogs[i], talk.Dialog)
			var said []int32
			for k, turn := range talk.Turns {
				want := []int32{bos, open}
				if k == 0 || repeat {
					want = append(want, 25, 26, 27)
				}
				want = append(want, int32(firstNumber+(i+k)%20), shut)
				require.Equal(t, want, turn.Prompt)
				said = append(said, turn.Prompt...)
				alone, err := generate.Generate(context.Background(), p, []generate.Request{{
					Prompt: said, ID: data.StreamKey(dialogs[i].ID + " turn " + string(rune('1'+k))), Samples: 1,
				}}, generate.Sampling{MaxNewTokens: 60, Temperature: 1, TopP: 1, Stop: []int32{eos}, Seed: 5, Slots: 1})
				require.NoError(t, err)
				require.Equal(t, alone[0][0].Tokens, turn.Answer)
				require.Equal(t, int32(eos), turn.Answer[len(turn.Answer)-1])
				said = append(said, turn.Answer...)
			}
		}
	}
}

// A dialogue's answers do not depend on the others.
func TestSampleDialoguesDoesNotDependOnPlace(t *testing.T) {
	p, dialogs := tinyModel(t, 400), someDialogs(8, 3)
	talks, err := SampleDialogues(context.Background(), p, template(t), words{}, dialogs, config())
	require.NoError(t, err)
	cfg := config()
	cfg.Slots = 3
	mixed := slices.Clone(dialogs[3:])
	slices.Reverse(mixed)
	again, err := SampleDialogues(context.Background(), p, template(t), words{}, mixed, cfg)
	require.NoError(t, err)
	for i, talk := range again {
		assert.Equal(t, talks[7-i], talk)
	}
}

// silent is a decoder by which no answer has a text.
type silent struct{ words }

func (silent) Decode([]int32) (string, error) { return " ", nil }

// TestEmptyAnswersEndDialogues: they are no turns to learn from.
func TestEmptyAnswersEndDialogues(t *testing.T) {
	talks, err := SampleDialogues(context.Background(), tinyModel(t, 400), template(t), silent{}, someDialogs(4, 2), config())
	require.NoError(t, err)
	empty := 0
	for _, talk := range talks {
		assert.Empty(t, talk.Turns)
		if talk.Empty {
			empty++
		}
	}
	assert.Positive(t, empty)
}

func TestSampleDialoguesEndsEarly(t *testing.T) {
	cfg := config()
	cfg.MaxNewTokens = 30 // of about 40 that an answer takes
	dialogs := someDialogs(40, 4)
	talks, err := SampleDialogues(context.Background(), tinyModel(t, 4000), template(t), words{}, dialogs, cfg)
	require.NoError(t, err)
	var length [5]int
	for _, talk := range talks {
		length[len(talk.Turns)]++
		for _, turn := range talk.Turns {
			assert.LessOrEqual(t, len(turn.Answer), 30)
			assert.Equal(t, int32(eos), turn.Answer[len(turn.Answer)-1], "what did not end is left out")
		}
	}
	assert.Positive(t, length[0])
	assert.Positive(t, length[1]+length[2]+length[3], "turns before stay")

	// A full context ends dialogues too.
	cfg = config()
	talks, err = SampleDialogues(context.Background(), tinyModel(t, 60), template(t), words{}, dialogs, cfg)
	require.NoError(t, err)
	for _, talk := range talks {
		n := 0
		for _, turn := range talk.Turns {
			n += len(turn.Prompt) + len(turn.Answer)
		}
		assert.LessOrEqual(t, n, 60)
		assert.Less(t, len(talk.Turns), 4)
	}
}

func TestSampleDialoguesProgress(t *testing.T) {
	cfg := config()
	cfg.MaxNewTokens = 390
	var done []int
	cfg.OnProgress = func(d, total int) { done = append(done, d); assert.Equal(t, 12, total) }
	_, err := SampleDialogues(context.Background(), tinyModel(t, 2000), template(t), words{}, someDialogs(4, 3), cfg)
	require.NoError(t, err)
	assert.True(t, slices.IsSorted(done))
	assert.Equal(t, 12, done[len(done)-1])
}

func TestSampleDialoguesRefuses(t *testing.T) {
	ctx, p, tmpl := context.Background(), tinyModel(t, 50), template(t)
	_, err := SampleDialogues(ctx, p, tmpl, words{}, nil, config())
	assert.ErrorIs(t, err, data.ErrEmpty)
	twice := append(someDialogs(1, 1), someDialogs(1, 2)...)
	_, err = SampleDialogues(ctx, p, tmpl, words{}, twice, config())
	assert.ErrorContains(t, err, `0 and 1 have the same ID "dialogue 0"`)
	_, err = SampleDialogues(ctx, p, tmpl, words{}, []Dialog{{ID: "x"}}, config())
	assert.ErrorContains(t, err, "no questions")
	_, err = SampleDialogues(ctx, nil, tmpl, words{}, twice[:1], config())
	assert.ErrorContains(t, err, "one is nil")
	tagged := someDialogs(1, 1)
	tagged[0].Instruction = "[INST]"
	_, err = SampleDialogues(ctx, p, tmpl, words{}, tagged, config())
	assert.ErrorIs(t, err, data.ErrTag)
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	_, err = SampleDialogues(stopped, p, tmpl, words{}, twice[:1], config())
	assert.ErrorIs(t, err, context.Canceled)
	_, err = SampleDialogues(ctx, p, tmpl, failing{}, someDialogs(20, 1), config())
	assert.ErrorIs(t, err, errDecode)
}

var errDecode = errors.New("no text")

type failing struct{}

func (failing) Decode([]int32) (string, error) { return "", errDecode }

func TestValidate(t *testing.T) {
	require.NoError(t, config().Validate())
	err := Config{ShortShare: 2, Sampling: generate.Sampling{Temperature: math.Inf(1)}}.Validate()
	for _, want := range []string{"ShortShare is 2", "Temperature is +Inf", "TopP is 0", "MaxNewTokens is 0", "Stop is []", "Slots is 0"} {
		assert.ErrorContains(t, err, want)
	}
	_, err = Examples(template(t), nil, Config{})
	assert.Error(t, err)
	_, err = Examples(nil, nil, config())
	assert.ErrorContains(t, err, "template")
}
