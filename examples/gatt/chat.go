package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/examples/internal/lab"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/gatt"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/pretrain"
	"github.com/tame-rlhf/tame/pkg/sft"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
	"github.com/tame-rlhf/tame/pkg/world"
)

// settings are the sizes of everything.
type settings struct {
	world       world.Config
	short, long int // demonstrations of one turn, and of up to as many as there are
	dialogs     int // for Ghost Attention, and the same for the baseline
	tests       int // dialogues of as many turns as there are
	turns       int // of a dialogue, at most
	pretrain    pretrain.Config
	first, sft  sft.Config // on demonstrations of one turn, and on longer ones
	last        sft.Config // on sampled dialogues: Ghost Attention and baseline
	sampling    gatt.Config
}

func defaultSettings(seed uint64) settings {
	s := settings{world: world.DefaultConfig(), short: 6000, long: 700, dialogs: 300, tests: 60, turns: 20}
	s.world.Seed, s.world.Entities = seed, 16
	none := world.Counts{} // of single questions
	s.world.SFT, s.world.Helpfulness, s.world.Safety, s.world.RL, s.world.Validation, s.world.Test = none, none, none, none, none, none
	s.world.Pretraining.Words = 400_000

	s.pretrain = pretrain.DefaultConfig()
	s.pretrain.Optim = optim.DefaultConfig(3e-3)
	s.pretrain.WarmupSteps, s.pretrain.BatchTokens = 50, 1024
	s.pretrain.Steps = s.world.Pretraining.Words / s.pretrain.BatchTokens
	s.pretrain.MicroTokens, s.pretrain.MicroSegments, s.pretrain.Seed = 2048, 128, seed

	s.sft = sft.DefaultConfig()
	s.sft.Optim = optim.DefaultConfig(3e-3)
	s.sft.WarmupSteps, s.sft.BatchSize = 20, 8
	s.sft.MicroTokens, s.sft.MicroSegments, s.sft.Seed = 2048, 64, seed
	s.first = s.sft
	s.first.BatchSize = 16
	s.last = s.sft
	s.last.Optim = optim.DefaultConfig(7e-4)
	s.last.BatchSize = 4

	s.sampling = gatt.DefaultConfig()
	s.sampling.Temperature, s.sampling.TopP = 0.6, 0.9 // as the example of Llama 2's reference code chats
	s.sampling.MaxNewTokens, s.sampling.Slots, s.sampling.Seed = 40, 64, seed
	return s
}

// bench is what all steps use.
type bench struct {
	settings
	out  io.Writer
	w    *world.World
	tok  *tokenizer.Tokenizer
	tmpl *data.Template

	pretraining, tuning float64 // losses in the end, nats per token
}

// chatModel makes a world and a model that was pretrained on its text and fine-tuned on demonstrations.
func chatModel(ctx context.Context, out io.Writer, s settings) (l *bench, p *model.Params, err error) {
	l = &bench{settings: s, out: out}
	if l.w, err = world.New(s.world); err != nil {
		return nil, nil, err
	}
	short, err := l.w.DialogDemonstrations(s.short, 1, 1)
	if err != nil {
		return nil, nil, err
	}
	long, err := l.w.DialogDemonstrations(s.long, 1, s.turns)
	if err != nil {
		return nil, nil, err
	}
	docs := slices.Collect(l.w.Pretraining())
	cfg := tokenizer.DefaultTrainConfig() // the chat markers are pieces
	cfg.VocabSize = 768
	if l.tok, err = tokenizer.Train(ctx, lab.Texts(l.w, slices.Concat(short, long)), cfg); err != nil {
		return nil, nil, err
	}
	if l.tmpl, err = data.PieceTemplate(l.tok); err != nil {
		return nil, nil, err
	}
	l.sampling.Stop = []int32{l.tok.EOS()}
	p = model.NewParams(model.Config{
		Dim: 128, NumLayers: 4, NumHeads: 4, NumKVHeads: 2, HeadDim: 32, HiddenDim: 352, VocabSize: l.tok.VocabSize(),
		MaxSeqLen: 1024, NormEps: 1e-5, RopeTheta: 1e4, BOS: l.tok.BOS(), EOS: l.tok.EOS(), // 20 turns with the instruction in each have 700
	}, tensor.Float32)
	p.Init(rand.New(rand.NewPCG(s.world.Seed, 1)))
	pretrained, err := pretrain.Train(ctx, p, pretrain.Encode(l.tok, docs), nil, s.pretrain)
	if err != nil {
		return nil, nil, err
	}
	fmt.Fprintf(out, "pretraining: %d tokens, loss %.2f\n", pretrained.Tokens, pretrained.Loss)

	// Short dialogues first: where an instruction is nearly all there is to look at, a model learns soon to look at it.
	for _, stage := range []struct {
		demos []data.Conversation
		cfg   sft.Config
	}{{short, s.first}, {long, s.sft}} {
		examples, err := sft.Encode(l.tmpl, stage.demos, data.AllTurns)
		if err != nil {
			return nil, nil, err
		}
		tuned, err := sft.Train(ctx, p, examples, nil, stage.cfg)
		if err != nil {
			return nil, nil, err
		}
		l.tuning = tuned.Loss
		fmt.Fprintf(out, "SFT: %d tokens, loss %.2f\n", tuned.Tokens, tuned.Loss)
	}
	l.pretraining = pretrained.Loss
	return l, p, nil
}
