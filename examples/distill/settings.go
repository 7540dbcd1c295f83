package main

import (
	"github.com/tame-rlhf/tame/pkg/distill"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/pretrain"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
	"github.com/tame-rlhf/tame/pkg/sft"
	"github.com/tame-rlhf/tame/pkg/world"
)

// settings are the sizes of every stage: quickstart's, in a smaller world.
type settings struct {
	world     world.Config
	annotator world.AnnotatorConfig
	model     model.Config
	pretrain  pretrain.Config
	sft       sft.Config
	safety    rewardmodel.Config
	distill   distill.Config
	tuning    sft.Config // on distilled answers

	prePrompted int // demonstrations with a pre-prompt
	pairs       int // of answers for each safety prompt
}

func defaultSettings(seed uint64) settings {
	s := settings{world: world.DefaultConfig(), annotator: world.DefaultAnnotatorConfig(), prePrompted: 2000, pairs: 4}
	s.world.Seed, s.annotator.Seed = seed, seed
	s.world.Entities = 16
	s.world.SFT = world.Counts{Normal: 900, Borderline: 400, Hazard: 380}
	s.world.Safety = world.Counts{Normal: 200, Borderline: 400, Hazard: 320}
	s.world.RL = world.Counts{Borderline: 250, Hazard: 250}
	s.world.Test = world.Counts{Normal: 400, Borderline: 400, Hazard: 270}
	s.world.Helpfulness, s.world.Validation = world.Counts{}, world.Counts{} // not used here
	s.world.Pretraining.Words = 600_000
	s.model = model.Config{
		Dim: 128, NumLayers: 4, NumHeads: 4, NumKVHeads: 2, HeadDim: 32, HiddenDim: 352,
		VocabSize: 640, MaxSeqLen: 128, NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}

	s.pretrain = pretrain.DefaultConfig()
	s.pretrain.Optim = optim.DefaultConfig(3e-3)
	s.pretrain.WarmupSteps, s.pretrain.BatchTokens = 30, 1536
	s.pretrain.Steps = s.world.Pretraining.Words / s.pretrain.BatchTokens
	s.pretrain.MicroTokens, s.pretrain.MicroSegments, s.pretrain.Seed = 2048, 128, seed

	s.sft = sft.DefaultConfig()
	s.sft.Optim = optim.DefaultConfig(1e-3)
	s.sft.MicroTokens, s.sft.MicroSegments, s.sft.Seed = 2048, 128, seed

	s.safety = rewardmodel.SafetyConfig()
	s.safety.Optim = optim.DefaultConfig(5e-4)
	s.safety.BatchSize, s.safety.Margins = 32, rewardmodel.SmallMargin
	s.safety.MicroTokens, s.safety.MicroSegments, s.safety.Seed = 2048, 128, seed

	s.distill = distill.DefaultConfig()
	s.distill.MaxNewTokens, s.distill.Stop, s.distill.Seed = 40, []int32{s.model.EOS}, seed

	s.tuning = s.sft
	s.tuning.Optim, s.tuning.Epochs = optim.DefaultConfig(5e-4), 1
	return s
}
