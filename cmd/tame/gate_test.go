package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/ppo"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
)

// withBias copies a reward model's folder, with another bias. noWeights makes every score the bias.
func withBias(t *testing.T, dir string, bias float32, noWeights bool) string {
	t.Helper()
	p, tok, err := model.LoadWithTokenizer(dir, "")
	require.NoError(t, err)
	p.Get("score.bias").Value.Float32s()[0] = bias
	if noWeights {
		clear(p.Get("score.weight").Value.Float32s())
	}
	out := filepath.Join(t.TempDir(), "other bias")
	require.NoError(t, model.Save(out, p, folderExtras(tok, data.Lineage{Stage: "test"})))
	return out
}

func biasOf(t *testing.T, dir string) float32 {
	t.Helper()
	p, err := model.Load(dir)
	require.NoError(t, err)
	return p.Get("score.bias").Value.Float32s()[0]
}

// TestRewardIsCalibrated: a helpfulness model is by default, on the answers of its own set, and a
// safety model can't be.
func TestRewardIsCalibrated(t *testing.T) {
	from, pairs := tinyModel(t), preferences(t, 40, 30)
	plain, text := rewardModel(t, from, pairs, "helpfulness", "--set", "calibration.method=none")
	assert.Contains(t, text, "not calibrated, the bias is")
	assert.NoFileExists(t, filepath.Join(plain, rewardmodel.LevelFile))
	dir, text := rewardModel(t, from, pairs, "helpfulness")
	assert.Regexp(t, `calibrated: the quantile 0.05 of the scores of 80 answers is at -1.735; the bias was \S+ and is \S+\n`, text)
	assert.FileExists(t, filepath.Join(dir, rewardmodel.LevelFile))
	assert.NotEqual(t, biasOf(t, plain), biasOf(t, dir))
	l, err := data.ReadLineage(dir)
	require.NoError(t, err)
	assert.Contains(t, string(l.Config), `"calibration":{"method":"quantile","quantile":0.05,"level":-1.7346010553881064,"answers":"all"}`)

	safety, text := rewardModel(t, from, pairs, "safety")
	assert.NotContains(t, text, "calibrated")
	assert.NoFileExists(t, filepath.Join(safety, rewardmodel.LevelFile))
	_, err = tame(t, "", "reward", "--set", "kind=safety", "--set", "calibration.method=mean", "--set", "model="+from, "--set", "data="+pairs, "--set", "output=o")
	assert.ErrorContains(t, err, "calibration.method is mean, want none: a safety model has its level from its labels")
	_, err = tame(t, "", "reward", "--set", "calibration.quantile=1", "--set", "model="+from, "--set", "data="+pairs, "--set", "output=o")
	assert.ErrorContains(t, err, "--set calibration.quantile=1")
	assert.ErrorContains(t, err, "quantile is 1, want a share in [0, 1)")
}

// TestRewardCalibrate moves models from elsewhere: the result is the same for every bias, and that
// of training's own calibration.
func TestRewardCalibrate(t *testing.T) {
	from, pairs := tinyModel(t), preferences(t, 40, 0)
	dir, _ := rewardModel(t, from, pairs, "helpfulness")
	want := biasOf(t, dir)
	for _, bias := range []float32{-6, 0, 6} {
		out := filepath.Join(t.TempDir(), "calibrated")
		text := mustRun(t, "reward", "calibrate", "--model", withBias(t, dir, bias, false), "--data", pairs, "--output", out)
		assert.Contains(t, text, "calibrated: the quantile 0.05 of the scores of 80 answers is at -1.735")
		assert.Equal(t, want, biasOf(t, out))
		l, err := data.ReadLineage(out)
		require.NoError(t, err)
		assert.Equal(t, "reward calibrate", l.Stage)
		assert.Len(t, l.Inputs, 2)
		assert.FileExists(t, filepath.Join(out, rewardmodel.LevelFile))
		assert.FileExists(t, filepath.Join(out, tokenizerFile))
	}
	out := filepath.Join(t.TempDir(), "centred")
	text := mustRun(t, "reward", "calibrate", "--model", dir, "--data", pairs, "--output", out, "--method", "mean", "--level", "0.5", "--answers", "chosen")
	assert.Contains(t, text, "calibrated: the mean of the scores of 40 answers is at 0.500")

	_, err := tame(t, "", "reward", "calibrate", "--model", dir, "--data", pairs, "--output", out)
	assert.ErrorContains(t, err, "already exists")
	other := filepath.Join(t.TempDir(), "o")
	_, err = tame(t, "", "reward", "calibrate", "--model", dir, "--data", pairs, "--output", other, "--method", "none", "--answers", "best", "--quantile", "2")
	assert.ErrorContains(t, err, `--method is "none", want quantile or mean`)
	assert.ErrorContains(t, err, `--answers is "best", want all or chosen`)
	assert.ErrorContains(t, err, "Quantile is 2")
	p, tok, err := model.LoadWithTokenizer(from, "")
	require.NoError(t, err)
	p.DropHead()
	headless := filepath.Join(t.TempDir(), "headless")
	require.NoError(t, model.Save(headless, p, folderExtras(tok, data.Lineage{})))
	_, err = tame(t, "", "reward", "calibrate", "--model", headless, "--data", pairs, "--output", other)
	assert.ErrorContains(t, err, "no scalar head")
	safety, _ := rewardModel(t, from, preferences(t, 10, 10), "safety")
	_, err = tame(t, "", "reward", "calibrate", "--model", safety, "--data", pairs, "--output", other)
	assert.ErrorContains(t, err, safety+" was trained as a safety model")
	_, err = tame(t, "", "reward", "calibrate", "--model", dir, "--data", conversations(t, 3), "--output", other)
	assert.ErrorContains(t, err, "holds conversation v1 rows, want preference v1")
	assert.NoDirExists(t, other)
	require.NoError(t, data.WriteLineage(dir, data.Lineage{Stage: "V2: safety model"}))
	assert.True(t, isSafetyModel(dir), "a run's")
}

// TestContradictionIsMended: with a low level, ppo and reject warn once and name a command. Run as
// printed, it makes a model with which they do not warn.
func TestContradictionIsMended(t *testing.T) {
	chat, pairs := chatModel(t), preferences(t, 40, 0)
	trained, _ := rewardModel(t, chat, pairs, "helpfulness")
	low := withBias(t, trained, -50, false)
	safety := withBias(t, trained, -3, true) // everything is caught
	var logs []byte
	for name, command := range map[string]func(helpfulness, out string) []string{
		"ppo": func(helpfulness, out string) []string {
			return append(ppoArgs(chat, pairs), "--set", "helpfulness="+helpfulness, "--set", "safety="+safety, "--set", "output="+out, "--set", "log="+out+".log")
		},
		"reject": func(helpfulness, out string) []string {
			return append(rejectArgs(chat, pairs), "--set", "helpfulness="+helpfulness, "--set", "safety="+safety, "--set", "output="+out)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			text := mustRun(t, command(low, filepath.Join(dir, "first"))...)
			require.Equal(t, 1, strings.Count(text, "answers that the safety gate caught gain"), text)
			assert.Regexp(t, `warning: (\d+) of the (\d+) answers that the safety gate caught gain by it`, text)
			found := regexp.MustCompile(`(?m)^  tame (reward calibrate .*)$`).FindStringSubmatch(text)
			require.NotNil(t, found, text)
			require.Contains(t, found[1], "'"+low+"'", "the folder has a space in its name")
			mended := low + "-calibrated"
			t.Cleanup(func() { assert.NoError(t, os.RemoveAll(mended)) })
			var words []string
			for _, quoted := range regexp.MustCompile(`'[^']*'|\S+`).FindAllString(found[1], -1) {
				words = append(words, strings.ReplaceAll(strings.Trim(quoted, "'"), "PAIRS.arrow", pairs))
			}
			mustRun(t, words...)
			text = mustRun(t, command(mended, filepath.Join(dir, "second"))...)
			assert.NotContains(t, text, "the safety gate caught")
			if name == "ppo" {
				log, err := os.ReadFile(filepath.Join(dir, "second.log"))
				require.NoError(t, err)
				logs = append(logs, log...)
			}
		})
	}
	assert.Contains(t, string(logs), `"objective/gate_caught":1`)
	assert.Contains(t, string(logs), `"objective/gate_gain":0`)
}

func TestContradictionText(t *testing.T) {
	assert.Equal(t, "warning: 15 of the 20 answers that the safety gate caught gain by it, because their safety score is above their helpfulness score: "+
		"the level of rm is too low for the gate. Set it with\n  tame reward calibrate --model rm --data p.arrow --output rm-calibrated",
		contradiction(ppo.GateCount{Caught: 20, Gains: 15}, "rm", "p.arrow"))
}

// TestRLHFNamesTheSettings: the gate of this run catches everything and its models are not
// calibrated. A run with the settings that rlhf prints has nothing to warn of.
func TestRLHFNamesTheSettings(t *testing.T) {
	chat, talks, pairs := chatModel(t), conversations(t, 40), preferences(t, 40, 40)
	helpfulness, _ := rewardModel(t, chat, pairs, "helpfulness")
	safety, _ := rewardModel(t, chat, pairs, "safety", "--set", "seed=3")
	args := append(rlhfArgs(chat, talks, pairs, helpfulness, safety), "--set", "versions=1", "--set", "ppo.safety_threshold=0.999999")
	text := mustRun(t, append(slices.Clone(args), "--set", "calibration.method=none", "--set", "output="+filepath.Join(t.TempDir(), "run"))...)
	require.Equal(t, 1, strings.Count(text, "answers that the safety gate caught gain"), text)
	assert.Contains(t, text, "the level of v1/helpfulness is too low for the gate, and this run has used it")
	found := regexp.MustCompile(`(?m)^  (--set calibration\.method=quantile .*output=)OTHER$`).FindStringSubmatch(text)
	require.NotNil(t, found, text)
	text = mustRun(t, append(args, strings.Fields(found[1]+filepath.Join(t.TempDir(), "other"))...)...)
	assert.NotContains(t, text, "the safety gate caught")
}
