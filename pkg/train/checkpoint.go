package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/bounded"
	"github.com/tame-rlhf/tame/internal/checksum"
	"github.com/tame-rlhf/tame/internal/jsontext"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/run"
)

const (
	trainerDir    = "trainer"
	stateFile     = "state.json"
	optimSuffix   = ".adamw.safetensors"
	maxState      = 64 << 20 // bytes of the largest state.json that is read
	formatVersion = 3        // 2 had no SHA256SUMS, 1 the SHA-256 of the JSON of the data in its identity
)

// Checkpoint is all that a stage needs to go on where it stopped, with the same bits. Its folder is one that any Llama
// tool reads (config.json, model.safetensors, tokenizer), and beside that
//
//	trainer/state.json                 State and the optimisers' step counts
//	trainer/NAME.adamw.safetensors     moments of network NAME
//	trainer/NAME/                      a further model, such as the critic
//	SHA256SUMS                         SHA-256 of all of it, see model.Verify
type Checkpoint struct {
	// Params is the model that the folder is about, float32.
	Params *model.Params
	// Models are further models by name, such as "critic".
	Models map[string]*model.Params
	// Optim are the optimisers' states by the name of the network. See Step.Checkpoint and Step.Restore.
	Optim map[string]optim.State
	// State is the rest.
	State State
	// WriteFiles, if not nil, writes further files such as the tokenizer into the folder. Load leaves it nil.
	WriteFiles func(dir string) error
}

// State is the small part of a Checkpoint.
type State struct {
	// Stage names the stage, such as "sft".
	Stage string `json:"stage"`
	// Step is the number of optimisation steps done.
	Step int `json:"step"`
	// Position is where the stage stands in its data, in a form of its own.
	Position json.RawMessage `json:"position,omitempty"`
	// Rand are the states of random sources by name, as MarshalBinary of math/rand/v2 gives them.
	Rand map[string][]byte `json:"rand,omitempty"`
	// Identity is the run that a stage's checkpoints belong to, see Checkpointing.
	Identity run.Identity `json:"identity,omitzero"`
	// Metrics are the last numbers, for a reader. NaN and Inf are left out.
	Metrics map[string]float64 `json:"metrics,omitempty"`
}

// stateJSON is state.json.
type stateJSON struct {
	Format int `json:"format"`
	State
	OptimSteps map[string]int `json:"optim_steps"`
	Models     []string       `json:"models"`
}

// Checkpoint collects the step count and the optimisers' states. They are the Step's own memory: save before the next Run.
func (s *Step) Checkpoint(c *Checkpoint) {
	c.State.Step = s.step
	c.Optim = make(map[string]optim.State, len(s.nets))
	for _, n := range s.nets {
		c.Optim[n.Name] = n.Optim.State()
	}
}

// Restore takes the step count and the optimisers' states back. The weights are those that the trunks were made with: make
// them from the checkpoint's. On an error the Step must not be used.
func (s *Step) Restore(c *Checkpoint) error {
	for _, n := range s.nets {
		state, ok := c.Optim[n.Name]
		if !ok {
			return fmt.Errorf("train: checkpoint has no optimiser state of network %q", n.Name)
		}
		if err := n.Optim.Restore(n.params, state); err != nil {
			return fmt.Errorf("train: network %q: %w", n.Name, err)
		}
	}
	s.step = c.State.Step
	return nil
}

// SaveCheckpoint writes a checkpoint in the place of dir, all of it or nothing: it is written beside dir, synced and
// renamed, as model.Save does.
func SaveCheckpoint(dir string, c *Checkpoint) error {
	if err := c.validate(); err != nil {
		return err
	}
	return model.Save(dir, c.Params, func(tmp string) error {
		if c.WriteFiles != nil {
			if err := c.WriteFiles(tmp); err != nil {
				return err
			}
		}
		return c.writeTrainer(filepath.Join(tmp, trainerDir))
	})
}

// validate says what cannot be saved without losing bits or overwriting files.
func (c *Checkpoint) validate() error {
	var errs []error
	name := func(kind, name string) {
		if name == "" || name != filepath.Base(name) || strings.HasPrefix(name, ".") || name == stateFile {
			errs = append(errs, fmt.Errorf("train: checkpoint: %s %q is no file name", kind, name))
		}
	}
	params := func(what string, p *model.Params) {
		switch {
		case p == nil:
			errs = append(errs, fmt.Errorf("train: checkpoint: %s is nil", what))
		case p.DType() != tensor.Float32:
			errs = append(errs, fmt.Errorf("train: checkpoint: %s is %v, checkpoints hold float32", what, p.DType()))
		}
	}
	params("Params", c.Params)
	for n, p := range c.Models {
		name("model", n)
		params("model "+n, p)
	}
	for n, o := range c.Optim {
		name("network", n)
		for _, m := range o.Moments {
			if m.M.Dtype() != tensor.Float32 || m.V.Dtype() != tensor.Float32 {
				errs = append(errs, fmt.Errorf("train: checkpoint: moments of %s/%s are %v, checkpoints hold float32", n, m.Name, m.M.Dtype()))
				break
			}
		}
	}
	return errors.Join(errs...)
}

// writeTrainer writes everything but the model into a new folder, with the SHA-256 of it.
func (c *Checkpoint) writeTrainer(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	sums := checksum.Sums{}
	state := stateJSON{Format: formatVersion, State: c.State, OptimSteps: map[string]int{}}
	state.Metrics = Finite(state.Metrics)
	for name, o := range c.Optim {
		state.OptimSteps[name] = o.Steps
		if err := sums.Create(dir, name+optimSuffix, func(w io.Writer) error { return writeMoments(w, o.Moments) }); err != nil {
			return err
		}
	}
	for name, p := range c.Models {
		state.Models = append(state.Models, name)
		if err := model.Save(filepath.Join(dir, name), p, nil); err != nil {
			return err
		}
	}
	slices.Sort(state.Models)
	raw, err := json.MarshalIndent(state, "", "  ")
	if err != nil {
		return fmt.Errorf("train: %s: %w", stateFile, err)
	}
	if err := os.WriteFile(filepath.Join(dir, stateFile), append(raw, '\n'), 0o666); err != nil {
		return err
	}
	if err := sums.AddTree(dir); err != nil {
		return err
	}
	return sums.Write(dir)
}

// writeMoments writes the moments as tensors m/NAME and v/NAME.
func writeMoments(w io.Writer, moments []optim.Moment) error {
	var tensors []model.Tensor
	for _, m := range moments {
		tensors = append(tensors,
			model.Tensor{Name: "m/" + m.Name, Shape: m.M.Shape(), Data: m.M.Float32s()},
			model.Tensor{Name: "v/" + m.Name, Shape: m.V.Shape(), Data: m.V.Float32s()})
	}
	return model.WriteSafetensors(w, tensors, nil)
}

// LoadCheckpoint reads what SaveCheckpoint wrote. First all its files are compared with their SHA-256: of a checkpoint that was
// damaged or changed the files are named in an error that wraps model.ErrDamaged. A folder without trainer state, such as somebody
// else's model, gives an error that wraps fs.ErrNotExist: read it with model.Load.
func LoadCheckpoint(ctx context.Context, dir string) (*Checkpoint, error) {
	state, err := readState(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("train: checkpoint: %w", err)
	}
	params, err := model.Load(dir)
	if err != nil {
		return nil, fmt.Errorf("train: checkpoint: %w", err)
	}
	c := &Checkpoint{Params: params, Models: map[string]*model.Params{}, Optim: map[string]optim.State{}, State: state.State}
	for _, name := range state.Models {
		if c.Models[name], err = model.Load(filepath.Join(dir, trainerDir, filepath.Base(name))); err != nil {
			return nil, fmt.Errorf("train: checkpoint: model %q: %w", name, err)
		}
	}
	for name, steps := range state.OptimSteps {
		moments, err := readMoments(filepath.Join(dir, trainerDir, filepath.Base(name)+optimSuffix))
		if err != nil {
			return nil, fmt.Errorf("train: checkpoint: optimiser of %q: %w", name, err)
		}
		c.Optim[name] = optim.State{Steps: steps, Moments: moments}
	}
	return c, nil
}

// readState reads the state of a checkpoint whose files are all as they were written.
func readState(ctx context.Context, dir string) (state stateJSON, err error) {
	_, others, damage := model.Verify(ctx, dir)
	unsealed := errors.Is(damage, fs.ErrNotExist)
	if damage != nil && !unsealed {
		if errors.Is(damage, model.ErrDamaged) {
			damage = fmt.Errorf("%w: put back a copy of the checkpoint, or delete it and start again", damage)
		}
		return state, damage
	}
	if _, err := os.Stat(dir); err != nil {
		return state, err
	}
	path := filepath.Join(dir, trainerDir, stateFile)
	raw, err := bounded.ReadFile(path, maxState)
	if errors.Is(err, fs.ErrNotExist) {
		return state, fmt.Errorf("%s is a model without trainer state, it cannot be resumed: %w", dir, err)
	}
	if err != nil {
		return state, err
	}
	if err := jsontext.Unmarshal(raw, &state); err != nil {
		return state, fmt.Errorf("%s: %w", path, err)
	}
	switch {
	case state.Format != formatVersion:
		return state, fmt.Errorf("%s has format %d, this version reads %d: resume it with the version of tame that wrote it, or start again", path, state.Format, formatVersion)
	case unsealed:
		return state, fmt.Errorf("%s is %w: it has lost its %s, so nothing says that its files are whole: put back a copy of it, or delete it and start again",
			dir, model.ErrDamaged, checksum.Name)
	case len(others) > 0:
		return state, fmt.Errorf("%s has files that are not of it: move them away: %s", dir, strings.Join(others, ", "))
	}
	return state, nil
}

// readMoments reads what writeMoments wrote.
func readMoments(path string) ([]optim.Moment, error) {
	tensors, err := model.ReadSafetensors(path)
	if err != nil {
		return nil, err
	}
	if len(tensors)%2 != 0 {
		return nil, fmt.Errorf("%s has %d tensors, want m and v of every weight", filepath.Base(path), len(tensors))
	}
	moments := make([]optim.Moment, len(tensors)/2)
	for i := range moments {
		m, v := tensors[2*i], tensors[2*i+1]
		name, ok := strings.CutPrefix(m.Name, "m/")
		if !ok || v.Name != "v/"+name {
			return nil, fmt.Errorf("%s has tensors %q and %q, want m and v of one weight", filepath.Base(path), m.Name, v.Name)
		}
		moments[i] = optim.Moment{Name: name, M: dense(m), V: dense(v)}
	}
	return moments, nil
}

func dense(t model.Tensor) *tensor.Dense {
	return tensor.New(tensor.WithShape(t.Shape...), tensor.WithBacking(t.Data))
}
