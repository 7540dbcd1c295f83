package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
	"github.com/tame-rlhf/tame/pkg/train"
)

// store is the folder of a run. Every result in it appears whole or not at all and says in its lineage how it was made, so a run
// that is started again reads what is there and makes the rest. Steps that are half done keep themselves below workDir.
type store struct {
	dir   string
	every int // steps between checkpoints
	tok   *tokenizer.Tokenizer
	watch func(Event)
}

// workDir is where steps keep what is not a result yet.
const workDir = ".work"

// leftover are the names of files and folders that were being written when a process was killed.
var leftover = regexp.MustCompile(`^\..+(\.tmp|\.discarded|\.arrow\d+)$`)

// newStore makes the folder, or sweeps the one that is there.
func newStore(dir string, every int, tok *tokenizer.Tokenizer, watch func(Event)) (*store, error) {
	if watch == nil {
		watch = func(Event) {}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("pipeline: %w", err)
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !leftover.MatchString(d.Name()) {
			return err
		}
		if err := os.RemoveAll(path); err != nil || !d.IsDir() {
			return err
		}
		return fs.SkipDir
	})
	if err != nil {
		return nil, fmt.Errorf("pipeline: %w", err)
	}
	return &store{dir: dir, every: every, tok: tok, watch: watch}, nil
}

func (s *store) path(name string) string { return filepath.Join(s.dir, filepath.FromSlash(name)) }

// work is the folder in which a step keeps itself.
func (s *store) work(name string) string {
	return filepath.Join(s.dir, workDir, filepath.FromSlash(name))
}

// keep is where a training step saves itself.
func (s *store) keep(name string) train.Checkpointing {
	return train.Checkpointing{Dir: s.work(name), Every: s.every}
}

// lineage describes a step: what it does, its settings, and the results that it reads.
func (s *store) lineage(stage string, cfg any, seed uint64, inputs ...string) (data.Lineage, error) {
	raw, err := json.Marshal(cfg)
	if err != nil {
		return data.Lineage{}, fmt.Errorf("pipeline: %s: %w", stage, err)
	}
	l := data.Lineage{Stage: stage, Config: raw, Seed: seed}
	for _, name := range inputs {
		if err := l.Add(s.path(name)); err != nil {
			return l, fmt.Errorf("pipeline: %s: %w", stage, err)
		}
	}
	return l, nil
}

// ErrOtherRun says that the folder holds results that were made with other settings or data.
var ErrOtherRun = errors.New("pipeline: the folder holds another run")

// done says whether a result is there. One that was made in another way is an error.
func (s *store) done(name string, want data.Lineage) (bool, error) {
	got, err := data.ReadLineage(s.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	what := ""
	switch {
	case got.Stage != want.Stage:
		what = fmt.Sprintf("it is the result of %q, not of %q", got.Stage, want.Stage)
	case !bytes.Equal(got.Config, want.Config) || got.Seed != want.Seed:
		what = "its settings were other ones"
	case !slices.Equal(got.Inputs, want.Inputs):
		what = "it was made from other inputs"
	default:
		return true, nil
	}
	return false, fmt.Errorf("%w: %s: %s: give the settings and data of that run, or another folder", ErrOtherRun, s.path(name), what)
}

// finish sweeps what a step has kept, now that its result is safe.
func (s *store) finish(name string) error {
	return model.Remove(s.work(name))
}

// dataset reads the rows of a result, or makes and writes them.
func dataset[T data.Row](s *store, name string, l data.Lineage, compute func() ([]T, error)) ([]T, error) {
	done, err := s.done(name, l)
	if err != nil {
		return nil, err
	}
	if done {
		rows, _, err := data.Read[T](s.path(name))
		s.watch(Event{Step: name, Reused: true})
		return rows, errors.Join(err, s.finish(name))
	}
	rows, err := compute()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := os.MkdirAll(filepath.Dir(s.path(name)), 0o755); err != nil {
		return nil, fmt.Errorf("pipeline: %w", err)
	}
	if err := data.Write(s.path(name), rows, l); err != nil {
		return nil, err
	}
	s.watch(Event{Step: name, Finished: true})
	return rows, s.finish(name)
}

// inParts makes the rows of n items in parts of size items, each of which is kept, so that a run that is stopped loses one part at most.
func inParts[T data.Row](s *store, name string, l data.Lineage, n, size int, compute func(lo, hi int) ([]T, error)) ([]T, error) {
	return dataset(s, name, l, func() ([]T, error) {
		var all []T
		for lo := 0; lo < n; lo += size {
			hi := min(lo+size, n)
			part := fmt.Sprintf("part-%06d.arrow", lo)
			rows, err := inPart(filepath.Join(s.work(name), part), l, func() ([]T, error) { return compute(lo, hi) })
			if err != nil {
				return nil, err
			}
			all = append(all, rows...)
			s.watch(Event{Step: name, Done: hi, Total: n})
		}
		return all, nil
	})
}

// inPart reads a part that was kept by this very step, or makes and keeps it.
func inPart[T data.Row](path string, l data.Lineage, compute func() ([]T, error)) ([]T, error) {
	rows, got, err := data.Read[T](path)
	if err == nil && got.Stage == l.Stage && bytes.Equal(got.Config, l.Config) && got.Seed == l.Seed && slices.Equal(got.Inputs, l.Inputs) {
		return rows, nil
	}
	if rows, err = compute(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("pipeline: %w", err)
	}
	return rows, data.Write(path, rows, l)
}

// params reads a model, or makes and writes it with tokenizer, lineage and the files that more writes.
func (s *store) params(name string, l data.Lineage, compute func() (*model.Params, error), more ...func(dir string) error) (*model.Params, error) {
	done, err := s.done(name, l)
	if err != nil {
		return nil, err
	}
	if done {
		p, err := model.Load(s.path(name))
		s.watch(Event{Step: name, Reused: true})
		return p, errors.Join(err, s.finish(name))
	}
	p, err := compute()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	err = model.Save(s.path(name), p, func(tmp string) error {
		errs := []error{s.tok.SaveFolder(tmp), data.WriteLineage(tmp, l)}
		for _, write := range more {
			errs = append(errs, write(tmp))
		}
		return errors.Join(errs...)
	})
	if err != nil {
		return nil, err
	}
	s.watch(Event{Step: name, Finished: true})
	return p, s.finish(name)
}
