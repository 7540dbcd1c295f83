package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
)

// place is where a run puts its result, and what it goes on from until then.
type place struct{ output, checkpoint string }

func newPlace(output string) place {
	output = filepath.Clean(output)
	return place{output: output, checkpoint: output + ".checkpoint"}
}

// begin looks at what is there. done says that the result is there already, made by the very same run.
func (p place) begin(lineage data.Lineage, resume bool) (done bool, err error) {
	finished, err := exists(p.output)
	if err != nil {
		return false, err
	}
	begun, err := exists(p.checkpoint)
	switch {
	case err != nil:
		return false, err
	case finished && !resume:
		return false, fmt.Errorf("%s is there already: delete it, or give another output", p.output)
	case finished:
		before, err := data.ReadLineage(p.output)
		if err != nil {
			return false, err
		}
		if parts := differences(before, lineage); len(parts) > 0 {
			return false, fmt.Errorf("%s is the result of another run (%s): delete it, or give another output", p.output, strings.Join(parts, ", "))
		}
		return true, model.Remove(p.checkpoint) // killed between saving and this
	case begun && !resume:
		return false, fmt.Errorf("%s is a run that was stopped: go on with it by --resume, or delete it to start anew", p.checkpoint)
	}
	return false, nil
}

// begun says whether there is something to go on from.
func (p place) begun() bool {
	there, _ := exists(p.checkpoint)
	return there
}

func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// differences names what two runs do not have in common.
func differences(a, b data.Lineage) []string {
	var parts []string
	if a.Stage == "" {
		return []string{"it does not say of which"}
	}
	if a.Stage != b.Stage {
		return []string{fmt.Sprintf("of stage %q, this is %q", a.Stage, b.Stage)}
	}
	if !bytes.Equal(compact(a.Config), compact(b.Config)) {
		before, now := map[string]json.RawMessage{}, map[string]json.RawMessage{}
		_ = json.Unmarshal(a.Config, &before) // what cannot be read differs
		_ = json.Unmarshal(b.Config, &now)
		for _, key := range slices.Sorted(maps.Keys(now)) {
			if old, ok := before[key]; !ok || !bytes.Equal(compact(old), compact(now[key])) {
				parts = append(parts, fmt.Sprintf("%s was %s and is %s", key, old, now[key]))
			}
		}
		if len(parts) == 0 {
			parts = append(parts, "the config differs")
		}
	}
	for i := range max(len(a.Inputs), len(b.Inputs)) {
		switch {
		case i >= len(a.Inputs):
			parts = append(parts, "it did not read "+b.Inputs[i].Name)
		case i >= len(b.Inputs):
			parts = append(parts, "it read "+a.Inputs[i].Name)
		case a.Inputs[i].Fingerprint != b.Inputs[i].Fingerprint:
			parts = append(parts, fmt.Sprintf("it read another %s", a.Inputs[i].Name))
		}
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
