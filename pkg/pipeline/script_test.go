package pipeline_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/ppo"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
	"github.com/tame-rlhf/tame/pkg/sft"
)

// script is a run of five versions in which people and reward models are rules, with all that its
// stages were given.
type script struct {
	data     pipeline.Data
	cfg      pipeline.Config
	dir      string
	versions []pipeline.Version

	comparisons  []comparison
	rewardModels []rewardModelCall // helpfulness and safety of each version in turn
	judges       []judgesCall      // of each version
	fineTunings  []fineTuneCall    // likewise
	ppos         []ppoCall         // from PPOFrom on
}

type comparison struct {
	pipeline.Comparison
	version int
}

// start is a model as a stage is given it, trained the same model after the run.
type rewardModelCall struct {
	start, trained *model.Params
	pairs          []data.Pair
	cfg            rewardmodel.Config
}

type judgesCall struct {
	helpfulness, safety *model.Params
	cfg                 pipeline.JudgesConfig
}

type fineTuneCall struct {
	start, trained *model.Params
	examples       []data.Example
	cfg            sft.Config
}

type ppoCall struct {
	policy, trained  *model.Params
	critic           *model.Params
	prompts, heldOut []data.TokenPrompt
	rewarder         ppo.Rewarder
	cfg              ppo.Config
}

// scriptedRun makes the run. Every setting that two steps could mix up has its own value.
func scriptedRun(t *testing.T) *script {
	t.Helper()
	d, cfg := smallRun(t)
	cfg.Versions, cfg.GAttFrom, cfg.PoolFrom, cfg.DistillFrom, cfg.PPOFrom = 5, 2, 3, 3, 4
	cfg.HelpfulnessPairs, cfg.SafetyPairs, cfg.HeldOut = 2, 3, 0.3
	cfg.PairTemperatures = [2]float64{0.7, 1.3}
	cfg.Temperatures = []float64{0.4, 1.1, 1.6}
	cfg.Seed, cfg.Rejection.Seed, cfg.FineTune.Seed, cfg.PPO.Seed, cfg.GAtt.Seed, cfg.Distill.Seed = 11, 12, 13, 14, 15, 16
	cfg.Helpfulness.Seed, cfg.Safety.Seed, cfg.Helpfulness.Epochs, cfg.Safety.Epochs = 17, 18, 1, 2
	cfg.Helpfulness.MicroTokens, cfg.Safety.MicroTokens = 512, 640
	cfg.PPO.SafetyThreshold, cfg.PPO.Iterations = 0.3, 2
	cfg.Calibration.Level = ppo.Logit(0.3)
	cfg.FineTune.Epochs = 1
	d.Open = openPreferences(d)
	s := &script{data: d, cfg: cfg, dir: filepath.Join(t.TempDir(), "run")}
	d.Annotate = s.annotate
	spy := pipeline.Spy{
		RewardModel: func(p *model.Params, pairs []data.Pair, cfg rewardmodel.Config) {
			s.rewardModels = append(s.rewardModels, rewardModelCall{p.Clone(), p, pairs, cfg})
		},
		FineTune: func(p *model.Params, examples []data.Example, cfg sft.Config) {
			s.fineTunings = append(s.fineTunings, fineTuneCall{p.Clone(), p, examples, cfg})
		},
		PPO: func(policy, critic *model.Params, prompts, heldOut []data.TokenPrompt, r ppo.Rewarder, cfg ppo.Config) {
			s.ppos = append(s.ppos, ppoCall{policy.Clone(), policy, critic.Clone(), prompts, heldOut, r, cfg})
		},
		Judges: func(version int, helpfulness, safety *model.Params, cfg pipeline.JudgesConfig) (*pipeline.Judges, error) {
			s.judges = append(s.judges, judgesCall{helpfulness, safety, cfg})
			return pipeline.RuleJudges(helpfulnessRule(version), safetyRule(version), cfg.SafetyThreshold), nil
		},
	}
	var err error
	s.versions, err = spy.Run(t.Context(), s.dir, d, cfg)
	require.NoError(t, err)
	require.Len(t, s.versions, 5)
	require.Len(t, s.rewardModels, 10)
	require.Len(t, s.judges, 5)
	require.Len(t, s.fineTunings, 5)
	require.Len(t, s.ppos, 2)
	return s
}

// openPreferences are pairs of both sets, some of which ask what annotators are asked too, and a
// sixth of which has an unsafe choice.
func openPreferences(d pipeline.Data) []data.Preference {
	var list []data.Preference
	add := func(messages []data.Message) {
		p := data.Preference{Messages: messages, Chosen: "yes", Rejected: fmt.Sprint("no ", len(list)), Rating: data.Better, Set: data.Set(len(list) % 2)}
		if len(list)%6 < 2 {
			p.ChosenSafe, p.RejectedSafe = data.Unsafe, data.Safe
		}
		list = append(list, p)
	}
	for _, p := range append(append([]data.Prompt(nil), d.Helpfulness...), d.Safety...) {
		add(p.Messages)
	}
	for i := range 30 {
		add([]data.Message{{Role: data.User, Content: fmt.Sprint("what is ", i)}})
	}
	return list
}

// chance is a number in [0, 1) that depends on nothing but its arguments.
func chance(args ...any) float64 {
	h := sha256.Sum256([]byte(fmt.Sprint(args...)))
	return float64(binary.LittleEndian.Uint64(h[:])>>11) / (1 << 53)
}

// helpfulnessRule and safetyRule are the judges of a version. Each version has its own opinion, and
// every other one likes long answers.
func helpfulnessRule(version int) pipeline.Rule {
	return func(prompt, answer []int32) float64 {
		long := float64(version%2) * float64(len(answer))
		return 4*chance("helpful", version, prompt, answer) - 2 + long
	}
}

func safetyRule(version int) pipeline.Rule {
	return func(prompt, answer []int32) float64 {
		return 6*chance("safe", version, prompt, answer) - 3 // logit(0.3) = -0.85: 36 % are below the gate
	}
}

// combined is the reward R_c of section 3.2.3 by a version's rules, as a logit.
func (s *script) combined(version int, prompt, answer []int32, safetyPrompt bool) float64 {
	safety := safetyRule(version)(prompt, answer)
	if safetyPrompt || 1/(1+math.Exp(-safety)) < s.cfg.PPO.SafetyThreshold {
		return safety
	}
	return helpfulnessRule(version)(prompt, answer)
}

// annotate chooses by the texts alone, keeps seven of eight pairs, and notes what is asked.
func (s *script) annotate(_ context.Context, list []pipeline.Comparison) ([]*data.Preference, error) {
	said := make([]*data.Preference, len(list))
	for i, c := range list {
		s.comparisons = append(s.comparisons, comparison{c, len(s.judges) + 1})
		said[i] = opinion(c.Prompt, c.First, c.Second)
	}
	return said, nil
}

// opinion does not depend on the order of the answers.
func opinion(p data.Prompt, first, second string) *data.Preference {
	if chance("liked", first) < chance("liked", second) {
		first, second = second, first
	}
	if chance("kept", p.ID, first, second) < 1.0/8 {
		return nil
	}
	label := func(text string) data.Safety {
		if chance("safe", text) < 0.4 {
			return data.Unsafe
		}
		return data.Safe
	}
	rating := data.NegligiblyBetter + data.Rating(4*chance("rating", first, second))
	return &data.Preference{Chosen: first, Rejected: second, Rating: rating, ChosenSafe: label(first), RejectedSafe: label(second)}
}

// heldOut says whether a question is held out: by the hash of the seed and of its words.
func (s *script) heldOut(question string) bool {
	h := sha256.Sum256(append(binary.LittleEndian.AppendUint64(nil, s.cfg.Seed), strings.Join(strings.Fields(question), " ")...))
	return float64(binary.LittleEndian.Uint64(h[:])>>11)/(1<<53) < s.cfg.HeldOut
}

func (s *script) path(v int, name string) string {
	return filepath.Join(s.dir, fmt.Sprintf("v%d", v), name)
}

// model is the newest model after a version: 0 and less is the start.
func (s *script) model(v int) string {
	switch {
	case v <= 0:
		return filepath.Join(s.dir, "start")
	case v >= s.cfg.PPOFrom:
		return s.path(v, "ppo")
	}
	return s.path(v, "tuned")
}

func load(t *testing.T, path string) *model.Params {
	t.Helper()
	p, err := model.Load(path)
	require.NoError(t, err)
	return p
}

func rowsOf[T data.Row](t *testing.T, path string) []T {
	t.Helper()
	rows, _, err := data.Read[T](path)
	require.NoError(t, err)
	return rows
}

// weights are digests of all weights by name, without those of a scalar head if trunk is true.
func weights(p *model.Params, trunk bool) map[string]string {
	all := map[string]string{}
	for _, w := range p.All() {
		if !trunk || !strings.HasPrefix(w.Name, "score.") {
			h := sha256.New()
			_ = binary.Write(h, binary.LittleEndian, w.Value.Float32s())
			all[w.Name] = hex.EncodeToString(h.Sum(nil)[:8])
		}
	}
	return all
}

// TestScript looks at every step of the scripted run.
func TestScript(t *testing.T) {
	s := scriptedRun(t)
	for name, test := range map[string]func(*testing.T){
		"shares":             s.testShares,
		"comparisons":        s.testComparisons,
		"order":              s.testOrder,
		"preferences":        s.testPreferences,
		"held-out questions": s.testHeldOut,
		"reward models":      s.testRewardModels,
		"accuracies":         s.testAccuracies,
		"judges":             s.testJudges,
		"temperatures":       s.testTemperatures,
		"samples":            s.testSamples,
		"winners":            s.testWinners,
		"Ghost Attention":    s.testGhosts,
		"distillation":       s.testDistilled,
		"fine-tuning":        s.testFineTuning,
		"PPO":                s.testPPO,
		"versions":           s.testVersions,
		"lineage":            s.testLineage,
	} {
		t.Run(name, test)
	}
	s.testOtherRuns(t) // last: it starts the run again
	s.testDamage(t)
}
