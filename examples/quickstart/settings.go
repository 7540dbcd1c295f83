package main

import (
	"fmt"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/ppo"
	"github.com/tame-rlhf/tame/pkg/pretrain"
	"github.com/tame-rlhf/tame/pkg/rejection"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
	"github.com/tame-rlhf/tame/pkg/sft"
	"github.com/tame-rlhf/tame/pkg/world"
)

// settings are the sizes of every stage. They are those of a model of a million weights: learning rates are higher and
// batches smaller than the paper's.
type settings struct {
	world       world.Config
	annotator   world.AnnotatorConfig
	public      world.AnnotatorConfig // who made the open data: other people, less careful
	vocab       int
	model       model.Config
	pretrain    pretrain.Config
	sft         sft.Config
	helpfulness rewardmodel.Config
	safety      rewardmodel.Config
	rejection   rejection.Config
	winners     sft.Config // fine-tuning on the best answers
	ppo         ppo.Config
	control     control

	temperatures     []float64  // that rejection sampling chooses from
	pairTemperatures [2]float64 // of the two answers that annotators compare
	helpfulnessPairs int        // pairs of answers per helpfulness prompt
	safetyPairs      int        // pairs of answers per safety prompt
	openPairs        int        // pairs of answers per prompt of the demonstrations, for the open data
	testPairs        int        // pairs of answers per test prompt
	maxAnswer        int        // tokens
}

const (
	microTokens   = 2048
	microSegments = 128
)

func defaultSettings(seed uint64) settings {
	s := settings{
		world:            world.DefaultConfig(),
		annotator:        world.DefaultAnnotatorConfig(),
		vocab:            768,
		pairTemperatures: [2]float64{0.9, 1.4},
		helpfulnessPairs: 6,
		safetyPairs:      4,
		openPairs:        5,
		testPairs:        3,
		maxAnswer:        40,
		temperatures:     []float64{0.8, 1, 1.2},
	}
	s.world.Seed = seed
	s.annotator.Seed = seed
	s.public = s.annotator
	s.public.Seed, s.public.Noise = seed+1000, 0.3
	s.model = model.Config{
		Dim: 128, NumLayers: 4, NumHeads: 4, NumKVHeads: 2, HeadDim: 32, HiddenDim: 352,
		VocabSize: s.vocab, MaxSeqLen: 128, NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}

	s.pretrain = pretrain.DefaultConfig()
	s.pretrain.Optim = optim.DefaultConfig(3e-3)
	s.pretrain.WarmupSteps = 50
	s.pretrain.BatchTokens = 4096
	s.pretrain.Steps = s.world.Pretraining.Words / s.pretrain.BatchTokens
	s.pretrain.MicroTokens, s.pretrain.MicroSegments = microTokens, microSegments
	s.pretrain.Seed = seed

	s.sft = sft.DefaultConfig()
	s.sft.Optim = optim.DefaultConfig(1e-3)
	s.sft.MicroTokens, s.sft.MicroSegments = microTokens, microSegments
	s.sft.Seed = seed

	s.helpfulness = rewardmodel.DefaultConfig()
	s.safety = rewardmodel.SafetyConfig()
	for _, rm := range []*rewardmodel.Config{&s.helpfulness, &s.safety} {
		rm.Optim = optim.DefaultConfig(5e-4)
		rm.BatchSize = 32
		rm.Margins = rewardmodel.SmallMargin
		rm.MicroTokens, rm.MicroSegments = microTokens, microSegments
		rm.Seed = seed
	}

	s.rejection = rejection.DefaultConfig()
	s.rejection.Samples = 8
	s.rejection.MaxNewTokens = s.maxAnswer
	s.rejection.Stop = []int32{s.model.EOS}
	s.rejection.Slots = 64
	s.rejection.Seed = seed
	s.rejection.Version = 1

	s.winners = s.sft
	s.winners.Optim = optim.DefaultConfig(5e-4)

	s.ppo = ppo.DefaultConfig()
	s.ppo.Iterations = 30
	s.ppo.BatchSize, s.ppo.MiniBatch = 256, 64
	s.ppo.Optim = optim.DefaultConfig(5e-5)
	s.ppo.CriticOptim = optim.DefaultConfig(3e-4)
	s.ppo.KLCoef = 0.2
	s.ppo.MaxNewTokens = s.maxAnswer
	s.ppo.Stop = []int32{s.model.EOS}
	s.ppo.MicroTokens, s.ppo.MicroSegments = microTokens, microSegments
	s.ppo.Seed = seed
	return s
}

// control is a run that has to gain less.
type control int

const (
	controlNone     control = iota
	controlShuffled         // preference labels are shuffled
	controlSFT              // further SFT on demonstrations instead of learning from feedback
)

func (c control) String() string { return [...]string{"none", "shuffled", "sft"}[c] }

// parseControl reads the flag.
func parseControl(name string) (control, error) {
	for c := controlNone; c <= controlSFT; c++ {
		if c.String() == name {
			return c, nil
		}
	}
	return 0, fmt.Errorf("-control is %q, want none, shuffled or sft", name)
}

// pieces are the chat markers, one id each.
var pieces = data.Tags()

// shortSettings shrink everything: a minute of work, in which little is learned.
func shortSettings(seed uint64) settings {
	s := defaultSettings(seed)
	s.world.Entities = 16
	s.world.Pretraining.Words = 60_000
	s.vocab, s.model.VocabSize = 640, 640
	s.pretrain.Steps, s.pretrain.BatchTokens = 30, 2048
	few := world.Counts{Normal: 24, Borderline: 8, Hazard: 8}
	s.world.SFT, s.world.Helpfulness, s.world.Safety, s.world.RL, s.world.Validation, s.world.Test = few, few, few, few, few, few
	s.helpfulnessPairs, s.safetyPairs, s.openPairs, s.testPairs = 1, 1, 1, 1
	s.rejection.Samples = 4
	s.ppo.Iterations, s.ppo.BatchSize, s.ppo.MiniBatch = 2, 32, 16
	s.ppo.EvalEvery = 1
	return s
}
