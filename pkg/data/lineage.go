package data

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/google/renameio/v2"

	"github.com/tame-rlhf/tame/internal/bounded"
	"github.com/tame-rlhf/tame/internal/checksum"
	"github.com/tame-rlhf/tame/internal/columnar"
	"github.com/tame-rlhf/tame/internal/jsontext"
)

// Lineage says where a dataset comes from. It is stored in the dataset's metadata, so the history of a result can be
// followed from file to file. It holds no times and no folders: the same run writes the same bytes anywhere.
type Lineage struct {
	Stage  string          `json:"stage"`            // what made it, such as "sft" or "import hh"
	Config json.RawMessage `json:"config,omitempty"` // the stage's configuration as JSON
	Seed   uint64          `json:"seed,omitempty"`
	Inputs []Input         `json:"inputs,omitempty"` // the datasets and checkpoints it was made from

	// Template names the chat format of a stage that encodes dialogues: see Template.Name.
	Template string `json:"template,omitempty"`

	// Ancestors are the lineages of the inputs and of all that they were made from, each once, so that the whole history can be
	// told when its files are gone. See Add.
	Ancestors []Ancestor `json:"ancestors,omitempty"`
}

// Ancestor is the lineage of something that is named by its fingerprint. Its own Ancestors stand beside it.
type Ancestor struct {
	Fingerprint string  `json:"fingerprint"`
	Lineage     Lineage `json:"lineage"`
}

// Input is a file or folder that a dataset was made from.
type Input struct {
	Name        string `json:"name"` // without its folder
	Fingerprint string `json:"fingerprint"`
	Items       int    `json:"items,omitempty"` // of data that a run had in memory, 0 where they were not counted
}

// lineageFile holds the lineage of a folder.
const lineageFile = "lineage.json"

// maxLineage is the longest lineage that is read, in bytes. That of five versions has 100 kB.
const maxLineage = 16 << 20

// WriteLineage puts the lineage into a folder, all of it or nothing. The SHA256SUMS of a folder that has one takes note of it.
func WriteLineage(dir string, l Lineage) error {
	raw, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("data: lineage: %w", err)
	}
	raw = append(raw, '\n')
	if err := checksum.Note(dir, lineageFile, raw); err != nil {
		return fmt.Errorf("data: lineage: %w", err)
	}
	return renameio.WriteFile(filepath.Join(dir, lineageFile), raw, 0o644)
}

// ReadLineage reads the lineage of a dataset, or of a folder with a lineage.json, which must have the SHA-256 in the folder's
// SHA256SUMS, if there is one. That of somebody else's file or model is empty.
func ReadLineage(path string) (Lineage, error) {
	var l Lineage
	info, err := os.Stat(path)
	if err != nil {
		return l, fmt.Errorf("data: lineage: %w", err)
	}
	if !info.IsDir() {
		return readColumnsLineage(path)
	}
	raw, err := bounded.ReadFile(filepath.Join(path, lineageFile), maxLineage)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err == nil {
		err = checkLineage(path, raw)
	}
	if err == nil {
		err = jsontext.Unmarshal(raw, &l)
	}
	if err != nil {
		return l, fmt.Errorf("data: lineage of %s: %w", path, err)
	}
	return l, nil
}

// checkLineage compares a lineage.json with its SHA-256, if that is known.
func checkLineage(dir string, raw []byte) error {
	sums, err := checksum.Read(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if sum := sums[lineageFile]; err == nil && sum != "" && sum != checksum.Of(raw) {
		err = &checksum.DamageError{Dir: dir, Files: []string{lineageFile + " has other bytes"}}
	}
	return err
}

// readColumnsLineage looks at the metadata of an Arrow or Parquet file. Any other file has no lineage.
func readColumnsLineage(path string) (l Lineage, err error) {
	if columns, err := columnar.Is(path); err != nil || !columns {
		return l, err
	}
	meta, err := columnar.Metadata(path)
	if err != nil {
		return l, fmt.Errorf("data: lineage of %w", err)
	}
	if l, err = lineageOf(meta); err != nil {
		return l, fmt.Errorf("data: lineage of %s: %w", path, err)
	}
	return l, nil
}

// lineageOf reads the lineage in a schema's metadata; there may be none.
func lineageOf(meta arrow.Metadata) (l Lineage, err error) {
	if i := meta.FindKey(metaLineage); i >= 0 {
		if n := len(meta.Values()[i]); n > maxLineage {
			return l, fmt.Errorf("lineage of %d bytes, at most %d are read", n, maxLineage)
		}
		if err := jsontext.Unmarshal([]byte(meta.Values()[i]), &l); err != nil {
			return l, fmt.Errorf("lineage: %w", err)
		}
	}
	return l, nil
}
