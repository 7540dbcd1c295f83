package ppo

import (
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/train"
)

// plan says what the run is going to do.
func (t *Trainer) plan() train.Plan {
	cfg, perIteration := t.cfg, t.cfg.stepsPerIteration()
	p := train.Plan{
		Stage: stage, Items: len(t.prompts), Steps: cfg.Iterations * perIteration,
		Epochs: float64(cfg.Iterations*cfg.BatchSize/cfg.SamplesPerPrompt) / float64(len(t.prompts)),
		Memory: t.step.Memory(),
		Fields: train.PlanFields{Owner: "ppo: Config", Steps: "Iterations", Epochs: "Iterations"},
	}
	p.Weights, p.Trained = t.step.NumWeights()
	reference := bytesOf(t.reference)
	p.Memory.Others = reference + t.forward.ArenaBytes() + t.decoderBytes()
	if t.evaluates() {
		p.Memory.Evaluation = reference // the best policy
	}
	return p
}

// decoderBytes is what sampling works in: packed copies of the matrices, and the key/value cache.
func (t *Trainer) decoderBytes() int {
	c, longest := t.policy.Config(), 0
	for _, p := range t.prompts {
		longest = max(longest, len(p.Tokens))
	}
	return int(model.DecoderBytes(c, min(t.cfg.Slots, t.cfg.BatchSize), min(longest+t.cfg.MaxNewTokens, c.MaxSeqLen)))
}

func bytesOf(p *model.Params) int {
	total := 0
	for _, w := range p.All() {
		total += w.Value.Shape().TotalSize() * int(w.Value.Dtype().Size())
	}
	return total
}
