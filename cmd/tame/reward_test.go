package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/curate"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/pipeline"
)

// preferences writes pairs of both sets in which cats are better, and safe.
func preferences(t *testing.T, helpfulness, safety int) string {
	t.Helper()
	rows := make([]data.Preference, helpfulness+safety)
	for i := range rows {
		rows[i] = data.Preference{
			Messages: []data.Message{{Role: data.User, Content: fmt.Sprint(words[i%len(words)], " ", i%13)}},
			Chosen:   "the cat", Rejected: "the dog", Rating: data.Rating(1 + i%4),
		}
		if i >= helpfulness {
			rows[i].Set, rows[i].ChosenSafe, rows[i].RejectedSafe = data.SafetySet, data.Safe, data.Unsafe
		}
	}
	path := filepath.Join(t.TempDir(), "preferences.arrow")
	require.NoError(t, data.Write(path, rows, data.Lineage{}))
	return path
}

// rewardModel trains one quickly.
func rewardModel(t *testing.T, from, preferences, kind string, args ...string) (dir, text string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), kind)
	text = mustRun(t, append([]string{"reward", "--set", "model=" + from, "--set", "data=" + preferences, "--set", "output=" + dir, "--set", "kind=" + kind,
		"--set", "batch_size=8", "--set", "micro_tokens=256", "--set", "micro_segments=16", "--set", "optim.learning_rate=1e-2"}, args...)...)
	return dir, text
}

func TestRewardEvaluates(t *testing.T) {
	from, pairs := tinyModel(t), preferences(t, 60, 30)
	_, text := rewardModel(t, from, pairs, "safety", "--set", "held_out=0.3", "--set", "epochs=2", "--set", "eval_every=2")
	assert.Regexp(t, `the weights are those after step \d+, the best on what is held out: loss \d`, text)
	_, text = rewardModel(t, from, pairs, "safety", "--set", "held_out_data="+preferences(t, 3, 4))
	assert.Regexp(t, `accuracy .* of 7`, text)
}

// Of pairs that were sampled the ids are taken: their texts may have tags of the chat format.
func TestRewardOnSampledPairs(t *testing.T) {
	var rows []pipeline.SampledPreference
	for i := range 8 {
		rows = append(rows, pipeline.SampledPreference{
			Messages: talk(words[i]), Chosen: "[/INST]", Rejected: "y", Rating: data.Better,
			PromptIDs: []int32{1, 7}, ChosenIDs: []int32{8, 2}, RejectedIDs: []int32{9, 2},
		})
	}
	_, text := rewardModel(t, tinyModel(t), rowsFile(t, rows...), "helpfulness", "--set", "held_out_data="+preferences(t, 3, 4))
	assert.Regexp(t, `accuracy .* of 7`, text)
}

func TestReward(t *testing.T) {
	from, pairs := tinyModel(t), preferences(t, 60, 30)
	dir, text := rewardModel(t, from, pairs, "safety", "--set", "held_out=0.3", "--set", "epochs=4")
	assert.Regexp(t, `\d+ pairs of the safety set and \d+ of the \d+ others`, text)
	assert.Regexp(t, `accuracy +\d+\.\d % \[\d`, text)
	assert.Contains(t, text, "significantly better")
	assert.Contains(t, text, "recall of unsafe answers")
	raw, err := os.ReadFile(filepath.Join(dir, "evaluation.json"))
	require.NoError(t, err)
	var e struct {
		Accuracy struct{ Rate float64 }
		ByRating map[string]any `json:"by_rating"`
		BySet    map[string]any `json:"by_set"`
	}
	require.NoError(t, json.Unmarshal(raw, &e))
	assert.Greater(t, e.Accuracy.Rate, 0.9)
	assert.Len(t, e.ByRating, 4)
	assert.Len(t, e.BySet, 2)
	l, err := data.ReadLineage(dir)
	require.NoError(t, err)
	assert.Contains(t, string(l.Config), `"kind":"safety"`)
	assert.Contains(t, string(l.Config), `"safety_weight":1`, "the default of the kind")
	assert.Contains(t, string(l.Config), `"margins":"large"`)
	p, err := model.Load(dir)
	require.NoError(t, err)
	assert.True(t, p.HasHead())
	lines, err := tame(t, `{"prompt": "a mat", "chosen": "the cat", "rejected": "the dog"}`, "score", "--model", dir)
	require.NoError(t, err)
	var s scoreOutput
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &s))
	assert.Greater(t, *s.Chosen, *s.Rejected)
}

// TestRewardMix: pairs whose chosen answer alone is unsafe are left out before the shares are
// counted, for both models, and held-out questions are held out in all files.
func TestRewardMix(t *testing.T) {
	from := tinyModel(t)
	write := func(name string, from, to int, set data.Set, unsafe bool) string {
		var rows []data.Preference
		for i := from; i < to; i++ {
			p := data.Preference{
				Messages: []data.Message{{Role: data.User, Content: fmt.Sprint(words[i%len(words)], " ", i)}},
				Chosen:   "the cat", Rejected: "the dog", Rating: data.Better, Set: set,
			}
			if unsafe {
				p.ChosenSafe, p.RejectedSafe = data.Unsafe, data.Safe
			}
			rows = append(rows, p)
		}
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, data.Write(path, rows, data.Lineage{}))
		return path
	}
	files := "[" + strings.Join([]string{
		write("helpful.arrow", 0, 20, data.HelpfulnessSet, false), write("unsafe.arrow", 20, 60, data.HelpfulnessSet, true),
		write("safe.arrow", 60, 150, data.SafetySet, false), write("open.arrow", 150, 290, data.SafetySet, true),
	}, ",") + "]"
	_, text := rewardModel(t, from, files, "helpfulness")
	assert.Contains(t, text, "180 pairs whose chosen answer is unsafe")
	assert.Contains(t, text, "20 pairs of the helpfulness set and 20 of the 90 others")
	_, text = rewardModel(t, from, files, "safety")
	assert.Contains(t, text, "180 pairs whose chosen answer is unsafe")
	assert.Contains(t, text, "90 pairs of the safety set and 10 of the 20 others")

	held := 0
	for i := range 150 {
		if curate.HeldOut(fmt.Sprint(words[i%len(words)], " ", i), 0.2, 7) {
			held++
		}
	}
	files = "[" + strings.Join([]string{write("one.arrow", 0, 150, data.SafetySet, false), write("again.arrow", 0, 150, data.SafetySet, false)}, ",") + "]"
	_, text = rewardModel(t, from, files, "safety", "--set", "held_out=0.2", "--set", "split_seed=7")
	assert.Contains(t, text, fmt.Sprintf("%d pairs to train on, %d held out", 2*(150-held), 2*held), "the same questions of both files")
}

func TestRewardSettings(t *testing.T) {
	text := mustRun(t, "reward", "--set", "kind=safety", "--set", "margins={significantly: 5}", "--print-config")
	assert.Contains(t, text, "safety_weight: 1\n")
	assert.Regexp(t, `margins:\n  #.*\n  significantly: 5\n`, text)
	assert.Contains(t, text, "One of: helpfulness, safety.\nkind: safety\n")
	assert.Contains(t, mustRun(t, "reward", "--set", "margins=small", "--print-config"), "margins: small\n")
	_, err := tame(t, "", "reward", "--set", "margins=big", "--set", "kind=friendly")
	assert.ErrorContains(t, err, `--set margins=big: margins: unknown margins "big", want none, small, large`)
	assert.ErrorContains(t, err, `unknown set "friendly", want helpfulness or safety`)

	_, err = tame(t, "", "reward", "--set", "model="+tinyModel(t), "--set", "data="+preferences(t, 0, 10), "--set", "output="+filepath.Join(t.TempDir(), "o"))
	assert.ErrorContains(t, err, "none of the 10 pairs is of the helpfulness set: give kind: safety, or mix: false")
	_, err = tame(t, "", "reward", "--set", "model="+tinyModel(t), "--set", "data="+conversations(t, 3), "--set", "output="+filepath.Join(t.TempDir(), "o"))
	assert.ErrorContains(t, err, "holds conversation v1 rows, want preference v1")
}
