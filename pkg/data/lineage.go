package data

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Lineage says where a dataset comes from. It is stored in the dataset's metadata, so the history of a result can be
// followed from file to file. It holds no times and no folders: the same run writes the same bytes anywhere.
type Lineage struct {
	Stage  string          `json:"stage"`            // what made it, such as "sft" or "import hh"
	Config json.RawMessage `json:"config,omitempty"` // the stage's configuration as JSON
	Seed   uint64          `json:"seed,omitempty"`
	Inputs []Input         `json:"inputs,omitempty"` // the datasets and checkpoints it was made from
}

// Input is a file or folder that a dataset was made from.
type Input struct {
	Name        string `json:"name"` // without its folder
	Fingerprint string `json:"fingerprint"`
}

// NewInput is the input at a path, a file or a folder, with its fingerprint.
func NewInput(path string) (Input, error) {
	print, err := Fingerprint(path)
	return Input{Name: filepath.Base(path), Fingerprint: print}, err
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
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}

func hashFile(h io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(h, f)
	return err
}
