package main

import (
	"github.com/tame-rlhf/tame/pkg/gatt"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/ppo"
	"github.com/tame-rlhf/tame/pkg/rejection"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
	"github.com/tame-rlhf/tame/pkg/sft"
)

// settings are the sizes of every stage. They are those of a model of 260 thousand weights: learning rates are higher and
// batches smaller than the paper's.
type settings struct {
	sft          sft.Config
	helpfulness  rewardmodel.Config
	safety       rewardmodel.Config
	third        rewardmodel.Config // of the model that only judges
	rejection    rejection.Config
	temperatures []float64  // that rejection sampling chooses from
	winners      sft.Config // fine-tuning on the best answers
	ppo          ppo.Config
	ghost        ghostSettings

	heldOut   float64 // share of prompts that nothing is trained on
	rlPrompts int     // at most so many prompts for rejection sampling and PPO
	tuning    int     // at most so many prompts for the choice of the temperature
	few       int     // at most so many pairs of each set and prompts of each kind; 0: all
	fewDemos  int     // at most so many demonstrations, if few is not 0
	maxAnswer int     // tokens
	seed      uint64
}

const (
	splitSeed     = 1 // the same rows are held out whatever the seed
	microTokens   = 2048
	microSegments = 64
)

func defaultSettings(seed uint64) settings {
	s := settings{
		heldOut:      0.3,
		rlPrompts:    400,
		tuning:       100,
		maxAnswer:    96,
		temperatures: []float64{0.5, 0.7, 0.85, 1},
		seed:         seed,
	}
	stop := []int32{2}

	s.sft = sft.DefaultConfig()
	s.sft.Optim = optim.DefaultConfig(2e-3)
	s.sft.Epochs = 4
	s.sft.BatchSize = 16
	s.sft.WarmupSteps = 10
	s.sft.MicroTokens, s.sft.MicroSegments = microTokens, microSegments
	s.sft.Seed = seed

	s.helpfulness = rewardmodel.DefaultConfig()
	s.helpfulness.Optim = optim.DefaultConfig(1e-4)
	s.helpfulness.BatchSize = 32
	s.helpfulness.MicroTokens, s.helpfulness.MicroSegments = microTokens, microSegments
	s.helpfulness.Seed = seed
	s.safety = s.helpfulness
	s.safety.Optim = optim.DefaultConfig(2e-3)
	s.safety.Epochs = 2
	s.third = s.safety
	s.third.Seed = seed + 1
	// None has the auxiliary loss on safety labels: the data has none.

	s.rejection = rejection.DefaultConfig()
	s.rejection.Samples = 8
	s.rejection.MaxNewTokens = s.maxAnswer
	s.rejection.Stop = stop
	s.rejection.Slots = 64
	s.rejection.Seed = seed
	s.rejection.Version = 1

	s.winners = s.sft
	s.winners.Optim = optim.DefaultConfig(5e-4)
	s.winners.Epochs = 2

	s.ppo = ppo.DefaultConfig()
	s.ppo.Iterations = 20
	s.ppo.BatchSize, s.ppo.MiniBatch = 128, 32
	s.ppo.Optim = optim.DefaultConfig(1e-4)
	s.ppo.CriticOptim = optim.DefaultConfig(3e-4)
	s.ppo.KLCoef = 0.02
	s.ppo.MaxNewTokens = s.maxAnswer
	s.ppo.Stop = stop
	s.ppo.EvalEvery = 5
	s.ppo.MicroTokens, s.ppo.MicroSegments = microTokens, microSegments
	s.ppo.Seed = seed

	s.ghost = ghostSettings{demos: 3000, dialogs: 250, tests: 100, turns: 5, teach: s.sft, last: s.sft, sample: gatt.DefaultConfig()}
	s.ghost.teach.Optim = optim.DefaultConfig(1e-3)
	s.ghost.teach.Epochs, s.ghost.teach.BatchSize = 1, 8
	s.ghost.last.Optim = optim.DefaultConfig(1e-3)
	s.ghost.last.Epochs, s.ghost.last.BatchSize = 2, 8
	s.ghost.sample.EveryTurn = true                              // not the paper's rule, which is the loss on the last answer alone
	s.ghost.sample.Temperature, s.ghost.sample.TopP = 0.6, 0.9   // as the example of Llama 2's reference code chats
	s.ghost.sample.MaxNewTokens, s.ghost.sample.Stop = 128, stop // the longest answer of the file has some 100
	s.ghost.sample.Slots, s.ghost.sample.Seed = 64, seed
	return s
}

// shortSettings are some seconds of work, in which next to nothing is learned.
func shortSettings(seed uint64) settings {
	s := defaultSettings(seed)
	s.few, s.fewDemos, s.rlPrompts = 16, 200, 16
	s.sft.BatchSize, s.sft.WarmupSteps = 8, 0
	s.sft.Epochs, s.helpfulness.Epochs, s.safety.Epochs, s.third.Epochs, s.winners.Epochs = 1, 1, 1, 1, 1
	s.temperatures = s.temperatures[:2]
	s.rejection.Samples = 4
	s.ppo.Iterations, s.ppo.BatchSize, s.ppo.MiniBatch, s.ppo.EvalEvery = 2, 8, 4, 1
	s.ghost.demos, s.ghost.dialogs, s.ghost.tests, s.ghost.turns = 400, 8, 4, 2
	return s
}
