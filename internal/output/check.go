package output

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// lineageFile marks a folder that tame has written: a result, or the checkpoint of a run.
const lineageFile = "lineage.json"

// Check reports every place at which nothing can be made, and those that are an input or another
// place, or are inside of one, by whatever name or link. It finishes a Commit that was killed first.
func Check(inputs []string, places ...Place) error {
	var errs []error
	for _, p := range places {
		finished, err := p.recover()
		if err != nil {
			return err
		}
		if finished {
			errs = append(errs, fmt.Errorf("a command that was killed had made all of %s, and only now it has its name", p.Path))
		}
	}
	parents := map[string]bool{} // each is checked once
	for n, p := range places {
		err := p.checkExists()
		if parent := filepath.Dir(p.Path); err == nil && !parents[parent] {
			parents[parent] = true
			err = p.checkFolders()
		}
		for _, q := range places[:n] {
			if same(p.Path, q.Path) {
				err = fmt.Errorf("%s is named as two outputs", p.Path)
			} else if inside(p.Path, q.Path) || inside(q.Path, p.Path) {
				err = fmt.Errorf("%s and %s: an output cannot be inside another one", p.Path, q.Path)
			}
		}
		for _, in := range inputs {
			if in == "" {
				continue
			}
			switch {
			case same(p.Path, in):
				err = fmt.Errorf("%s is an input, and cannot be an output", p.Path)
			case inside(p.Path, in):
				err = fmt.Errorf("%s is inside %s, which is an input: give another place", p.Path, in)
			case inside(in, p.Path):
				err = fmt.Errorf("%s is an input inside %s, which is an output: give another place", in, p.Path)
			}
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// checkFolders looks at the folders that a place is in.
func (p Place) checkFolders() error {
	for dir := filepath.Dir(resolve(p.Path)); ; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(filepath.Join(dir, lineageFile)); err == nil {
			return fmt.Errorf("%s is inside %s, the folder of another run, which it would change: give another place", p.Path, dir)
		}
		if dir == filepath.Dir(dir) {
			return p.checkParent()
		}
	}
}

// checkExists refuses what exists.
func (p Place) checkExists() error {
	if p.Path == "" {
		return errors.New("the name of an output is empty")
	}
	info, err := os.Lstat(p.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := os.Stat(p.Path)
		if err != nil {
			to, _ := os.Readlink(p.Path)
			return fmt.Errorf("%s is a symbolic link to %s, which cannot be followed: delete the link, or give another name", p.Path, to)
		}
		info = target
	}
	switch {
	case !p.Old:
		return fmt.Errorf("%s already exists: delete it, or give another name", p.Path)
	case p.Folder && !info.IsDir():
		return fmt.Errorf("%s is a file, want a folder", p.Path)
	case !p.Folder && info.IsDir():
		return fmt.Errorf("%s is a folder, want a file", p.Path)
	}
	return nil
}

// checkParent wants a folder to write into.
func (p Place) checkParent() error {
	parent := filepath.Dir(filepath.Clean(p.Path))
	info, err := os.Stat(parent)
	for ; p.Folder && errors.Is(err, fs.ErrNotExist) && parent != filepath.Dir(parent); info, err = os.Stat(parent) {
		parent = filepath.Dir(parent)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: the folder %s does not exist: make it, or give another name", p.Path, parent)
	case err != nil:
		return fmt.Errorf("%s: %w", p.Path, err)
	case !info.IsDir():
		return fmt.Errorf("%s: %s is not a folder", p.Path, parent)
	}
	if err := unix.Access(parent, unix.W_OK|unix.X_OK); err != nil {
		return fmt.Errorf("%s: the folder %s cannot be written: %w", p.Path, parent, err)
	}
	return nil
}

// same says whether two names are of one file or folder.
func same(a, b string) bool {
	if resolve(a) == resolve(b) {
		return true
	}
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// inside says whether a path is below a folder.
func inside(path, dir string) bool {
	rel, err := filepath.Rel(resolve(dir), resolve(path))
	return err == nil && rel != "." && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// resolve is the absolute path without symbolic links, as far as it exists.
func resolve(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	rest := ""
	for dir := path; ; dir = filepath.Dir(dir) {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			return filepath.Join(real, rest)
		}
		if dir == filepath.Dir(dir) {
			return path
		}
		rest = filepath.Join(filepath.Base(dir), rest)
	}
}
