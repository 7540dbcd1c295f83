// Package output is how commands make files and folders. What a command makes
//
//   - is refused before any work if it exists, cannot be made, or is an input or part of one (Check),
//   - is locked against other processes and written next to its place (New),
//   - gets its name at once and whole, together with the command's other outputs (Set.Commit).
//
// A process that is killed leaves NAME.lock and .NAME.unfinished next to NAME. The next one that
// makes NAME removes them.
package output

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Place is where a command makes a file or a folder.
type Place struct {
	Path string
	// Folder says that it is a folder, whose missing parents are made. Those of a file are an error.
	Folder bool
	// Old says that it may exist: the caller decides what that means. Commit replaces an old file.
	Old bool
}

// File is the place of a new file.
func File(path string) Place { return Place{Path: path} }

// Folder is the place of a new folder.
func Folder(path string) Place { return Place{Path: path, Folder: true} }

// Set are the outputs of a command, which appear together.
type Set struct{ items []item }

type item struct {
	Place
	lock *os.File
}

// stage is the folder in which an output is written, under its own name.
func (p Place) stage() string {
	dir, base := filepath.Split(filepath.Clean(p.Path))
	return filepath.Join(dir, "."+base+".unfinished")
}

// staged is where it is written.
func (p Place) staged() string { return filepath.Join(p.stage(), filepath.Base(p.Path)) }

// New checks the places (see Check), locks them, and removes what a killed process has not finished there.
// Call Close at the end, whatever happens.
func New(inputs []string, places ...Place) (*Set, error) {
	if err := Check(inputs, places...); err != nil {
		return nil, err
	}
	s := &Set{}
	for _, p := range places {
		if err := s.add(p); err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

// add locks a place and makes the folder in which the output is written.
func (s *Set) add(p Place) error {
	if p.Folder {
		if err := os.MkdirAll(filepath.Dir(filepath.Clean(p.Path)), 0o777); err != nil {
			return err
		}
	}
	lock, err := p.lock()
	if err != nil {
		return err
	}
	s.items = append(s.items, item{p, lock})
	if err := p.checkExists(); err != nil { // made since Check, by a process that has released the lock
		return err
	}
	if err := os.RemoveAll(p.stage()); err != nil {
		return err
	}
	if err := os.Mkdir(p.stage(), 0o777); err != nil {
		return fmt.Errorf("%s cannot be made: %w", p.Path, err)
	}
	return nil
}

// Write makes an output: the function writes it at the path that it gets, next to its place.
func (s *Set) Write(path string, write func(staged string) error) error {
	for _, i := range s.items {
		if i.Path != path {
			continue
		}
		if err := write(i.staged()); err != nil {
			return &stagedError{err, i.staged(), path}
		}
		return nil
	}
	return fmt.Errorf("output: %s is not one of the outputs", path)
}

// WriteFile is Write for a file that is written through a buffer.
func (s *Set) WriteFile(path string, write func(*bufio.Writer) error) error {
	return s.Write(path, func(staged string) (err error) {
		f, err := os.Create(staged)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		w := bufio.NewWriter(f)
		if err := write(w); err != nil {
			return err
		}
		return w.Flush()
	})
}

// stagedError names the output where a writer names the file next to it.
type stagedError struct {
	err          error
	staged, path string
}

func (e *stagedError) Error() string { return strings.ReplaceAll(e.err.Error(), e.staged, e.path) }
func (e *stagedError) Unwrap() error { return e.err }

// Drop takes an output that is not made after all out of the set.
func (s *Set) Drop(path string) {
	s.items = slices.DeleteFunc(s.items, func(i item) bool {
		if i.Path == path {
			i.close()
		}
		return i.Path == path
	})
}

// Commit gives all outputs their names, or none of them. If it is killed in between, the next Check of
// the first one gives the others theirs. An output that somebody else has made in the meantime is
// not replaced.
func (s *Set) Commit() error {
	for _, i := range s.items {
		if err := syncTree(i.staged()); err != nil {
			return &stagedError{err, i.staged(), i.Path}
		}
	}
	if len(s.items) > 1 {
		if err := s.writeJournal(); err != nil {
			return err
		}
	}
	for n, i := range s.items {
		if err := i.publish(); err != nil {
			return s.undo(n, err)
		}
	}
	for _, i := range s.items {
		if err := syncPath(filepath.Dir(filepath.Clean(i.Path))); err != nil {
			return err
		}
	}
	s.Close()
	return nil
}

// undo takes the names of the first n outputs back. Nothing is removed, so that work is not lost.
func (s *Set) undo(n int, err error) error {
	for _, done := range s.items[:n] {
		if !done.Old { // an old file that was replaced is gone
			err = errors.Join(err, os.Rename(done.Path, done.staged()))
		}
	}
	err = fmt.Errorf("%w: what was made is in %s until the same command is started again", err, s.items[n].stage())
	for _, i := range s.items {
		release(i.lock)
	}
	s.items = nil
	return err
}

// publish gives one output its name.
func (p Place) publish() error {
	if p.Old && !p.Folder {
		return os.Rename(p.staged(), resolve(p.Path))
	}
	return rename(p.staged(), p.Path)
}

// Move gives a file or folder a name that nothing has yet.
func Move(from, to string) error {
	if err := rename(from, to); err != nil {
		return err
	}
	return syncPath(filepath.Dir(filepath.Clean(to)))
}

// rename is os.Rename that does not replace a file, nor a folder that has files.
func rename(from, to string) error {
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return os.Rename(from, to)
	}
	if err = os.Link(from, to); err == nil {
		return os.Remove(from)
	}
	if _, there := os.Lstat(to); !errors.Is(there, fs.ErrNotExist) {
		return err
	}
	return os.Rename(from, to) // a file system without hard links
}

// Close removes what is not finished and releases the locks. After Commit it does nothing.
func (s *Set) Close() {
	for _, i := range s.items {
		i.close()
	}
	s.items = nil
}

func (i item) close() {
	_ = os.RemoveAll(i.stage())
	release(i.lock)
}

// syncTree syncs a file, or all files and folders below a folder.
func syncTree(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() && !d.Type().IsRegular() {
			return err
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
