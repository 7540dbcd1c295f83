package model

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Save writes the weights as a folder that any Llama tool reads: config.json and model.safetensors under Hugging Face names. float64
// weights are rounded to float32. extras, if not nil, writes further files such as a tokenizer into the folder whose path it gets.
//
// The folder is complete or not there: everything is written into a folder beside it and synced to the disk, then takes the place of dir
// by renaming, so that nothing of a model that was there before is left. On any error, a full disk too, the old folder stays. A folder with
// files but without config.json is not replaced. At most one Save of a folder may run at a time.
func Save(dir string, p *Params, extras func(tmpdir string) error) error {
	return SaveAs(dir, p, DefaultSaveConfig(), extras)
}

// SaveAs is Save with numbers of another type, or in several files.
func SaveAs(dir string, p *Params, cfg SaveConfig, extras func(tmpdir string) error) error {
	return newSaver(cfg).save(dir, p, extras)
}

// saver writes checkpoints; its files can be replaced in tests.
type saver struct {
	cfg    SaveConfig
	create func(path string) (syncWriter, error)
}

func newSaver(cfg SaveConfig) saver {
	return saver{cfg, func(path string) (syncWriter, error) { return os.Create(path) }}
}

// syncWriter is what is needed of an *os.File.
type syncWriter interface {
	io.WriteCloser
	Sync() error
}

func (s saver) save(dir string, p *Params, extras func(tmpdir string) error) (err error) {
	if err := errors.Join(p.validate(), s.cfg.Validate()); err != nil {
		return err
	}
	if dir, err = replaceable(dir); err != nil {
		return err
	}
	return saveDir(dir, func(tmp string) error { return s.writeModel(tmp, p) }, extras)
}

// saveDir writes a folder, which takes the place of the one that is there, at once and whole, or not at all.
func saveDir(dir string, write, extras func(tmpdir string) error) (err error) {
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o777); err != nil {
		return fmt.Errorf("model: save: %w", err)
	}
	tmp := tmpDir(dir)
	if err := os.RemoveAll(tmp); err != nil { // left by a process that was killed
		return fmt.Errorf("model: save: %w", err)
	}
	if err := os.Mkdir(tmp, 0o777); err != nil {
		return fmt.Errorf("model: save: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("model: save %s: %w", dir, err), os.RemoveAll(tmp))
		}
	}()
	if err := write(tmp); err != nil {
		return err
	}
	if extras != nil {
		if err := extras(tmp); err != nil {
			return err
		}
	}
	if err := syncTree(tmp); err != nil {
		return err
	}
	return replaceDir(dir, tmp)
}

// tmpDir is where Save writes the new folder.
func tmpDir(dir string) string {
	return filepath.Join(filepath.Dir(dir), "."+filepath.Base(dir)+".tmp")
}

// Remove deletes a folder that Save wrote, with all that an interrupted Save has left beside it. If it is interrupted itself, either the folder
// is still whole or there is nothing that Load would take for a model.
func Remove(dir string) error {
	dir, err := filepath.Abs(dir)
	if err == nil {
		// What was put aside goes first: without its successor, Load would take it back.
		err = errors.Join(discard(dir, asideDir(dir)), os.RemoveAll(tmpDir(dir)))
	}
	if err == nil {
		err = discard(dir, dir)
	}
	if err != nil {
		return fmt.Errorf("model: remove: %w", err)
	}
	return nil
}

// discard deletes a folder beside dir, or dir itself. It is gone at once under its name, so that nobody finds a part of it.
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

// replaceable gives the real path of a folder that Save may replace: a model's, an empty one, or one that is not there yet.
func replaceable(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("model: save: %w", err)
	}
	if err := recoverDir(dir); err != nil {
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
		return "", fmt.Errorf("model: save: %w", err)
	}
	isModel := slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == configFile })
	if len(entries) > 0 && !isModel {
		return "", fmt.Errorf("model: save: %s holds other files and no %s: it is not replaced", dir, configFile)
	}
	return dir, nil
}

func (s saver) writeFile(path string, write func(io.Writer) error) (err error) {
	f, err := s.create(path)
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
	w := bufio.NewWriterSize(f, ioChunk)
	if err := write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Sync()
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

// replaceDir puts the folder tmp in the place of dir. A crash in between leaves the old folder aside, where recoverDir finds it.
func replaceDir(dir, tmp string) error {
	aside := asideDir(dir)
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
