package ppo

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/run"
	"github.com/tame-rlhf/tame/pkg/train"
)

const stage = "ppo"

// Names of the further models in a checkpoint. The reference is not in it: it is the policy at the
// start, which the caller gives again.
const (
	criticModel = "critic"
	bestModel   = "best"
)

// position is the progress of a run, next to weights and optimisers. Random streams are keyed by it and need no state.
type position struct {
	Iteration     int     `json:"iteration"`
	KLCoef        float64 `json:"kl_coef"`
	BestIteration int     `json:"best_iteration"`
	BestScore     float64 `json:"best_score"`
	BestFinished  float64 `json:"best_finished"`            // share of its held-out answers that a stop token ended
	HeldOutScale  *scale  `json:"held_out_scale,omitempty"` // nil before the first evaluation
	Worse         int     `json:"worse"`                    // evaluations since the best
	Stopped       bool    `json:"stopped"`

	Unreported map[string]float64 `json:"unreported,omitempty"` // metrics of an iteration whose evaluation is not finished
}

// checkpoint collects what restore needs: policy, critic and best policy, the optimisers and the
// position. It shares the Trainer's memory.
func (t *Trainer) checkpoint() (*train.Checkpoint, error) {
	at := position{
		Iteration: t.iteration, KLCoef: t.klCoef, BestIteration: t.best.iteration, BestScore: t.best.score,
		BestFinished: t.best.finished, Worse: t.best.worse, Stopped: t.best.stopped,
		Unreported: train.Finite(t.unreported),
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
		Models: map[string]*model.Params{},
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

// restore takes weights, optimisers and position from a checkpoint.
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
	if err := t.policy.CopyFrom(c.Params); err != nil {
		return fmt.Errorf("ppo: checkpoint: %w", err)
	}
	if t.critic != nil {
		critic := c.Models[criticModel]
		if critic == nil {
			return fmt.Errorf("ppo: checkpoint: the model %q is missing", criticModel)
		}
		if err := t.critic.CopyFrom(critic); err != nil {
			return fmt.Errorf("ppo: checkpoint: critic: %w", err)
		}
	}
	if err := t.step.Restore(c); err != nil {
		return fmt.Errorf("ppo: checkpoint: %w", err)
	}
	t.iteration, t.klCoef, t.saved, t.unreported = at.Iteration, at.KLCoef, at.Iteration, at.Unreported
	if weights != nil {
		t.best = best{
			evaluation: evaluation{score: at.BestScore, finished: at.BestFinished},
			weights:    weights, iteration: at.BestIteration, unit: *at.HeldOutScale, worse: at.Worse, stopped: at.Stopped,
		}
	}
	return nil
}

// resume identifies a run with Config.Checkpointing, and restores its checkpoint if there is one.
func (t *Trainer) resume() error {
	if t.cfg.Checkpointing.Dir == "" {
		return nil
	}
	start := []run.Weights{t.policy}
	if t.critic != nil {
		start = append(start, t.critic)
	}
	items := func(d *run.Digest) {
		for _, list := range [][]data.TokenPrompt{t.prompts, t.heldOut} {
			d.Int(len(list))
			for _, p := range list {
				d.Prompt(p)
			}
		}
	}
	var err error
	if t.id, err = run.NewIdentity(stage, t.cfg, items, start...); err != nil {
		return fmt.Errorf("ppo: %w", err)
	}
	c, err := t.cfg.Checkpointing.Load(t.id)
	if err != nil || c == nil {
		return err
	}
	return t.restore(c)
}

// keep saves the run when a checkpoint is due.
func (t *Trainer) keep() error {
	k := t.cfg.Checkpointing
	if k.Dir == "" || t.iteration%k.Every != 0 && !t.Done() {
		return nil
	}
	return t.write()
}

// save saves a run that is stopped, unless it was saved in this state.
func (t *Trainer) save() error {
	if t.cfg.Checkpointing.Dir == "" || t.iteration == t.saved {
		return nil
	}
	return t.write()
}

func (t *Trainer) write() error {
	c, err := t.checkpoint()
	if err != nil {
		return err
	}
	t.saved = t.iteration
	return t.cfg.Checkpointing.Save(c, t.id)
}
