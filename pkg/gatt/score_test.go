package gatt

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sevens counts the words 7 in an answer, of two.
func sevens(_ Dialog, answer string) (kept, total int) {
	return min(strings.Count(" "+answer+" ", " 7 "), 2), 2
}

func TestScore(t *testing.T) {
	talk := func(questions int, answers ...string) Transcript {
		out := Transcript{Dialog: Dialog{Questions: make([]string, questions)}}
		for _, a := range answers {
			out.Turns = append(out.Turns, AnsweredTurn{Text: a})
		}
		return out
	}
	points := Score([]Transcript{
		talk(3, "7 0 7", "7", "1"),
		talk(3, "7 0 7"),          // ended after the first turn: the others keep nothing
		talk(2, "7 0 7", "7 0 7"), // has no third turn to measure
	}, sevens, 1, 2, 3)
	require.Len(t, points, 3)
	for i, want := range []Point{{Turn: 1}, {Turn: 2, Lost: 1}, {Turn: 3, Lost: 1}} {
		mean, n := []float64{1, 0.5, 0}[i], []int{3, 3, 2}[i]
		assert.Equal(t, want.Turn, points[i].Turn)
		assert.Equal(t, want.Lost, points[i].Lost)
		assert.InDelta(t, mean, points[i].Kept.Mean, 1e-12)
		assert.Equal(t, n, points[i].Kept.N)
		assert.LessOrEqual(t, points[i].Kept.Lo, mean)
		assert.GreaterOrEqual(t, points[i].Kept.Hi, mean)
	}
	// Wilson's interval for 3 of 3 begins at n/(n+z²).
	assert.InDelta(t, 3/(3+1.959963984540054*1.959963984540054), points[0].Kept.Lo, 1e-12)
	assert.Equal(t, 0, Score(nil, sevens, 0)[0].Kept.N)
}

// The instruction is in the first turn only, however the config samples.
func TestEvaluate(t *testing.T) {
	p, dialogs := tinyModel(t, 400), someDialogs(6, 3)
	cfg := config()
	points, talks, err := Evaluate(context.Background(), p, template(t), words{}, dialogs, sevens, cfg, 1, 3)
	require.NoError(t, err)
	cfg.Repeat = false
	want, err := SampleDialogues(context.Background(), p, template(t), words{}, dialogs, cfg)
	require.NoError(t, err)
	assert.Equal(t, want, talks)
	assert.Equal(t, Score(want, sevens, 1, 3), points)
	_, _, err = Evaluate(context.Background(), p, template(t), words{}, dialogs, nil, cfg, 1)
	assert.ErrorContains(t, err, "checker")
}
