package pipeline

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/tame-rlhf/tame/internal/checksum"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/run"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
	"github.com/tame-rlhf/tame/pkg/train"
)

// store is the folder of a run. Every result in it appears whole or not at all and says in its lineage how it was made, so a run
// that is started again reads what is there and makes the rest. Steps that are half done keep themselves below workDir.
type store struct {
	dir    string
	ctx    context.Context // of the run that the store is of: it ends hashing
	hasher data.Hasher
	sums   checksum.Sums // of the results that are whole

	every int // steps between checkpoints
	tok   *tokenizer.Tokenizer
	chat  string // the chat template in Jinja
	watch func(Event)

	keepPreferences bool // Config.KeepPreferences
}

// workDir is where steps keep what is not a result yet.
const workDir = ".work"

// leftover are the names of files and folders that were being written when a process was killed.
var leftover = regexp.MustCompile(`^\.(.+(\.tmp|\.discarded|\.(arrow|json|model)\d*)|SHA256SUMS\d+)$`)

// newStore makes the folder, or sweeps the one that is there.
func newStore(ctx context.Context, dir string, every int, d Data, watch func(Event)) (*store, error) {
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
	s := &store{dir: dir, ctx: ctx, every: every, tok: d.Tokenizer, chat: cmp.Or(d.Template.Source(), tokenizer.Llama2Chat), watch: watch}
	if s.sums, err = openSums(dir); err != nil {
		return nil, fmt.Errorf("pipeline: %w", err)
	}
	return s, nil
}

// openSums reads the SHA-256 of the results, or begins an empty list in a folder without any.
func openSums(dir string) (checksum.Sums, error) {
	sums, err := checksum.Read(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return sums, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			return nil, fmt.Errorf("%s has results and no %s: an older version of tame made it, or it is damaged: finish it with the version that began it, or start in another folder", dir, checksum.Name)
		}
	}
	return checksum.Sums{}, checksum.Sums{}.Write(dir)
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
		if err := s.hasher.Add(s.ctx, &l, s.path(name)); err != nil {
			return l, fmt.Errorf("pipeline: %s: %w", stage, err)
		}
	}
	return l, nil
}

// sealed says whether a result is recorded and there, with the bytes it was written with. A model that was saved and not
// recorded, because the process was killed, is made again.
func (s *store) sealed(name string) (bool, error) {
	info, err := os.Stat(s.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	file := name
	if info.IsDir() {
		file = path.Join(name, checksum.Name)
	}
	sum, err := s.hasher.Fingerprint(s.ctx, s.path(file))
	sum = strings.TrimPrefix(sum, data.FingerprintPrefix)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return false, err
	case s.sums[file] == "" && info.IsDir():
		return false, nil
	case s.sums[file] == "":
		return false, &checksum.DamageError{Dir: s.dir, Files: []string{name + " is not in " + checksum.Name}}
	case s.sums[file] != sum:
		return false, &checksum.DamageError{Dir: s.dir, Files: []string{file + " has other bytes, or is missing"}}
	case info.IsDir():
		_, err = s.hasher.Fingerprint(s.ctx, s.path(name))
	}
	return err == nil, err
}

// seal records a model's folder, whose files are recorded in itself.
func (s *store) seal(name string) error {
	raw, err := os.ReadFile(filepath.Join(s.path(name), checksum.Name))
	if err != nil {
		return fmt.Errorf("pipeline: %w", err)
	}
	s.sums[path.Join(name, checksum.Name)] = checksum.Of(raw)
	return s.sums.Write(s.dir)
}

// done says whether a result is there. One that was made in another way is a run.ErrOtherRun.
func (s *store) done(name string, want data.Lineage) (bool, error) {
	sealed, err := s.sealed(name)
	if errors.Is(err, checksum.ErrDamaged) {
		err = fmt.Errorf("%w: put back a copy of it; or delete it, to make it again from the results before it", err)
	}
	if err != nil {
		return false, fmt.Errorf("pipeline: %w", err)
	}
	if !sealed {
		return false, nil
	}
	got, err := data.ReadLineage(s.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := run.Check(s.path(name), run.Of(got), run.Of(want)); err != nil {
		return false, fmt.Errorf("pipeline: %w", err)
	}
	return true, nil
}

// finish sweeps what a step has kept, now that its result is safe.
func (s *store) finish(name string) error {
	return model.Remove(s.work(name))
}

// result reads a result of this run, or computes and writes it.
func result[T any](s *store, name string, l data.Lineage, read func(path string) (T, error), compute func() (T, error), write func(path string, value T) error) (value T, err error) {
	done, err := s.done(name, l)
	if errors.Is(err, run.ErrOtherRun) {
		done, err = s.changed(name, err)
	}
	if err != nil {
		return value, err
	}
	if done {
		value, err = read(s.path(name))
		s.watch(Event{Step: name, Reused: true})
		return value, errors.Join(err, s.finish(name))
	}
	s.watch(Event{Step: name})
	value, err = compute()
	if errors.Is(err, run.ErrOtherRun) { // what it has begun is of other settings
		if err = s.begunAnew(name, err); err == nil {
			value, err = compute()
		}
	}
	if err != nil {
		return value, fmt.Errorf("%s: %w", name, err)
	}
	if err := write(s.path(name), value); err != nil {
		return value, err
	}
	s.watch(Event{Step: name, Finished: true})
	return value, s.finish(name)
}

// dataset is a result that is rows.
func dataset[T data.Row](s *store, name string, l data.Lineage, compute func() ([]T, error)) ([]T, error) {
	read := func(path string) ([]T, error) {
		rows, _, err := data.Read[T](path)
		return rows, err
	}
	return result(s, name, l, read, compute, func(path string, rows []T) error {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("pipeline: %w", err)
		}
		return s.sums.Put(s.dir, name, func(path string) error { return data.Write(path, rows, l) })
	})
}

// inParts is dataset for rows that are made of n items in parts of size items, each of which is stored.
func inParts[T data.Row](s *store, name string, l data.Lineage, n, size int, compute func(lo, hi int) ([]T, error)) ([]T, error) {
	return dataset(s, name, l, func() ([]T, error) {
		parts, err := run.OpenParts(s.work(name), l)
		if err != nil {
			return nil, err
		}
		return run.Rows(parts, n, size, compute, func(done int) { s.watch(Event{Step: name, Done: done, Total: n}) })
	})
}

// params is a result that is a model, with tokenizer, lineage and the files that more writes.
func (s *store) params(name string, l data.Lineage, compute func() (*model.Params, error), more ...func(dir string) error) (*model.Params, error) {
	return result(s, name, l, model.Load, compute, func(path string, p *model.Params) error {
		err := model.Save(path, p, func(tmp string) error {
			errs := []error{s.tok.SaveFolderChat(tmp, s.chat), data.WriteLineage(tmp, l)}
			for _, write := range more {
				errs = append(errs, write(tmp))
			}
			return errors.Join(errs...)
		})
		if err != nil {
			return err
		}
		return s.seal(name)
	})
}
