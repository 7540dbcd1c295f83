package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"github.com/tame-rlhf/tame/internal/checksum"
	"github.com/tame-rlhf/tame/internal/jsontext"
	"github.com/tame-rlhf/tame/pkg/data"
)

// Parts is a folder in which a run keeps what it has computed so far, so that a run that is stopped
// loses one part at most. Remove the folder once the result is safe. Use OpenParts.
type Parts struct {
	dir     string
	lineage data.Lineage
	sums    checksum.Sums // of the files that are whole
}

// OpenParts makes the folder, or opens the one of the same run. A folder of another run is an
// ErrOtherRun, and one whose files are not as they were written wraps checksum.ErrDamaged.
func OpenParts(dir string, l data.Lineage) (Parts, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return Parts{}, fmt.Errorf("run: %w", err)
	}
	stored, err := data.ReadLineage(dir)
	if err != nil {
		return Parts{}, fmt.Errorf("run: %w", err)
	}
	sums, err := checksum.Read(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) && stored.Stage != "":
		return Parts{}, fmt.Errorf("run: %s has no %s: an older version of tame wrote it, or it is damaged: delete it and start again", dir, checksum.Name)
	case errors.Is(err, fs.ErrNotExist):
		sums = checksum.Sums{}
		err = sums.Write(dir)
	case err == nil && stored.Stage == "" && len(sums) > 1: // more than the lineage
		err = damaged(dir, "lineage.json is missing")
	}
	if err != nil {
		return Parts{}, fmt.Errorf("run: %w", err)
	}
	if stored.Stage == "" { // new, or killed before the first part
		if err := data.WriteLineage(dir, l); err != nil {
			return Parts{}, err
		}
		sums, err = checksum.Read(dir)
		return Parts{dir, l, sums}, err
	}
	return Parts{dir, l, sums}, Check(dir, Of(stored), Of(l))
}

// damaged says what is wrong with a file.
func damaged(dir, what string) error {
	return fmt.Errorf("%w: put back a copy of it, or delete %s and start again", &checksum.DamageError{Dir: dir, Files: []string{what}}, dir)
}

// partName names the part of the items lo to hi. Parts of another size have other names, so a run that
// resumes with another size computes its parts again.
func partName(lo, hi int) string { return fmt.Sprintf("part-%06d-%06d", lo, hi) }

// form is how the files of parts are written.
type form[T any] struct {
	extension string
	read      func(path string) (T, error)
	write     func(path string, value T) error
}

// stored reads a value, which must be as it was written, or computes and writes it.
func stored[T any](p Parts, f form[T], name string, compute func() (T, error)) (value T, err error) {
	name += f.extension
	path := filepath.Join(p.dir, name)
	sum, err := new(checksum.Hasher).File(context.Background(), path)
	switch {
	case err == nil && p.sums[name] == "":
		return value, damaged(p.dir, name+" is not in "+checksum.Name)
	case err == nil && p.sums[name] != sum:
		return value, damaged(p.dir, name+" has other bytes")
	case err == nil:
		return f.read(path)
	case !errors.Is(err, fs.ErrNotExist):
		return value, err
	}
	if value, err = compute(); err != nil {
		return value, err
	}
	return value, p.sums.Put(p.dir, name, func(path string) error { return f.write(path, value) })
}

// jsonForm is for values that encode as JSON.
func jsonForm[T any]() form[T] {
	read := func(path string) (value T, err error) {
		raw, err := os.ReadFile(path)
		if err != nil {
			return value, err
		}
		if err := jsontext.Unmarshal(raw, &value); err != nil {
			return value, fmt.Errorf("run: %s: %w", path, err)
		}
		return value, nil
	}
	return form[T]{".json", read, func(path string, value T) error { return WriteJSON(path, value) }}
}

// rowForm is for the rows of datasets.
func rowForm[T data.Row](l data.Lineage) form[[]T] {
	read := func(path string) ([]T, error) {
		rows, _, err := data.Read[T](path)
		return rows, err
	}
	return form[[]T]{".arrow", read, func(path string, rows []T) error { return data.Write(path, rows, l) }}
}

// Value reads what this run has computed under a name, or computes and stores it as JSON.
func Value[T any](p Parts, name string, compute func() (T, error)) (T, error) {
	f := jsonForm[T]()
	return stored(p, f, name, compute)
}

// Rows computes rows for n items in parts of size items, and stores each part as a dataset. Parts
// that are stored are read instead. onPart, if not nil, is called after each part with the number of
// items so far.
func Rows[T data.Row](p Parts, n, size int, compute func(lo, hi int) ([]T, error), onPart func(done int)) ([]T, error) {
	return inParts(p, rowForm[T](p.lineage), n, size, compute, onPart)
}

// Values is Rows for values that are stored as JSON.
func Values[T any](p Parts, n, size int, compute func(lo, hi int) ([]T, error), onPart func(done int)) ([]T, error) {
	return inParts(p, jsonForm[[]T](), n, size, compute, onPart)
}

func inParts[T any](p Parts, f form[[]T], n, size int, compute func(lo, hi int) ([]T, error), onPart func(done int)) ([]T, error) {
	if size < 1 {
		return nil, fmt.Errorf("run: parts of %d items, want at least 1", size)
	}
	var all []T
	for lo := 0; lo < n; lo += size {
		hi := min(lo+size, n)
		part, err := stored(p, f, partName(lo, hi), func() ([]T, error) { return compute(lo, hi) })
		if err != nil {
			return nil, err
		}
		all = append(all, part...)
		if onPart != nil {
			onPart(hi)
		}
	}
	return all, nil
}

// Stored is the number of items of a Rows call whose parts are stored, from the first on.
func (p Parts) Stored(n, size int) (items int) {
	for items < n {
		hi := min(items+size, n)
		if _, err := os.Stat(filepath.Join(p.dir, partName(items, hi)+".arrow")); err != nil {
			break
		}
		items = hi
	}
	return items
}

// WriteJSON writes a value as an indented file, all of it or nothing.
func WriteJSON(path string, value any) error {
	raw, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("run: %s: %w", path, err)
	}
	return renameio.WriteFile(path, append(raw, '\n'), 0o644)
}
