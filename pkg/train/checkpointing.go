package train

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/tame-rlhf/tame/pkg/model"
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

// Identity says what run a checkpoint belongs to. A loss or rewarder of one's own, being code, is not part of it.
type Identity struct {
	Config json.RawMessage `json:"config"` // the stage's settings
	Data   string          `json:"data"`   // digest of what it trains on
	Start  string          `json:"start"`  // digest of the weights it started from
}

// NewIdentity takes the digests of a run at its start: cfg and data are anything that encodes as JSON.
func NewIdentity(cfg, data any, start ...*model.Params) (Identity, error) {
	var id Identity
	var err error
	if id.Config, err = json.Marshal(cfg); err != nil {
		return id, fmt.Errorf("train: identity: config: %w", err)
	}
	h := sha256.New()
	if err := json.NewEncoder(h).Encode(data); err != nil {
		return id, fmt.Errorf("train: identity: data: %w", err)
	}
	id.Data = hex.EncodeToString(h.Sum(nil))
	h.Reset()
	for _, p := range start {
		if err := p.WriteWeights(h); err != nil {
			return id, fmt.Errorf("train: identity: weights: %w", err)
		}
	}
	id.Start = hex.EncodeToString(h.Sum(nil))
	return id, nil
}

// differs names what is not the same in another run.
func (id Identity) differs(other Identity) []string {
	var parts []string
	if !bytes.Equal(compact(id.Config), compact(other.Config)) {
		var a, b map[string]json.RawMessage
		if json.Unmarshal(id.Config, &a) != nil || json.Unmarshal(other.Config, &b) != nil {
			parts = append(parts, "config")
		}
		for _, field := range slices.Sorted(maps.Keys(a)) {
			if !bytes.Equal(compact(a[field]), compact(b[field])) {
				parts = append(parts, "config field "+field)
			}
		}
		for _, field := range slices.Sorted(maps.Keys(b)) {
			if _, ok := a[field]; !ok {
				parts = append(parts, "config field "+field)
			}
		}
	}
	if id.Data != other.Data {
		parts = append(parts, "the data")
	}
	if id.Start != other.Start {
		parts = append(parts, "the start weights")
	}
	return parts
}

func compact(raw json.RawMessage) []byte {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw
	}
	return b.Bytes()
}

// ErrOtherRun says that a checkpoint belongs to another run than the one that wants to go on from it.
var ErrOtherRun = errors.New("train: the checkpoint belongs to another run")

// Load reads the checkpoint of this run, nil if there is none yet. One of another stage, config, data or start is an
// ErrOtherRun that names the difference.
func (k Checkpointing) Load(stage string, id Identity) (*Checkpoint, error) {
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
	if c.State.Stage != stage {
		return nil, fmt.Errorf("%w: %s is of stage %q, this is %q: delete it or give another folder", ErrOtherRun, k.Dir, c.State.Stage, stage)
	}
	if parts := id.differs(c.State.Identity); len(parts) > 0 {
		return nil, fmt.Errorf("%w: %s differs in %s: start with the same ones, or delete the folder to start anew",
			ErrOtherRun, k.Dir, strings.Join(parts, ", "))
	}
	return c, nil
}

// Save writes the checkpoint of this run.
func (k Checkpointing) Save(c *Checkpoint, id Identity) error {
	if k.Dir == "" {
		return nil
	}
	c.State.Identity = id
	c.WriteFiles = k.WriteFiles
	return SaveCheckpoint(k.Dir, c)
}
