package columnar

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/tame-rlhf/tame/internal/bounded"
	"github.com/tame-rlhf/tame/internal/jsontext"
)

// Files of a folder that the datasets library writes with save_to_disk.
const (
	savedState  = "state.json"        // of a dataset: its files
	savedInfo   = "dataset_info.json" // beside it: checkpoints of trainers have a state.json too
	savedSplits = "dataset_dict.json" // of several: their folders
)

// saved is such a folder: its files, one after the other.
type saved struct {
	paths  []string
	mem    memory.Allocator
	schema *arrow.Schema
	file   *File // at hand, nil before the first and after the last
	next   int   // of paths
}

func isSaved(dir string) bool {
	has := func(name string) bool {
		info, err := os.Stat(filepath.Join(dir, name))
		return err == nil && info.Mode().IsRegular()
	}
	return has(savedSplits) || has(savedState) && has(savedInfo)
}

// savedFiles are the files of a dataset in their order.
func savedFiles(dir string) ([]string, error) {
	var splits struct{ Splits []string }
	if err := readJSON(filepath.Join(dir, savedSplits), &splits); err == nil {
		folders := make([]string, len(splits.Splits))
		for i, split := range splits.Splits {
			folders[i] = filepath.Join(dir, split)
		}
		return nil, fmt.Errorf("is a folder of several datasets: name one of them: %s", strings.Join(folders, ", "))
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	type file struct{ Filename string }
	var state struct {
		DataFiles        []file `json:"_data_files"`
		IndicesFiles     []file `json:"_indices_files"`
		IndicesDataFiles []file `json:"_indices_data_files"`
	}
	if err := readJSON(filepath.Join(dir, savedState), &state); err != nil {
		return nil, err
	}
	if len(state.IndicesFiles)+len(state.IndicesDataFiles) > 0 {
		return nil, errors.New("has its rows chosen by a table of indices: save it again after flatten_indices()")
	}
	if len(state.DataFiles) == 0 {
		return nil, fmt.Errorf("names no files in its %s", savedState)
	}
	paths := make([]string, len(state.DataFiles))
	for i, f := range state.DataFiles {
		if !filepath.IsLocal(f.Filename) {
			return nil, fmt.Errorf("names the file %q in its %s, which is not in the folder", f.Filename, savedState)
		}
		paths[i] = filepath.Join(dir, f.Filename)
	}
	return paths, nil
}

func readJSON(path string, to any) error {
	raw, err := bounded.ReadFile(path, 16<<20)
	if err != nil {
		return err
	}
	if err := jsontext.Unmarshal(raw, to); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return nil
}

func openSaved(dir string, mem memory.Allocator) (*File, error) {
	paths, err := savedFiles(dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	s := &saved{paths: paths, mem: mem}
	size := int64(0)
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		size += info.Size()
	}
	if err := s.open(); err != nil {
		return nil, err
	}
	return &File{records: s, file: s, size: size}, nil
}

// open opens the next file, which has the columns of the first.
func (s *saved) open() error {
	file, err := Open(s.paths[s.next], s.mem)
	if err != nil {
		return err
	}
	if s.schema == nil {
		s.schema = file.Schema()
	} else if !slices.EqualFunc(file.Schema().Fields(), s.schema.Fields(), arrow.Field.Equal) {
		return errors.Join(fmt.Errorf("%s has other columns than %s", s.paths[s.next], s.paths[0]), file.Close())
	}
	s.file = file
	s.next++
	return nil
}

// Close closes the file at hand.
func (s *saved) Close() error {
	if s.file == nil {
		return nil
	}
	file := s.file
	s.file = nil
	return file.Close()
}

func (s *saved) Schema() *arrow.Schema { return s.schema }
func (s *saved) NumRows() int          { return -1 }

func (s *saved) Progress() float64 {
	done := float64(s.next)
	if s.file != nil {
		done += s.file.Progress() - 1
	}
	return done / float64(len(s.paths))
}

func (s *saved) Records() func() (arrow.Record, error) {
	err := s.Close()
	s.next = 0
	var next func() (arrow.Record, error)
	return func() (arrow.Record, error) {
		for err == nil {
			if s.file == nil {
				if s.next == len(s.paths) {
					return nil, io.EOF
				}
				if err = s.open(); err != nil {
					break
				}
				next = s.file.Records()
			}
			rec, failed := next()
			if failed == nil {
				return rec, nil
			}
			if err = s.Close(); failed != io.EOF {
				err = fmt.Errorf("%s: %w", s.paths[s.next-1], failed)
			}
		}
		return nil, err
	}
}
