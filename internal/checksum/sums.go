// Package checksum keeps the SHA-256 of the files of a folder in a file of the folder, SHA256SUMS, so that a bit that was
// flipped, a page of zeros, or a file that is cut off or missing is seen. The file has the form of the program sha256sum:
// `sha256sum -c SHA256SUMS` checks it too. Its last line, a comment, is the SHA-256 of the lines above.
//
// A folder within that has a SHA256SUMS of its own is represented by that file alone.
package checksum

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/tame-rlhf/tame/internal/bounded"
)

// Name is the name of the file.
const Name = "SHA256SUMS"

// maxBytes is the largest file that is read. A line takes about 100 bytes.
const maxBytes = 16 << 20

// Sums are SHA-256, as hexadecimal digits, by the path of a file below its folder, with slashes.
type Sums map[string]string

// encode gives the lines, sorted by path.
func (s Sums) encode() []byte {
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(s)) {
		fmt.Fprintf(&b, "%s  %s\n", s[name], name)
	}
	fmt.Fprintf(&b, "# SHA-256 of the lines above: %x\n", sha256.Sum256(b.Bytes()))
	return b.Bytes()
}

// Write writes the file into a folder, all of it or nothing.
func (s Sums) Write(dir string) error {
	for name := range s {
		if strings.ContainsAny(name, "\n\r\\") {
			return fmt.Errorf("%s: the name %q has a line break or a backslash: give it another one", dir, name)
		}
	}
	return renameio.WriteFile(filepath.Join(dir, Name), s.encode(), 0o644)
}

// Read reads the file of a folder. Without one the error wraps fs.ErrNotExist; one that is not as Write wrote it is damaged.
func Read(dir string) (Sums, error) {
	raw, err := bounded.ReadFile(filepath.Join(dir, Name), maxBytes)
	if err != nil {
		return nil, err
	}
	s := Sums{}
	for line := range strings.Lines(string(raw)) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if ok && !strings.HasPrefix(line, "#") {
			s[name] = sum
		}
	}
	if !bytes.Equal(raw, s.encode()) {
		return nil, &DamageError{Dir: dir, Files: []string{Name + " is damaged itself"}}
	}
	return s, nil
}

// Create makes a file in a folder and notes its SHA-256, which is computed while it is written.
func (s Sums) Create(dir, name string, write func(w io.Writer) error) (err error) {
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := &Writer{W: f}
	if err := write(w); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	s[filepath.ToSlash(name)] = w.Sum()
	return nil
}

// Note adds the SHA-256 of a file that is about to be written to the SHA256SUMS of its folder. A folder without one stays as it is.
func Note(dir, name string, content []byte) error {
	s, err := Read(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	s[name] = Of(content)
	return s.Write(dir)
}

// Of is the SHA-256 of bytes, as hexadecimal digits.
func Of(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// Put writes a file of a folder and the folder's SHA256SUMS with it. A kill in between leaves a line without a file, never a file
// without its line.
func (s Sums) Put(dir, name string, write func(path string) error) error {
	fresh := filepath.Join(dir, filepath.FromSlash(path.Join(path.Dir(name), ".new-"+path.Base(name))))
	if err := write(fresh); err != nil {
		return err
	}
	sum, err := new(Hasher).File(context.Background(), fresh)
	if err != nil {
		return err
	}
	s[name] = sum
	if err := s.Write(dir); err != nil {
		return err
	}
	return os.Rename(fresh, filepath.Join(dir, filepath.FromSlash(name)))
}

// AddTree notes all files below a folder that it does not know yet.
func (s Sums) AddTree(dir string) error {
	return walk(dir, func(name string) error {
		if s[name] != "" {
			return nil
		}
		f, err := os.Open(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		defer f.Close()
		w := &Writer{W: io.Discard}
		if _, err := io.Copy(w, f); err != nil {
			return err
		}
		s[name] = w.Sum()
		return nil
	})
}

// walk visits the files below a folder by their paths with slashes, but for its own Name. Of a folder within that has a Name
// it visits that only.
func walk(dir string, visit func(name string) error) error {
	return filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || file == dir {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		switch {
		case entry.IsDir():
			if _, err := os.Stat(filepath.Join(file, Name)); err != nil {
				return nil // none of its own; what else is wrong, reading will tell
			}
			if err := visit(path.Join(name, Name)); err != nil {
				return err
			}
			return fs.SkipDir
		case name == Name:
			return nil
		}
		return visit(name)
	})
}

// Writer hashes what goes through it.
type Writer struct {
	W    io.Writer
	hash hash.Hash
}

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	if w.hash == nil {
		w.hash = sha256.New()
	}
	n, err := w.W.Write(p)
	w.hash.Write(p[:n])
	return n, err
}

// Sum is the SHA-256 of all that was written, as hexadecimal digits.
func (w *Writer) Sum() string {
	if w.hash == nil {
		w.hash = sha256.New()
	}
	return hex.EncodeToString(w.hash.Sum(nil))
}
