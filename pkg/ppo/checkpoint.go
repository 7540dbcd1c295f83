package ppo

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/train"
)

const stage = "ppo"

// Names of the further models in a checkpoint.
const (
	criticModel    = "critic"
	referenceModel = "reference"
	bestModel      = "best"
)

// position is where a run stands, beside weights and optimisers. Random streams are keyed by it and need no state.
type position struct {
	Iteration     int     `json:"iteration"`
	KLCoef        float64 `json:"kl_coef"`
	BestIteration int     `json:"best_iteration"`
	BestScore     float64 `json:"best_score"`
	BestFinished  float64 `json:"best_finished"`            // share of its held-out answers that a stop token ended
	HeldOutScale  *scale  `json:"held_out_scale,omitempty"` // nil before the first evaluation
	Worse         int     `json:"worse"`                    // evaluations since the best
	Stopped       bool    `json:"stopped"`
}

// Checkpoint collects what Resume needs, to be written by train.SaveCheckpoint between two iterations: the policy, beside it
// critic, reference and best policy, the optimisers and the position. It shares the Trainer's memory: save it before the
// next Iterate.
func (t *Trainer) Checkpoint() (*train.Checkpoint, error) {
	at := position{
		Iteration: t.iteration, KLCoef: t.klCoef, BestIteration: t.best.iteration, BestScore: t.best.score,
		BestFinished: t.best.finished, Worse: t.best.worse, Stopped: t.best.stopped,
	}
	if t.best.weights != nil {
		at.HeldOutScale = &t.best.unit
	}
	raw, err := json.Marshal(at)
	if err != nil {
		return nil, fmt.Errorf("ppo: checkpoint: %w", err)
	}
	c := &train.Checkpoint{
		Params: t.policy,
		Models: map[string]*model.Params{referenceModel: t.reference},
		State:  train.State{Stage: stage, Position: raw},
	}
	if t.critic != nil {
		c.Models[criticModel] = t.critic
	}
	if t.best.weights != nil {
		c.Models[bestModel] = t.best.weights
	}
	t.step.Checkpoint(c)
	return c, nil
}

// Resume goes on from a checkpoint, as train.LoadCheckpoint reads it. With the prompts, the rewarder and the config of the
// run that wrote it, it goes on with the same bits. The policy and critic it trains are c.Params and c.Models["critic"].
func Resume(c *train.Checkpoint, prompts, heldOut []Prompt, r Rewarder, cfg Config) (*Trainer, error) {
	if c == nil || c.State.Stage != stage {
		return nil, errors.New("ppo: this is not a checkpoint of PPO: start with New")
	}
	reference := c.Models[referenceModel]
	if reference == nil {
		return nil, fmt.Errorf("ppo: checkpoint: the model %q is missing", referenceModel)
	}
	t, err := newTrainer(c.Params, c.Models[criticModel], reference, prompts, heldOut, r, cfg)
	if err != nil {
		return nil, err
	}
	return t, t.restore(c)
}

// restore takes optimisers and position from a checkpoint. The weights are there already.
func (t *Trainer) restore(c *train.Checkpoint) error {
	var at position
	if err := json.Unmarshal(c.State.Position, &at); err != nil {
		return fmt.Errorf("ppo: checkpoint: position: %w", err)
	}
	weights := c.Models[bestModel]
	switch {
	case weights != nil && at.HeldOutScale == nil:
		return errors.New("ppo: checkpoint: position: held_out_scale is missing: an older version wrote it, whose held-out scores " +
			"did not count unfinished answers and cannot be compared with new ones: start the run from the beginning")
	case weights == nil && at.HeldOutScale != nil:
		return fmt.Errorf("ppo: checkpoint: the model %q is missing", bestModel)
	}
	if err := t.step.Restore(c); err != nil {
		return fmt.Errorf("ppo: checkpoint: %w", err)
	}
	t.iteration, t.klCoef = at.Iteration, at.KLCoef
	if weights != nil {
		t.best = best{
			evaluation: evaluation{score: at.BestScore, finished: at.BestFinished},
			weights:    weights, iteration: at.BestIteration, unit: *at.HeldOutScale, worse: at.Worse, stopped: at.Stopped,
		}
	}
	return nil
}

// begin identifies a run that keeps itself, and goes on with it if there is a checkpoint. The reference is the policy at the
// start, which the caller gives again.
func (t *Trainer) begin() (id train.Identity, err error) {
	if t.cfg.Checkpointing.Dir == "" {
		return id, nil
	}
	start := []*model.Params{t.policy}
	if t.critic != nil {
		start = append(start, t.critic)
	}
	if id, err = train.NewIdentity(t.cfg, [2][]Prompt{t.prompts, t.heldOut}, start...); err != nil {
		return id, fmt.Errorf("ppo: %w", err)
	}
	c, err := t.cfg.Checkpointing.Load(stage, id)
	if err != nil || c == nil {
		return id, err
	}
	if err := t.policy.CopyFrom(c.Params); err != nil {
		return id, fmt.Errorf("ppo: checkpoint: %w", err)
	}
	if t.critic != nil {
		if err := t.critic.CopyFrom(c.Models[criticModel]); err != nil {
			return id, fmt.Errorf("ppo: checkpoint: critic: %w", err)
		}
	}
	return id, t.restore(c)
}

// keep saves the run when a checkpoint is due. Within an iteration there is nothing to save: the answers would be lost.
func (t *Trainer) keep(id train.Identity) error {
	k := t.cfg.Checkpointing
	if k.Dir == "" || t.iteration%k.Every != 0 && !t.Done() {
		return nil
	}
	c, err := t.Checkpoint()
	if err != nil {
		return err
	}
	return k.Save(c, id)
}
