package run

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/tame-rlhf/tame/pkg/data"
)

// Identity says which run a checkpoint, a part or a result belongs to. Custom code, such as a loss
// function, is not part of it.
type Identity struct {
	Stage  string          `json:"stage"`            // such as "sft"
	Config json.RawMessage `json:"config,omitempty"` // its settings as JSON
	Seed   uint64          `json:"seed,omitempty"`   // where it is not among the settings
	Inputs []data.Input    `json:"inputs,omitempty"` // what it reads, in a fixed order
}

// Weights are the weights of a model, such as a *model.Params: the same bytes for the same weights.
type Weights interface {
	WriteWeights(w io.Writer) error
}

// Named gives weights a name, such as "critic", which is told where two runs differ in them.
func Named(name string, w Weights) Weights { return namedWeights{w, name} }

type namedWeights struct {
	Weights
	name string
}

// NewIdentity identifies a run that starts: its settings, which have to encode as JSON, the data,
// which the function writes into the digest item by item, and the weights that it starts from. The
// memory that it needs does not grow with the data.
func NewIdentity(ctx context.Context, stage string, cfg any, items func(*Digest), start ...Weights) (Identity, error) {
	id := Identity{Stage: stage}
	var err error
	if id.Config, err = json.Marshal(cfg); err != nil {
		return id, fmt.Errorf("run: identity of %s: config: %w", stage, err)
	}
	d := NewDigest()
	items(d)
	d.end()
	id.Inputs = d.parts
	for _, w := range start {
		input := data.Input{Name: "start weights"}
		if named, ok := w.(namedWeights); ok {
			input.Name += " of " + named.name
		}
		h := sha256.New()
		if err := w.WriteWeights(untilDone{ctx, h}); err != nil {
			return id, fmt.Errorf("run: identity of %s: weights: %w", stage, err)
		}
		input.Fingerprint = data.FingerprintOf(h)
		id.Inputs = append(id.Inputs, input)
	}
	return id, nil
}

// untilDone writes as long as its context lasts.
type untilDone struct {
	context.Context
	w io.Writer
}

func (u untilDone) Write(p []byte) (int, error) {
	if err := u.Err(); err != nil {
		return 0, err
	}
	return u.w.Write(p)
}

// Of is the identity of the run that a lineage tells of. That of an empty lineage has no stage.
func Of(l data.Lineage) Identity {
	return Identity{Stage: l.Stage, Config: l.Config, Seed: l.Seed, Inputs: l.Inputs}
}

// ErrOtherRun says that what is stored at a path belongs to another run than the one that is
// started.
var ErrOtherRun = errors.New("belongs to another run")

// Check compares what is stored at a path with the run that wants to resume there or to use it. If
// they differ the error is an ErrOtherRun that names the differences.
func Check(path string, stored, now Identity) error {
	differences := stored.Differences(now)
	if len(differences) == 0 {
		return nil
	}
	return fmt.Errorf("%s %w (%s): start with the same settings and data, delete it, or give another output",
		path, ErrOtherRun, strings.Join(differences, ", "))
}
