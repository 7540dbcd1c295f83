// Package folder writes folders and files that appear at once and whole, or not at all.
package folder

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"

	"github.com/tame-rlhf/tame/pkg/model/internal/file"
)

// Write writes a folder, which takes the place of the one that is there, with the SHA-256 of all its files in it. sums are
// those that are known already, by path in the temporary folder; nil for none.
func Write(dir string, sums Sums, writers ...func(tmpdir string) error) (err error) {
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o777); err != nil {
		return err
	}
	tmp := tmpDir(dir)
	if err := os.RemoveAll(tmp); err != nil { // left by a process that was killed
		return err
	}
	if err := os.Mkdir(tmp, 0o777); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("%s: %w", dir, err), os.RemoveAll(tmp))
		}
	}()
	for _, write := range writers {
		if write == nil {
			continue
		}
		if err := write(tmp); err != nil {
			return err
		}
	}
	if err := sums.write(tmp); err != nil {
		return err
	}
	if err := syncTree(tmp); err != nil {
		return err
	}
	return replace(dir, tmp)
}

// tmpDir is where Write writes the new folder.
func tmpDir(dir string) string {
	return filepath.Join(filepath.Dir(dir), "."+filepath.Base(dir)+".tmp")
}

// Aside is where Write puts the old folder for the moment in which the new one takes its place.
func Aside(dir string) string {
	dir = filepath.Clean(dir)
	return filepath.Join(filepath.Dir(dir), "."+filepath.Base(dir)+".replaced")
}

// replace puts the folder tmp in the place of dir. A crash in between leaves the old folder aside,
// where Recover finds it.
func replace(dir, tmp string) error {
	aside := Aside(dir)
	if err := discard(dir, aside); err != nil { // left by a crash after the new folder was in place
		return err
	}
	err := os.Rename(dir, aside)
	old := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(tmp, dir); err != nil {
		if old {
			err = errors.Join(err, os.Rename(aside, dir))
		}
		return err
	}
	if err := syncPath(filepath.Dir(dir)); err != nil {
		return err
	}
	if old {
		return discard(dir, aside)
	}
	return nil
}

// Recover puts the old folder back if a Write was interrupted before the new one had taken its
// place. A folder of this kind has a file of the name mark.
func Recover(dir, mark string) error {
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return nil // there, or an error that reading it will tell
	}
	aside := Aside(dir)
	if _, err := os.Lstat(filepath.Join(aside, mark)); err != nil {
		return nil
	}
	if err := os.Rename(aside, dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the last folder is in %s: %w", aside, err)
	}
	return nil
}

// Replaceable gives the real path of a folder that may be replaced: one with the mark, an empty one,
// or one that is not there yet.
func Replaceable(dir, mark string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := Recover(dir, mark); err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return dir, nil
	}
	if err != nil {
		return "", err
	}
	marked := slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == mark })
	if len(entries) > 0 && !marked {
		return "", fmt.Errorf("%s holds other files and no %s: it is not replaced", dir, mark)
	}
	return dir, nil
}

// Remove deletes a folder, with all that an interrupted Write has left next to it. If it is
// interrupted itself, either the folder is still whole or there is nothing that Recover would take.
func Remove(dir string) error {
	dir, err := filepath.Abs(dir)
	if err == nil {
		// What was put aside goes first: without its successor, Recover would take it back.
		err = errors.Join(discard(dir, Aside(dir)), os.RemoveAll(tmpDir(dir)))
	}
	if err == nil {
		err = discard(dir, dir)
	}
	return err
}

// discard deletes a folder next to dir, or dir itself. It is gone at once under its name, so that
// no part of it is found.
func discard(dir, folder string) error {
	dead := filepath.Join(filepath.Dir(dir), "."+filepath.Base(dir)+".discarded")
	if err := os.RemoveAll(dead); err != nil { // left by a process that was killed
		return err
	}
	if err := os.Rename(folder, dead); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.RemoveAll(dead)
}

// syncTree syncs all files and folders below root.
func syncTree(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !d.IsDir() && !d.Type().IsRegular() {
			return nil
		}
		return syncPath(path)
	})
}

func syncPath(path string) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return f.Sync()
}

// Create makes a file within a folder that is being written. Tests give files that fail.
type Create func(path string) (SyncWriter, error)

// SyncWriter is what is needed of an *os.File.
type SyncWriter interface {
	io.WriteCloser
	Sync() error
}

// OnDisk is the Create of real files.
func OnDisk(path string) (SyncWriter, error) { return os.Create(path) }

// File writes a file through a buffer, and syncs it.
func (create Create) File(path string, write func(io.Writer) error) (err error) {
	f, err := create(path)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", filepath.Base(path), err)
		}
	}()
	if err := buffered(f, write); err != nil {
		return err
	}
	return f.Sync()
}

// buffered writes through a buffer.
func buffered(f io.Writer, write func(io.Writer) error) error {
	w := bufio.NewWriterSize(f, file.ChunkBytes)
	if err := write(w); err != nil {
		return err
	}
	return w.Flush()
}

// Bytes writes a file.
func (create Create) Bytes(path string, raw []byte) error {
	return create.File(path, func(w io.Writer) error {
		_, err := w.Write(raw)
		return err
	})
}

// WriteFile writes a single file, which takes the place of the one that is there.
func WriteFile(path string, write func(io.Writer) error) (err error) {
	f, err := renameio.NewPendingFile(path, renameio.WithPermissions(0o644))
	if err != nil {
		return err
	}
	defer func() {
		if cleanupErr := f.Cleanup(); err == nil && cleanupErr != nil {
			err = fmt.Errorf("%s: %w", path, cleanupErr)
		}
	}()
	if err := buffered(f, write); err != nil {
		return err
	}
	if err := f.CloseAtomicallyReplace(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
