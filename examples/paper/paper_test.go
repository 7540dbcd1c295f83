package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/examples/internal/lab"
	"github.com/tame-rlhf/tame/internal/console"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
	"github.com/tame-rlhf/tame/pkg/model"
)

// silent is a console that nobody reads.
func silent(t *testing.T) *console.Console {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, null.Close()) })
	return console.New(null)
}

// tiny is a world in which nothing is learnt.
func tiny() lab.Settings {
	s := lab.Short(1)
	s.World.Pretraining.Words = 20_000
	m := &s.Model
	m.Dim, m.NumLayers, m.HeadDim, m.HiddenDim = 32, 1, 8, 64
	s.Pretrain.Steps, s.Pretrain.BatchTokens, s.SFT.Epochs, s.MaxAnswer = 5, 512, 4, 24
	s.SFT.BatchSize, s.SFT.Optim.LearningRate = 8, 1e-2
	s.Dialogs, s.PrePrompted = 0, 0
	s.Iteration.Rejection.Samples, s.Iteration.PPO.Iterations = 2, 1
	return s
}

// TestAll runs every command in a very small world: each leaves a picture and verdicts, and a second run makes nothing again.
func TestAll(t *testing.T) {
	dir := t.TempDir()
	s := tiny()
	require.NoError(t, run(t.Context(), silent(t), dir, 1, s, few, []string{"all"}))
	for _, e := range experiments() {
		path := filepath.Join(dir, "seed-1", "results", e.name)
		raw, err := os.ReadFile(path + ".json")
		require.NoError(t, err)
		var r report
		require.NoError(t, json.Unmarshal(raw, &r), e.name)
		assert.NotEmpty(t, r.Rows, e.name)
		assert.NotEmpty(t, r.Claims, e.name)
		assert.Contains(t, []verdict{agrees, disagrees, undecided}, r.Direction, e.name)
		for _, c := range r.Claims {
			assert.Contains(t, []verdict{agrees, disagrees, undecided}, c.Verdict, "%s: %s", e.name, c.Claim)
		}
		head := make([]byte, 8)
		f, err := os.Open(path + ".png")
		require.NoError(t, err)
		_, err = f.Read(head)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		assert.Equal(t, "\x89PNG\r\n\x1a\n", string(head), e.name)
	}
	require.NoError(t, run(t.Context(), silent(t), dir, 1, s, few, []string{"summary"}))

	before, err := os.Stat(filepath.Join(dir, "seed-1", "general", "model.safetensors"))
	require.NoError(t, err)
	require.NoError(t, run(t.Context(), silent(t), dir, 1, s, few, []string{"table7"}))
	after, err := os.Stat(filepath.Join(dir, "seed-1", "general", "model.safetensors"))
	require.NoError(t, err)
	assert.Equal(t, before.ModTime(), after.ModTime(), "it was not trained again")

	s.OpenPairs++
	assert.ErrorContains(t, run(t.Context(), silent(t), dir, 1, s, few, []string{"table7"}), "other settings")
}

// TestTheRunsRecipe trains the run's own helpfulness model once more, in the way in which the models that it is compared with are trained.
func TestTheRunsRecipe(t *testing.T) {
	b, err := newBench(t.Context(), silent(t), t.TempDir(), 1, tiny(), few)
	require.NoError(t, err)
	want := b.helpfulness
	pairs, _, err := b.mixes(len(b.rounds))
	require.NoError(t, err)
	got, err := b.rewardModel(t.Context(), "again", startName, pairs, b.Iteration.Helpfulness)
	require.NoError(t, err)
	assert.Equal(t, want.Get("score.weight").Value.Data(), got.Get("score.weight").Value.Data())
	assert.Equal(t, want.Get("layers.0.qkv").Value.Data(), got.Get("layers.0.qkv").Value.Data())
}

// TestTheRunsFineTuning repeats the fine-tuning of the version that has Ghost Attention first, by the run's
// own rule, in the way in which the other arms of Table 30 are fine-tuned.
func TestTheRunsFineTuning(t *testing.T) {
	b, err := newBench(t.Context(), silent(t), t.TempDir(), 1, tiny(), few)
	require.NoError(t, err)
	v := b.ghostVersion()
	want, err := model.Load(b.rounds[v-1].Tuned)
	require.NoError(t, err)
	for _, a := range arms {
		got, err := b.retuned(t.Context(), v, a)
		require.NoError(t, err)
		same := slices.Equal(want.Get("layers.0.qkv").Value.Data().([]float32), got.Get("layers.0.qkv").Value.Data().([]float32))
		assert.Equal(t, a.ghost && a.every == b.Iteration.GAtt.EveryTurn, same, a.name)
	}
}

// TestRoutes compares PPO on the last version with the run's own, and the cost of rejection sampling with
// that of PPO.
func TestRoutes(t *testing.T) {
	b, err := newBench(t.Context(), silent(t), t.TempDir(), 1, tiny(), few)
	require.NoError(t, err)
	list := b.routes()
	marks := map[string][]mark{}
	for _, r := range list {
		marks[r.name], err = b.climb(t.Context(), r)
		require.NoError(t, err)
	}
	want, err := model.Load(b.rounds[len(b.rounds)-1].Model)
	require.NoError(t, err)
	got, err := model.Load(b.path("routes/ppo-V2"))
	require.NoError(t, err)
	assert.Equal(t, want.Get("layers.0.qkv").Value.Data(), got.Get("layers.0.qkv").Value.Data())
	cfg, tune, longest := b.Iteration.Rejection, b.Iteration.FineTune, 0
	prompts, err := b.Tmpl.EncodePrompts(b.World.RLPrompts())
	require.NoError(t, err)
	for _, p := range prompts {
		longest = max(longest, len(p.Tokens))
	}
	batch := min(tune.BatchSize, len(prompts)) * (cfg.Samples*cfg.MaxNewTokens + tune.Epochs*(longest+cfg.MaxNewTokens))
	end := func(name string) mark { return marks[name][len(marks[name])-1] }
	for _, from := range []string{"SFT", "V2"} {
		ppo, rejection := end("PPO on "+from), end("rejection on "+from)
		assert.Equal(t, ppo.Iteration, rejection.Iteration)
		assert.GreaterOrEqual(t, rejection.Tokens, ppo.Tokens)
		assert.Less(t, rejection.Tokens, ppo.Tokens+batch, "a batch of prompts too many at most")
		assert.Zero(t, marks["PPO on "+from][slices.Index(measures, klMeasure)].Mean, "at the start")
		assert.Positive(t, ppo.Mean, "the KL at the end")
	}
}

// TestBatchOf goes through all prompts before any comes again.
func TestBatchOf(t *testing.T) {
	all := make([]data.TokenPrompt, 7)
	for i := range all {
		all[i].ID = fmt.Sprint(i)
	}
	for pass := range 2 {
		seen := map[string]bool{}
		for n := range 3 {
			for _, p := range batchOf(all, 2, 3*pass+n, 1) {
				assert.False(t, seen[p.ID])
				seen[p.ID] = true
			}
		}
		assert.Len(t, seen, 6)
	}
}

// TestImproves tells a model that is better on one axis from one that is worse, and holds all intervals
// together: 1.96 standard errors on one of six axes are not enough.
func TestImproves(t *testing.T) {
	flat := betterment{"helpfulness", 1, mean(0, -1, 1)}
	list := []betterment{flat, flat, flat, flat, flat, {"unsafe answers", 0.4, mean(2, 1, 3)}}
	top, v := improves(list)
	assert.Equal(t, agrees, v)
	assert.Equal(t, "unsafe answers at temperature 0.4", top.String())
	assert.InDelta(t, 2.638257/1.959964, top.by.Hi-top.by.Mean, 1e-6, "z of 1 - 0.05/12")
	list[5].by = mean(1.1, 0.1, 2.1)
	_, v = improves(list)
	assert.Equal(t, undecided, v)
	list[5].by = mean(-2, -3, -1)
	_, v = improves(list)
	assert.Equal(t, disagrees, v)
	low, v := spoils(list)
	assert.Equal(t, disagrees, v)
	assert.InDelta(t, -2, low.by.Mean, 1e-12)
}

// TestPeak is the version from which Figure 11 measures.
func TestPeak(t *testing.T) {
	versions := []eval.VersionRewards{{General: []float64{0, 1}}, {General: []float64{2, 3}}, {General: []float64{1, 2}}}
	assert.Equal(t, 1, peak(versions))
}

func TestUnknownCommand(t *testing.T) {
	_, err := choose([]string{"table9"})
	assert.ErrorContains(t, err, `no "table9"`)
	_, err = choose(nil)
	assert.ErrorContains(t, err, "table7")
}

// mean is a number with its interval.
func mean(m, lo, hi float64) eval.Mean { return eval.Mean{Mean: m, Lo: lo, Hi: hi} }

func TestVerdicts(t *testing.T) {
	up, down, unclear := mean(2, 1, 3), mean(-2, -3, -1), mean(0.1, -1, 1.2)
	assert.Equal(t, []verdict{agrees, disagrees, undecided}, []verdict{positive(up), positive(down), positive(unclear)})
	assert.Equal(t, []verdict{disagrees, agrees, undecided}, []verdict{negative(up), negative(down), negative(unclear)})
	assert.Equal(t, []verdict{disagrees, disagrees, agrees}, []verdict{unchanged(up, 0.5), unchanged(down, 0.5), unchanged(unclear, 1.5)})
	assert.Equal(t, undecided, unchanged(unclear, 1))
	assert.Equal(t, []verdict{agrees, disagrees, undecided}, []verdict{notBelow(up, 0), notBelow(down, 0.5), notBelow(unclear, 0.5)})
	assert.Equal(t, []verdict{agrees, undecided, disagrees}, []verdict{all(agrees, agrees), all(undecided, agrees), all(undecided, disagrees, agrees)})
}

// TestClustered compares with the normal interval: for groups of one, and for every value twice, where the second one brings nothing new.
func TestClustered(t *testing.T) {
	values, groups := []float64{1, 4, 2, 8, 5}, []string{"a", "b", "c", "d", "e"}
	want := eval.MeanOf(values)
	got := clustered(values, groups)
	assert.InDelta(t, want.Lo, got.Lo, 1e-12)
	assert.InDelta(t, want.Hi, got.Hi, 1e-12)

	twice := clustered(append(values, values...), append(groups, groups...))
	assert.InDelta(t, want.Mean, twice.Mean, 1e-12)
	assert.InDelta(t, want.Hi, twice.Hi, 1e-12)
}

func TestBimodality(t *testing.T) {
	assert.InDelta(t, 1, bimodality([]float64{-1, 1, -1, 1}), 1e-12, "two points")
	even := make([]float64, 10001)
	for i := range even {
		even[i] = float64(i)
	}
	assert.InDelta(t, 5.0/9, bimodality(even), 1e-6)
}

func TestArgmax(t *testing.T) {
	best := make([][]float64, len(temperatures))
	for i := range best {
		best[i] = []float64{0, 5}
	}
	best[2] = []float64{1, 0}
	assert.Equal(t, temperatures[2], argmax(best, []int{0}))
	assert.Equal(t, temperatures[0], argmax(best, []int{0, 1}), "the lower one of those that are equal")
	assert.Equal(t, 2.0, ofBlocks([]float64{1, 2, 1, 2, 9}, 2, slices.Max[[]float64]), "what is left over is not used")
}

// TestBestOf compares with the mean over all pairs that can be drawn.
func TestBestOf(t *testing.T) {
	pairs := []float64{-1, 3, 4, 3, 4, 4} // of -1, -1, 3, 4: the best of each two
	want := 0.0
	for _, v := range pairs {
		want += v / float64(len(pairs))
	}
	assert.InDelta(t, want, bestOf([]float64{4, 3}, 4, 2, -1), 1e-12, "two answers did not end")
	assert.InDelta(t, 4, bestOf([]float64{4, 3}, 4, 4, -1), 1e-12)
	assert.InDelta(t, 1.25, bestOf([]float64{4, 3}, 4, 1, -1), 1e-12, "of one answer it is the mean")
	assert.Equal(t, -1.0, bestOf(nil, 4, 3, -1))
}

// TestSummary prints two seeds beside each other; one has not run everything.
func TestSummary(t *testing.T) {
	dir := t.TempDir()
	for seed, names := range map[uint64][]string{1: {"table7", "table8"}, 3: {"table7"}} {
		require.NoError(t, sameSettings(filepath.Join(dir, fmt.Sprintf("seed-%d", seed), settingsName), lab.Default(seed)))
		for _, name := range names {
			r := report{Name: name, Seed: seed, dir: filepath.Join(dir, fmt.Sprintf("seed-%d", seed), "results")}
			require.NoError(t, os.MkdirAll(r.dir, 0o755))
			r.row("accuracy", "63.2", mean(0.5, 0.4, 0.6), percent)
			var f findings
			f.lead("it is better", mean(float64(seed), 1, 3), plain, agrees)
			f.lead("by far", mean(1, -1, 3), plain, []verdict{1: agrees, 3: undecided}[seed])
			f.claim("a detail", mean(1, -3, -1), plain, disagrees)
			r.found(f)
			require.NoError(t, r.write())
		}
	}
	assert.ErrorContains(t, summary(silent(t), t.TempDir()), "holds no results")
	var text strings.Builder
	require.NoError(t, summary(console.New(&text), dir))
	for _, line := range []string{
		"The recipe was tuned on seeds 1, 2, 7, 11. Of those shown here: 1.",
		"| `table7` | each model is better than all others on its own set | agrees | not decided |",
		"| `table8` | accuracy rises with how clear people found the pair | agrees |  |",
		"| | of the paper's, agree | 2 of 2 | 0 of 1 |",
		"| `table7` | **it is better** | agrees: 1.00 [1.00, 3.00] | agrees: 3.00 [1.00, 3.00] |",
		"|  | a detail | disagrees: 1.00 [-3.00, -1.00] | disagrees: 1.00 [-3.00, -1.00] |",
		"| `table8` | accuracy | 63.2 | 50.0 [40.0, 60.0] % |  |",
	} {
		assert.Contains(t, text.String(), line+"\n")
	}
	other := lab.Default(4)
	other.Iteration.PPO.KLCoef *= 2
	require.NoError(t, sameSettings(filepath.Join(dir, "seed-4", settingsName), other))
	assert.ErrorContains(t, summary(console.New(&text), dir), "different settings")
}

// TestOverview draws only what the command versions has measured at temperature 1, in percent.
func TestOverview(t *testing.T) {
	var r report
	for i, name := range []string{"SFT", "V1", "V1" + withPPO} {
		r.row(qualityLabel(name, axes[1], 0.4), "", mean(9, 9, 9), percent)
		r.row(qualityLabel(name, axes[1], 1), "", mean(0.1*float64(i), 0, 0.5), percent)
		r.row(qualityLabel(name, axes[0], 1), "", mean(0.5, 0.4, 0.6), percent)
	}
	r.row(qualityLabel("V1 - SFT", axes[1], 1), "", mean(0.1, 0, 0.5), percent)
	names, points, bars := overviewPoints(r, axes[1])
	assert.Equal(t, []string{"SFT", "V1", "V1 +PPO"}, names)
	assert.InDelta(t, 20, points[2].Y, 1e-12)
	assert.InDelta(t, 10, bars[1].Low, 1e-12)
	assert.InDelta(t, 40, bars[1].High, 1e-12)

	dir := t.TempDir()
	require.NoError(t, overview(dir, []uint64{3}, map[uint64]map[string]report{3: {}}))
	assert.NoFileExists(t, filepath.Join(dir, "versions.svg"), "nothing was measured")
	require.NoError(t, overview(dir, []uint64{3, 4}, map[uint64]map[string]report{3: {"versions": r}}))
	raw, err := os.ReadFile(filepath.Join(dir, "versions.svg"))
	require.NoError(t, err)
	assert.Contains(t, string(raw), "seed 3")
	assert.NotContains(t, string(raw), "seed 4")
}

// TestBootstrap draws questions and not values: every value twice under one question brings nothing
// new, and the interval is that of the values once.
func TestBootstrap(t *testing.T) {
	values := lottery{rand.New(rand.NewPCG(1, 1)), 0}.normals(200, 1, 2)
	average := func(of []float64) func(pick []int) float64 {
		return func(pick []int) float64 { return eval.MeanOf(at(of, pick)).Mean }
	}
	once := bootstrap(groups(200, 1), average(values))
	var twice []float64
	for _, v := range values {
		twice = append(twice, v, v)
	}
	got := bootstrap(groups(200, 2), average(twice))
	assert.InDelta(t, once.Mean, got.Mean, 1e-12)
	assert.InDelta(t, once.Lo, got.Lo, 1e-12)
	assert.InDelta(t, once.Hi, got.Hi, 1e-12)
	want := eval.MeanOf(values)
	assert.InDelta(t, want.Hi-want.Lo, once.Hi-once.Lo, 0.1*(want.Hi-want.Lo), "near the normal interval")
}

// TestEqualAlarms: the interval of recall at equal false alarms knows that both thresholds are
// estimates, and is wider than the one that takes them as given.
func TestEqualAlarms(t *testing.T) {
	l := lottery{rand.New(rand.NewPCG(1, 4)), 0}
	test := safetyTest(l)
	scores := [2][]float64{l.normals(2*len(test.pairs), 0, 1), l.normals(2*len(test.pairs), 0, 1)}
	got := atEqualAlarms(test, scores)
	before, questions := caught(test, scores[0], falseAlarms(test, scores[0], alarms))
	after, _ := caught(test, scores[1], falseAlarms(test, scores[1], alarms))
	naive := gain(after, before, questions)
	assert.InDelta(t, naive.Mean, got.Mean, 1e-12)
	assert.Greater(t, got.Hi-got.Lo, 1.2*(naive.Hi-naive.Lo))
}

// TestImprovesTells: the number is the one that decided.
func TestImprovesTells(t *testing.T) {
	list := []betterment{{axis: "a", by: mean(0.1, -1, 1.2)}, {axis: "b", by: mean(-3, -3.5, -2.5)}, {axis: "c", by: mean(0.2, -1, 1.4)}}
	got, v := improves(list)
	assert.Equal(t, disagrees, v)
	assert.Equal(t, "b", got.axis, "worse beyond chance")
	got, v = improves(append(list, betterment{axis: "d", by: mean(3, 2.5, 3.5)}))
	assert.Equal(t, agrees, v)
	assert.Equal(t, "d", got.axis)
	got, v = improves([]betterment{list[0], list[2]})
	assert.Equal(t, undecided, v)
	assert.Equal(t, "c", got.axis)
}
