package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tame-rlhf/tame/internal/bounded"
	"github.com/tame-rlhf/tame/pkg/run"
	"github.com/tame-rlhf/tame/pkg/setting"
)

// Checkpointing says where and how often a stage saves its state. A stage that is started again
// with the same config, data and start weights resumes from its last checkpoint, and produces the
// same bytes as one that was never stopped. It also saves when its context ends.
type Checkpointing struct {
	// Dir is the folder of the checkpoint; empty disables checkpoints. It belongs to one run:
	// delete it once the result is safe.
	Dir string
	// Every is the number of steps between two checkpoints (PPO: of iterations), at least 1.
	Every int
	// WriteFiles, if not nil, writes further files such as the tokenizer into the checkpoint.
	WriteFiles func(dir string) error
}

// Validate reports a setting that makes no sense.
func (c Checkpointing) Validate() error {
	checks := setting.NewChecks("train: Checkpointing")
	if c.Dir != "" {
		checks.AtLeast("Every", c.Every, 1)
	}
	return checks.Err()
}

// Load reads the checkpoint of this run, nil if there is none yet. One of another run is a run.ErrOtherRun that names the
// differences.
func (k Checkpointing) Load(ctx context.Context, id run.Identity) (*Checkpoint, error) {
	if k.Dir == "" {
		return nil, nil
	}
	c, err := LoadCheckpoint(ctx, k.Dir)
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
func (k Checkpointing) Save(c *Checkpoint, id run.Identity) error {
	if k.Dir == "" {
		return nil
	}
	c.State.Identity = id
	c.WriteFiles = k.WriteFiles
	if err := SaveCheckpoint(k.Dir, c); err != nil {
		return &SaveError{Dir: k.Dir, Kept: k.kept(), Err: err}
	}
	return nil
}

// kept is the step of the checkpoint that is there, 0 for none.
func (k Checkpointing) kept() int {
	var state State
	raw, err := bounded.ReadFile(filepath.Join(k.Dir, trainerDir, stateFile), maxState)
	if err != nil || json.Unmarshal(raw, &state) != nil {
		return 0
	}
	return state.Step
}

// SaveError says that a checkpoint could not be saved. The one before, if there was one, is whole.
type SaveError struct {
	Dir  string
	Kept int // optimisation steps of the checkpoint in Dir, 0 for none
	Err  error
}

// Error implements error.
func (e *SaveError) Error() string {
	if e.Kept == 0 {
		return fmt.Sprintf("the checkpoint %s is not saved, and there is none from before: %v", e.Dir, e.Err)
	}
	return fmt.Sprintf("the checkpoint %s is not saved, it is still the one after %d optimisation steps: %v", e.Dir, e.Kept, e.Err)
}

// Unwrap is the reason.
func (e *SaveError) Unwrap() error { return e.Err }
