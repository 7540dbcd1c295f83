package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/run"
)

// Keep lets a stage outlive its process. A stage that is started again with the same config, data and start weights goes on
// from its last checkpoint, and ends in the same bytes as one that was never stopped. It also saves itself when its context ends.
type Keep struct {
	// Dir is the folder of the checkpoint; empty: nothing is kept. It belongs to one run: delete it once the result is safe.
	Dir string
	// Every is the number of steps between two checkpoints (of PPO: iterations), at least 1.
	Every int
	// WriteFiles, if not nil, writes further files such as the tokenizer into the checkpoint.
	WriteFiles func(dir string) error
}

// Validate reports a setting that makes no sense.
func (k Keep) Validate() error {
	if k.Dir != "" && k.Every < 1 {
		return fmt.Errorf("train: Keep.Every is %d, want at least 1", k.Every)
	}
	return nil
}

// Load reads the checkpoint of this run, nil if there is none yet. One of another run is a run.ErrOtherRun that names the
// differences.
func (k Keep) Load(id run.Identity) (*Checkpoint, error) {
	if k.Dir == "" {
		return nil, nil
	}
	c, err := LoadCheckpoint(k.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		if entries, _ := os.ReadDir(k.Dir); len(entries) == 0 { // looked at after loading, which mends an interrupted save
			return nil, nil
		}
	}
	if err != nil {
		return nil, err
	}
	if err := run.Check(k.Dir, c.State.Identity, id); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	return c, nil
}

// Save writes the checkpoint of this run.
func (k Keep) Save(c *Checkpoint, id run.Identity) error {
	if k.Dir == "" {
		return nil
	}
	c.State.Identity = id
	c.WriteFiles = k.WriteFiles
	return SaveCheckpoint(k.Dir, c)
}

// Kept is a run of a stage with one network that keeps itself. Use Keep.Begin.
type Kept struct {
	keep   Keep
	id     run.Identity
	params *model.Params
	step   *Step
}

// Begin starts a run of a stage, or goes on with it: then weights, optimiser and step count are those of the checkpoint, and
// so is position, which points to what else the stage has to know, such as its report. cfg and items identify the run, see run.NewIdentity.
func (k Keep) Begin(stage string, cfg any, items func(*run.Digest), p *model.Params, step *Step, position any) (*Kept, error) {
	if err := k.Validate(); err != nil || k.Dir == "" {
		return &Kept{}, err
	}
	id, err := run.NewIdentity(stage, cfg, items, p)
	if err != nil {
		return nil, err
	}
	kept := &Kept{keep: k, id: id, params: p, step: step}
	c, err := k.Load(id)
	if err != nil || c == nil {
		return kept, err
	}
	if err := json.Unmarshal(c.State.Position, position); err != nil {
		return nil, fmt.Errorf("train: %s: position: %w", k.Dir, err)
	}
	if err := p.CopyFrom(c.Params); err != nil {
		return nil, fmt.Errorf("train: %s: %w", k.Dir, err)
	}
	return kept, step.Restore(c)
}

// Stepped is called after each step: it saves when a checkpoint is due.
func (r *Kept) Stepped(position any) error {
	if r.keep.Dir == "" || r.step.Done()%r.keep.Every != 0 {
		return nil
	}
	return r.save(position)
}

// Stopped is called with the error that ends the run before its time: it saves, so that nothing is lost, and gives the error
// back, with that of saving if there is one.
func (r *Kept) Stopped(position any, err error) error {
	if r.keep.Dir == "" {
		return err
	}
	return errors.Join(err, r.save(position))
}

func (r *Kept) save(position any) error {
	raw, err := json.Marshal(position)
	if err != nil {
		return fmt.Errorf("train: checkpoint: position: %w", err)
	}
	c := &Checkpoint{Params: r.params, State: State{Stage: r.id.Stage, Position: raw}}
	r.step.Checkpoint(c)
	return r.keep.Save(c, r.id)
}
