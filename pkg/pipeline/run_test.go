package pipeline_test

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/distill"
	"github.com/tame-rlhf/tame/pkg/gatt"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/run"
	"github.com/tame-rlhf/tame/pkg/sft"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
	"github.com/tame-rlhf/tame/pkg/world"
)

// smallRun is an iteration over a small world: two versions, the second with a pool and PPO. The model has learned nothing but the
// look of an answer.
func smallRun(t testing.TB) (pipeline.Data, pipeline.Config) {
	t.Helper()
	few := world.Counts{Normal: 8, Borderline: 4, Hazard: 4}
	wc := world.DefaultConfig()
	wc.Entities, wc.Pretraining.Words = 8, 5000
	wc.SFT, wc.Helpfulness, wc.Safety, wc.RL, wc.Validation, wc.Test = few, few, few, few, few, few
	w, err := world.New(wc)
	require.NoError(t, err)
	people, err := world.NewAnnotator(w, world.DefaultAnnotatorConfig())
	require.NoError(t, err)
	tc := tokenizer.DefaultTrainConfig()
	tc.VocabSize, tc.UserDefined = 500, data.Tags()
	tok, err := tokenizer.Train(t.Context(), w.Pretraining(), tc)
	require.NoError(t, err)
	tmpl, err := data.PieceTemplate(tok)
	require.NoError(t, err)

	shape := model.Config{
		Dim: 32, NumLayers: 1, NumHeads: 2, NumKVHeads: 1, HeadDim: 16, HiddenDim: 48, VocabSize: 500, MaxSeqLen: 96,
		NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}
	start := model.NewParams(shape, tensor.Float32)
	start.Init(rand.New(rand.NewPCG(1, 2)))
	demos, err := sft.Encode(tmpl, w.Demonstrations(), data.AllTurns)
	require.NoError(t, err)
	sc := sft.DefaultConfig()
	sc.Optim, sc.BatchSize, sc.Epochs, sc.MicroTokens = optim.DefaultConfig(1e-2), 8, 20, 512
	_, err = sft.Train(t.Context(), start, demos, nil, sc)
	require.NoError(t, err)

	cfg := pipeline.DefaultConfig()
	cfg.Versions, cfg.PoolFrom, cfg.PPOFrom = 2, 2, 2
	cfg.HelpfulnessPairs, cfg.SafetyPairs, cfg.KeepEvery, cfg.PartPrompts = 2, 2, 1, 4
	cfg.Helpfulness.BatchSize, cfg.Safety.BatchSize = 8, 8
	cfg.Helpfulness.MicroTokens, cfg.Safety.MicroTokens = 512, 512
	cfg.Rejection.Samples, cfg.Rejection.MaxNewTokens, cfg.Rejection.Stop = 3, 20, []int32{2}
	cfg.FineTune = sc
	cfg.FineTune.Epochs = 2
	cfg.PPO.Iterations, cfg.PPO.BatchSize, cfg.PPO.MiniBatch, cfg.PPO.EvalEvery = 3, 8, 4, 2
	cfg.PPO.MaxNewTokens, cfg.PPO.MicroTokens = 20, 512
	cfg.GAttFrom, cfg.DistillFrom = 2, 2
	cfg.GAtt.MaxNewTokens, cfg.GAtt.Stop, cfg.GAtt.EveryTurn = 8, []int32{2}, true
	cfg.Distill.MaxNewTokens, cfg.Distill.Stop = 8, []int32{2}
	pre, err := distill.Generic(w.PrePrompts().Generic)
	require.NoError(t, err)
	turns, err := w.Dialogs(6, 1, 2)
	require.NoError(t, err)
	var dialogs []gatt.Dialog
	for i, in := range w.Instructions(6, 1) {
		dialogs = append(dialogs, gatt.Dialog{ID: turns[i].ID, Instruction: in.Full(), Short: in.Short(), Questions: turns[i].Questions})
	}
	return pipeline.Data{
		Start: start, Tokenizer: tok, Template: tmpl,
		Helpfulness: w.PreferencePrompts(data.HelpfulnessSet), Safety: w.PreferencePrompts(data.SafetySet),
		Prompts: w.RLPrompts(), Validation: w.ValidationPrompts(),
		Dialogs: dialogs, Adversarial: w.RLPrompts(), PrePrompts: pre,
		Annotate: annotate(people), Lineage: data.Lineage{Stage: "small world", Seed: 1},
	}, cfg
}

func annotate(people *world.Annotator) pipeline.Annotate {
	return func(_ context.Context, list []pipeline.Comparison) ([]*data.Preference, error) {
		said := make([]*data.Preference, len(list))
		for i, c := range list {
			p, ok, err := people.Compare(c.Prompt, c.First, c.Second, c.Set)
			if err != nil {
				return nil, err
			}
			if ok {
				said[i] = &p
			}
		}
		return said, nil
	}
}

// contents are the files of a folder by their paths.
func contents(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		files[name] = string(raw)
		return err
	}))
	return files
}

// TestRunIsKilled kills a run at every single event, the moment before what it tells of is kept, and wants the folder of a run that was
// not killed, byte for byte.
func TestRunIsKilled(t *testing.T) {
	d, cfg := smallRun(t)
	straight := filepath.Join(t.TempDir(), "straight")
	events := 0
	var sampled []pipeline.SampleCount
	cfg.Watch = func(e pipeline.Event) {
		if !e.Reused {
			events++
		}
		if e.Sampled != nil {
			sampled = append(sampled, *e.Sampled)
		}
	}
	want, err := pipeline.Run(t.Context(), straight, d, cfg)
	require.NoError(t, err)
	require.Len(t, want, 2)
	require.Len(t, sampled, 2, "a version's answers are counted once")
	for i, c := range sampled {
		rows, _, err := data.Read[data.Sample](filepath.Join(straight, fmt.Sprintf("v%d/samples.arrow", i+1)))
		require.NoError(t, err)
		assert.GreaterOrEqual(t, c.Answers, len(rows))
	}
	assert.Zero(t, want[0].Ghosts+want[0].Distilled)
	assert.Positive(t, want[1].Ghosts)
	assert.Positive(t, want[1].Distilled)
	wanted := contents(t, straight)

	broken := filepath.Join(t.TempDir(), "broken")
	seen := map[string]bool{}
	cfg.Watch = func(e pipeline.Event) {
		if moment := fmt.Sprint(e.Step, e.Done, e.Finished, e.Plan != nil, e.Sampled != nil); !e.Reused && !seen[moment] {
			seen[moment] = true
			panic("killed")
		}
	}
	for {
		killed := func() (killed bool) {
			defer func() { killed = recover() != nil }()
			_, err = pipeline.Run(t.Context(), broken, d, cfg)
			return false
		}()
		if !killed {
			break
		}
	}
	require.NoError(t, err)
	assert.Len(t, seen, events)
	got := contents(t, broken)
	assert.ElementsMatch(t, slices.Collect(maps.Keys(wanted)), slices.Collect(maps.Keys(got)))
	for name := range wanted {
		assert.True(t, wanted[name] == got[name], "%s differs", name)
	}

	cfg.Watch = func(e pipeline.Event) { assert.True(t, e.Reused, "%s was there", e.Step) }
	again, err := pipeline.Run(t.Context(), straight, d, cfg)
	require.NoError(t, err)
	assert.Equal(t, want, again)
}

func TestRunRefusesAnotherRunsFolder(t *testing.T) {
	d, cfg := smallRun(t)
	cfg.Versions, cfg.PPOFrom = 1, 2
	dir := filepath.Join(t.TempDir(), "run")
	demonstrations := filepath.Join(t.TempDir(), "demonstrations.arrow")
	require.NoError(t, data.Write(demonstrations, []data.Text{{Text: "a"}}, data.Lineage{Stage: "import hh"}))
	require.NoError(t, d.Lineage.Add(t.Context(), demonstrations))
	versions, err := pipeline.Run(t.Context(), dir, d, cfg)
	require.NoError(t, err)
	v := versions[0]
	assert.Equal(t, v.Tuned, v.Model, "there was no PPO")
	assert.Positive(t, v.Preferences[0])
	assert.Positive(t, v.Preferences[1])

	l, err := data.ReadLineage(v.Model)
	require.NoError(t, err)
	assert.Contains(t, l.Tree("v1"), fmt.Sprintf("small world, seed %d", 1))
	assert.Contains(t, l.Tree("v1"), "demonstrations.arrow  import hh", "the history of the start model is kept")

	other := cfg
	other.FineTune.Epochs++
	_, err = pipeline.Run(t.Context(), dir, d, other)
	assert.ErrorIs(t, err, run.ErrOtherRun)
	assert.ErrorContains(t, err, "tuned belongs to another run (config field epochs was ")

	d.Prompts = d.Prompts[1:]
	_, err = pipeline.Run(t.Context(), dir, d, cfg)
	assert.ErrorIs(t, err, run.ErrOtherRun)
	assert.ErrorContains(t, err, "prompts.arrow")
}
