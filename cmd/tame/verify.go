package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/spf13/cobra"

	"github.com/tame-rlhf/tame/internal/checksum"
	"github.com/tame-rlhf/tame/internal/columnar"
	"github.com/tame-rlhf/tame/internal/console"
	"github.com/tame-rlhf/tame/internal/printable"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
)

func verifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify PATH ...",
		Short: "Check that models, datasets and checkpoints are as they were written",
		Long: `Folders that tame writes, of models, datasets, whole iterations, and the checkpoints of runs, hold the SHA-256 of their files in SHA256SUMS:
each file is compared with it, so that a single flipped bit is found. (` + "`sha256sum -c SHA256SUMS`" + ` does that too.) A file in such a folder can be
given by itself.

Where no SHA-256 is recorded, less can be found, and the output says so. A dataset is read to its end, which compares the checksums of
Zstandard and of Parquet; Arrow without compression or with lz4 has none. Of a model names, shapes and types are compared with its settings.
If both an input and what was made from it are given, the input is compared with the SHA-256 that was noted when it was read.

The exit status is 1 if anything is damaged.`,
		Example: "  tame verify chat reward base.gguf pairs.arrow ppo.checkpoint",
		Args:    cobra.MinimumNArgs(1),
		GroupID: groupTools,
		RunE: func(cmd *cobra.Command, args []string) error {
			v := &verifier{}
			var errs []error
			for _, path := range args {
				err := v.show(cmd, path, func() error { return v.verify(cmd.Context(), path) })
				if cmd.Context().Err() != nil {
					return err
				}
				errs = append(errs, err)
			}
			for _, path := range args {
				errs = append(errs, v.show(cmd, path, func() error { return v.compareInputs(cmd.Context(), path, args) }))
			}
			return errors.Join(errs...)
		},
	}
}

// verifier checks paths and notes what it has compared.
type verifier struct {
	said   bytes.Buffer
	files  checksum.Hasher
	hasher data.Hasher
}

// show does something with a path, shows that it does, and then tells what was found.
func (v *verifier) show(cmd *cobra.Command, path string, do func() error) error {
	c := console.New(cmd.ErrOrStderr())
	c.Phase("looking at %s", path)
	v.files.OnProgress = hashProgress(c)
	v.hasher.OnProgress = v.files.OnProgress
	err := do()
	c.Close()
	_, failed := v.said.WriteTo(cmd.OutOrStdout())
	return errors.Join(err, failed)
}

func (v *verifier) tell(path, format string, args ...any) {
	fmt.Fprintf(&v.said, "%s: %s\n", path, printable.Text(fmt.Sprintf(format, args...)))
}

func (v *verifier) verify(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return v.file(ctx, path)
	}
	recorded, err := recordedFolders(path)
	if err != nil {
		return err
	}
	if len(recorded) == 0 {
		return v.unrecorded(path)
	}
	var errs []error
	for _, dir := range recorded {
		errs = append(errs, v.folder(ctx, dir))
	}
	return errors.Join(errs...)
}

// recordedFolders are the folder itself or the highest ones in it that have a SHA256SUMS, and what is in their hidden folders, where
// runs keep themselves.
func recordedFolders(root string) (dirs []string, err error) {
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		if _, err := os.Lstat(filepath.Join(path, checksum.Name)); err != nil {
			return nil
		}
		within := slices.ContainsFunc(dirs, func(dir string) bool {
			rel, err := filepath.Rel(dir, path)
			return err == nil && rel != "." && !strings.HasPrefix(rel, ".")
		})
		if !within {
			dirs = append(dirs, path)
		}
		return nil
	})
	return dirs, err
}

// folder compares a folder with its SHA256SUMS.
func (v *verifier) folder(ctx context.Context, dir string) error {
	reads := checksum.Weights
	if there, _ := exists(filepath.Join(dir, "trainer")); there {
		reads = checksum.All
	}
	r, err := v.files.Check(ctx, dir, reads)
	if err != nil {
		return err
	}
	v.tell(dir, "%d files are as they were written", len(r.Files))
	if len(r.Extra) > 0 {
		v.tell(dir, "not recorded, so not compared: %s", strings.Join(r.Extra, ", "))
	}
	return nil
}

// file compares a file with the SHA256SUMS of its folder, or else looks at what it is.
func (v *verifier) file(ctx context.Context, path string) error {
	sums, err := checksum.Read(filepath.Dir(path))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if want := sums[filepath.Base(path)]; want != "" {
		got, err := v.files.File(ctx, path)
		if err == nil && got != want {
			err = &checksum.DamageError{Dir: path, Files: []string{"other bytes than its " + checksum.Name + " says"}}
		}
		if err == nil {
			v.tell(path, "as it was written")
		}
		return err
	}
	if is, err := columnar.Is(path); err != nil || !is {
		return errors.Join(err, v.unrecorded(path))
	}
	rows, err := readAllRows(ctx, path)
	if err == nil {
		v.tell(path, "%d rows can be read; no SHA-256 is recorded", rows)
	}
	return err
}

// readAllRows reads a dataset of any form to its end.
func readAllRows(ctx context.Context, path string) (rows int64, err error) {
	f, err := columnar.Open(path, memory.DefaultAllocator)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for next := f.Records(); ; {
		err := columnar.Guard(func() error {
			rec, err := next()
			if err == nil {
				rows += rec.NumRows()
				rec.Release()
			}
			return err
		})
		if err == io.EOF {
			return rows, nil
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return rows, fmt.Errorf("%s: behind row %d: %w", path, rows-1, err)
		}
	}
}

// unrecorded looks at the form of a model that nothing is recorded of.
func (v *verifier) unrecorded(path string) error {
	cfg, err := model.Inspect(path)
	if err != nil {
		return err
	}
	v.tell(path, "names, shapes and types fit a model of %d weights; no SHA-256 is recorded, so flipped bits in numbers are not seen", cfg.NumParams())
	return nil
}

// compareInputs compares a path with the SHA-256 that the others, if they were made from it, have noted.
func (v *verifier) compareInputs(ctx context.Context, path string, others []string) error {
	var errs []error
	for _, other := range others {
		l, err := data.ReadLineage(other)
		if err != nil {
			continue // told already
		}
		inputs := l.Inputs
		for _, a := range l.Ancestors {
			inputs = append(inputs, a.Lineage.Inputs...)
		}
		i := slices.IndexFunc(inputs, func(in data.Input) bool { return in.Name == filepath.Base(path) && in.Fingerprint != "" })
		if i < 0 || other == path {
			continue
		}
		got, err := v.hasher.Fingerprint(ctx, path)
		switch {
		case errors.Is(err, checksum.ErrDamaged): // told already
		case err != nil:
			errs = append(errs, err)
		case slices.ContainsFunc(inputs, func(in data.Input) bool { return in.Name == filepath.Base(path) && in.Fingerprint == got }):
			v.tell(path, "what %s was made from", other)
		default:
			errs = append(errs, fmt.Errorf("%s is not the %s that %s was made from, which had %s", path, filepath.Base(path), other, inputs[i].Fingerprint))
		}
	}
	return errors.Join(errs...)
}
