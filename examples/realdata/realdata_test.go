package main

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/console"
	"github.com/tame-rlhf/tame/internal/golden"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
	"github.com/tame-rlhf/tame/pkg/importer"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
)

func TestAgreement(t *testing.T) {
	for _, c := range []struct {
		votes  [3]int
		better int
		rating data.Rating
	}{
		{[3]int{1, 1, 1}, 1, data.SignificantlyBetter},
		{[3]int{2, 2, 2}, 2, data.SignificantlyBetter},
		{[3]int{2, 0, 2}, 2, data.Better},
		{[3]int{1, 2, 1}, 1, data.SlightlyBetter},
		{[3]int{2, 1, 2}, 2, data.SlightlyBetter},
		{[3]int{0, 2, 0}, 2, data.NegligiblyBetter},
	} {
		better, rating, err := agreement(c.votes[0], c.votes[1], c.votes[2])
		require.NoError(t, err)
		assert.Equal(t, c.better, better, c.votes)
		assert.Equal(t, c.rating, rating, c.votes)
	}
	for _, votes := range [][3]int{{0, 0, 0}, {0, 1, 2}} {
		_, _, err := agreement(votes[0], votes[1], votes[2])
		assert.ErrorIs(t, err, errNoPreference)
	}
	_, _, err := agreement(1, 1, 3)
	assert.ErrorContains(t, err, "says 3")
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestReadPandaLM(t *testing.T) {
	path := write(t, "votes.jsonl", `{"instruction":"Add.","input":"1 and 2","response1":"4","response2":"3","annotator1":2,"annotator2":2,"annotator3":1}
{"instruction":"Add.","input":"","response1":"4","response2":"3","annotator1":2,"annotator2":1,"annotator3":0}
{"instruction":"Add.","input":"","response1":"4","response2":"4","annotator1":2,"annotator2":2,"annotator3":2}
{"instruction":
`)
	prefs, report, err := readPandaLM(path)
	require.NoError(t, err)
	assert.Equal(t, []data.Preference{{
		Messages: []data.Message{{Role: data.User, Content: "Add.\n\n1 and 2"}},
		Chosen:   "3", Rejected: "4", Rating: data.SlightlyBetter,
	}}, prefs)
	assert.Equal(t, 1, report.Rows)
	require.Len(t, report.Refused, 3)
	for i, want := range []string{"votes.jsonl:2: as many annotators", "votes.jsonl:3: the two answers are the same", "votes.jsonl:4: unexpected end"} {
		assert.ErrorContains(t, report.Refused[i], want)
	}
}

func TestReadLLMBar(t *testing.T) {
	path := write(t, "pairs.jsonl", `{"input":"Add 1 and 2.","output_1":"4","output_2":"3","label":2}
{"input":"Add 1 and 2.","output_1":"4","output_2":"3","label":0}
{"input":"[INST] Add.","output_1":"4","output_2":"3","label":1}
{"input":"Add.","output_1":"","output_2":"3","label":1}
`)
	prefs, report, err := readLLMBar(path)
	require.NoError(t, err)
	require.Len(t, prefs, 1)
	assert.Equal(t, "3", prefs[0].Chosen)
	assert.Equal(t, data.Better, prefs[0].Rating)
	require.Len(t, report.Refused, 3)
	assert.ErrorContains(t, report.Refused[0], `pairs.jsonl:2: "label" is 0, want 1 or 2`)
	assert.ErrorIs(t, report.Refused[1], data.ErrTag)
	assert.ErrorContains(t, report.Refused[2], "pairs.jsonl:4: the chosen answer is blank")
}

func TestReadDemonstrations(t *testing.T) {
	path := write(t, "seed.jsonl", `{"instruction":"Add.","instances":[{"input":"1 and 2","output":"3"}]}
{"instruction":"Add.","instances":[]}
{"instruction":"Add.","instances":[{"input":"1 and 2","output":" "}]}
`)
	rows, report, err := readSeedTasks(path)
	require.NoError(t, err)
	require.Len(t, rows, 1)
	assert.Equal(t, []data.Message{{Role: data.User, Content: "Add.\n\n1 and 2"}, {Role: data.Assistant, Content: "3"}}, rows[0].Messages)
	require.Len(t, report.Refused, 2)
	assert.ErrorContains(t, report.Refused[0], "seed.jsonl:2: 0 instances")
	assert.ErrorContains(t, report.Refused[1], "seed.jsonl:3: there is no answer")
}

// The same question must be the same prompt whichever reader it comes from, or it could be on both sides of the split.
func TestQuestionIsAlpacas(t *testing.T) {
	path := write(t, "alpaca.json", `[{"instruction":"Add.\n","input":"1 and 2","output":"3"},{"instruction":"Add.","input":" ","output":"3"}]`)
	rows, _, err := importer.Alpaca(path)
	require.NoError(t, err)
	require.Len(t, rows, 2)
	assert.Equal(t, rows[0].Messages[:1], question("Add.\n", "1 and 2"))
	assert.Equal(t, rows[1].Messages[:1], question("Add.", " "))
}

func TestAccuracy(t *testing.T) {
	long, short := []int32{3, 3}, []int32{3}
	set := &testSet{prompts: map[string]int{}}
	for i, p := range []data.Pair{
		{Chosen: long, Rejected: short, Rating: data.Better}, {Chosen: short, Rejected: long, Rating: data.SlightlyBetter},
		{Chosen: long, Rejected: short, Rating: data.Better}, {Chosen: long, Rejected: long, Rating: data.SlightlyBetter},
	} {
		question := []data.Message{{Role: data.User, Content: string(rune('a' + i/2))}}
		set.add(comparison{Preference: data.Preference{Messages: question}, pair: p})
	}
	assert.Equal(t, []int{0, 0, 1, 1}, set.prompt)
	a, err := set.judge(set.lengths())
	require.NoError(t, err)
	assert.Equal(t, 2.5/4, a.All.Mean)
	assert.Equal(t, 1.0, a.ByRating[data.Better.String()].Mean)
	assert.Equal(t, 0.25, a.ByRating[data.SlightlyBetter.String()].Mean)
}

func TestClustered(t *testing.T) {
	var apart, alike []rewardmodel.Count
	for i := range 80 {
		hit := float64(i % 2)
		apart = append(apart, rewardmodel.Count{Hits: hit, N: 1})
		if i < 8 {
			alike = append(alike, rewardmodel.Count{Hits: 10 * hit, N: 10})
		}
	}
	// A prompt of its own for each pair: Wilson's interval of 79 pairs, as 80/79 is the unbiased variance. Ten pairs that
	// always agree tell no more than one, so eight prompts are worth seven pairs.
	for _, c := range []struct {
		counts []rewardmodel.Count
		n      int
	}{{apart, 79}, {alike, 7}, {[]rewardmodel.Count{{Hits: 5, N: 5}, {Hits: 5, N: 5}}, 2}} {
		m := clustered(c.counts)
		lo, hi := eval.Wilson(m.Mean*float64(c.n), c.n)
		assert.InDelta(t, lo, m.Lo, 1e-12)
		assert.InDelta(t, hi, m.Hi, 1e-12)
	}
	assert.Equal(t, 80, clustered(alike).N)
}

func run(dir string) error {
	return realdata(context.Background(), console.New(os.Stderr), dir, 1, true, "")
}

func TestMissingData(t *testing.T) {
	assert.ErrorContains(t, run(""), "-data names no folder")
	missing := filepath.Join(t.TempDir(), "nowhere")
	assert.ErrorContains(t, run(missing), missing)
	empty := t.TempDir()
	assert.ErrorContains(t, run(empty), filepath.Join(empty, "stories260k", "stories260K.bin"))
	assert.ErrorContains(t, run(write(t, "file", "")), "is no folder")
}

// link makes a data folder in which one file is replaced.
func link(t *testing.T, shared, file string, text []byte) string {
	t.Helper()
	dir := t.TempDir()
	folder, name := filepath.Split(file)
	sets, err := os.ReadDir(shared)
	require.NoError(t, err)
	for _, set := range sets {
		if set.Name()+"/" != folder {
			require.NoError(t, os.Symlink(filepath.Join(shared, set.Name()), filepath.Join(dir, set.Name())))
		}
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, folder), 0o755))
	files, err := os.ReadDir(filepath.Join(shared, folder))
	require.NoError(t, err)
	for _, f := range files {
		if f.Name() != name {
			require.NoError(t, os.Symlink(filepath.Join(shared, folder, f.Name()), filepath.Join(dir, folder, f.Name())))
		}
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, file), text, 0o600))
	return dir
}

func TestDamagedData(t *testing.T) {
	shared := golden.SharedDir(t)
	for _, c := range []struct {
		file string
		keep float64 // share of its bytes
	}{
		{"stories260k/stories260K.bin", 0.5},
		{"stories260k/tok512.bin", 0.5},
		{"llamafactory_demo/alpaca_en_demo.json", 0.5},
		{"hh_rlhf_harmless/harmless_base_test.jsonl.gz", 0.5},
		{"pandalm/testset_v1.jsonl", 0},
	} {
		raw, err := os.ReadFile(filepath.Join(shared, c.file))
		require.NoError(t, err)
		dir := link(t, shared, c.file, raw[:int(c.keep*float64(len(raw)))])
		assert.ErrorContains(t, run(dir), filepath.Join(dir, c.file))
	}
}

func TestSplit(t *testing.T) {
	dir := golden.SharedDir(t)
	l, _, err := newLab(dir, defaultSettings(1), console.New(os.Stderr))
	require.NoError(t, err)

	// White space does not make another question, though the split hashes all but what is at the ends.
	words := func(text string) string { return strings.Join(strings.Fields(text), " ") }
	trained := map[string]bool{}
	for _, d := range l.corpus.train.demos {
		trained[words(d.Question())] = true
	}
	for _, p := range l.corpus.train.pairs {
		trained[words(p.Question())] = true
	}
	for _, p := range l.rl {
		assert.True(t, trained[words(p.Question())], p.Question())
	}
	for _, d := range l.corpus.heldOut.demos {
		assert.False(t, trained[words(d.Question())], d.Question())
	}
	for _, p := range l.corpus.heldOut.pairs {
		assert.False(t, trained[words(p.Question())], p.Question())
	}
	validation := map[string]bool{}
	for _, p := range l.validation {
		assert.False(t, trained[words(p.Question())], p.Question())
		validation[words(p.Question())] = true
	}
	for _, p := range l.test {
		assert.False(t, trained[words(p.Question())], p.Question())
		assert.False(t, validation[words(p.Question())], p.Question())
	}

	topics := map[string]bool{}
	for _, d := range l.corpus.train.dialogs {
		topics[words(d.topic)] = true
	}
	for _, d := range l.corpus.heldOut.dialogs {
		assert.False(t, topics[words(d.topic)], d.topic)
		assert.False(t, trained[words(d.topic)], d.topic)
	}

	for _, f := range l.corpus.files {
		assert.Equal(t, f.Rows, f.Refused+f.TooLong+f.Train+f.HeldOut, f.File)
		assert.Greater(t, f.Train, 0, f.File)
	}
	for _, s := range []side{l.corpus.train, l.corpus.heldOut} {
		for _, d := range s.demos {
			require.LessOrEqual(t, len(d.example.Tokens), 512)
		}
	}
}

func TestShortRun(t *testing.T) {
	dir := golden.SharedDir(t)
	out := filepath.Join(t.TempDir(), "results.json")
	require.NoError(t, realdata(context.Background(), console.New(os.Stderr), dir, 1, true, out))
	raw, err := os.ReadFile(out)
	require.NoError(t, err)
	var r results
	require.NoError(t, json.Unmarshal(raw, &r))

	require.Len(t, r.Versions, 4)
	base, chat := r.Versions[0], r.Versions[1]
	assert.Greater(t, base.Loss.Mean, chat.Loss.Mean+1, "SFT must bring the loss on demonstrations held out down")
	assert.Zero(t, chat.KL.Mean)
	assert.Zero(t, chat.Gain.Mean)
	for _, v := range r.Versions {
		for _, m := range []eval.Mean{v.Loss, v.Reward, v.Gain, v.Third, v.KL, v.Length} {
			assert.False(t, math.IsNaN(m.Mean) || math.IsInf(m.Mean, 0), v.Version)
			assert.LessOrEqual(t, m.Lo, m.Hi)
		}
		assert.GreaterOrEqual(t, v.KL.Mean, 0.0)
	}
	require.Len(t, r.Ghost.Rows, 6)
	assert.Positive(t, r.Ghost.Examples)
	for _, row := range r.Ghost.Rows {
		require.Len(t, row.Turns, 2)
		for i, p := range row.Turns {
			assert.Equal(t, i+1, p.Turn)
			assert.Equal(t, 4, p.Kept.N, row.Model)
			assert.LessOrEqual(t, p.Kept.Mean, 1-float64(p.Lost)/4)
		}
	}
	require.NotEmpty(t, r.RewardModels)
	require.NotEmpty(t, r.Third)
	assert.Len(t, r.PPO, 2)
	assert.Positive(t, r.Winners)
}

func TestStops(t *testing.T) {
	dir := golden.SharedDir(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	assert.ErrorIs(t, realdata(ctx, console.New(os.Stderr), dir, 1, true, ""), context.Canceled)
}
