package data

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/google/renameio/v2"

	"github.com/tame-rlhf/tame/internal/columnar"
)

// Lineage says where a dataset comes from. It is stored in the dataset's metadata, so the history of a result can be
// followed from file to file. It holds no times and no folders: the same run writes the same bytes anywhere.
type Lineage struct {
	Stage  string          `json:"stage"`            // what made it, such as "sft" or "import hh"
	Config json.RawMessage `json:"config,omitempty"` // the stage's configuration as JSON
	Seed   uint64          `json:"seed,omitempty"`
	Inputs []Input         `json:"inputs,omitempty"` // the datasets and checkpoints it was made from

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
}

// Add notes a dataset or model folder as a further input, with its history.
func (l *Lineage) Add(path string) error {
	fingerprint, err := Fingerprint(path)
	if err != nil {
		return err
	}
	history, err := ReadLineage(path)
	if err != nil {
		return err
	}
	l.Inputs = append(l.Inputs, Input{Name: filepath.Base(path), Fingerprint: fingerprint})
	ancestors := history.Ancestors
	history.Ancestors = nil
	if history.Stage != "" {
		ancestors = append([]Ancestor{{fingerprint, history}}, ancestors...)
	}
	for _, a := range ancestors {
		if !slices.ContainsFunc(l.Ancestors, func(b Ancestor) bool { return a.Fingerprint == b.Fingerprint }) {
			l.Ancestors = append(l.Ancestors, a)
		}
	}
	return nil
}

// lineageFile holds the lineage of a folder.
const lineageFile = "lineage.json"

// WriteLineage puts the lineage into a folder, all of it or nothing.
func WriteLineage(dir string, l Lineage) error {
	raw, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("data: lineage: %w", err)
	}
	return renameio.WriteFile(filepath.Join(dir, lineageFile), append(raw, '\n'), 0o644)
}

// ReadLineage reads the lineage of a dataset, or of a folder with a lineage.json. That of somebody else's file or model is empty.
func ReadLineage(path string) (Lineage, error) {
	var l Lineage
	info, err := os.Stat(path)
	if err != nil {
		return l, fmt.Errorf("data: lineage: %w", err)
	}
	if !info.IsDir() {
		return readColumnsLineage(path)
	}
	raw, err := os.ReadFile(filepath.Join(path, lineageFile))
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &l)
	}
	if err != nil {
		return l, fmt.Errorf("data: lineage of %s: %w", path, err)
	}
	return l, nil
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
		if err := json.Unmarshal([]byte(meta.Values()[i]), &l); err != nil {
			return l, fmt.Errorf("lineage: %w", err)
		}
	}
	return l, nil
}

// Fingerprint names the content of a file, or of a folder with all that is in it (names and contents, not times and
// permissions): "sha256:" and 64 hexadecimal digits.
func Fingerprint(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("data: fingerprint: %w", err)
	}
	h := sha256.New()
	if !info.IsDir() {
		err = hashFile(h, path)
	} else {
		// WalkDir goes in lexical order.
		err = filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			name, err := filepath.Rel(path, file)
			if err != nil {
				return err
			}
			content := sha256.New()
			if err := hashFile(content, file); err != nil {
				return err
			}
			_, err = fmt.Fprintf(h, "%x %q\n", content.Sum(nil), filepath.ToSlash(name))
			return err
		})
	}
	if err != nil {
		return "", fmt.Errorf("data: fingerprint: %w", err)
	}
	return FingerprintOf(h), nil
}

// FingerprintOf is the fingerprint of what was written into a SHA-256.
func FingerprintOf(h hash.Hash) string { return "sha256:" + hex.EncodeToString(h.Sum(nil)) }

func hashFile(h io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(h, f)
	return err
}
