package data

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/tame-rlhf/tame/internal/checksum"
)

// Hasher names contents by their SHA-256. It hashes no file twice as long as the file does not change: use one for all that a program
// reads. The zero value is ready; it is for one goroutine.
type Hasher struct {
	// OnProgress, if not nil, is told how many bytes of a file are hashed.
	OnProgress func(path string, done, size int64)

	files checksum.Hasher
}

// Fingerprint names the content of a file, or of a folder with all that is in it (names and contents, not times and permissions):
// "sha256:" and 64 hexadecimal digits. A folder with a SHA256SUMS, which model.Save writes, is compared with it: files that differ are
// named in an error. SHA256SUMS itself does not count for the name.
func (h *Hasher) Fingerprint(ctx context.Context, path string) (string, error) {
	h.files.OnProgress = h.OnProgress
	info, err := os.Stat(path)
	var print string
	if err == nil && info.IsDir() {
		print, err = h.folder(ctx, path)
	} else if err == nil {
		print, err = h.files.File(ctx, path)
	}
	if err != nil {
		return "", fmt.Errorf("data: fingerprint: %w", err)
	}
	return FingerprintPrefix + print, nil
}

// folder hashes the names and the SHA-256 of its files, in the order of their names, which is that of WalkDir.
func (h *Hasher) folder(ctx context.Context, dir string) (string, error) {
	all := sha256.New()
	err := filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == checksum.Name {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		sum, err := h.files.File(ctx, file)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(all, "%s %q\n", sum, filepath.ToSlash(name))
		return err
	})
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(all.Sum(nil)), h.check(ctx, dir)
}

// check compares a folder with its SHA256SUMS, if it has one. What is in it was just hashed.
func (h *Hasher) check(ctx context.Context, dir string) error {
	if _, err := os.Lstat(filepath.Join(dir, checksum.Name)); err != nil {
		return nil // somebody else's folder
	}
	if _, err := h.files.Check(ctx, dir, checksum.Weights); err != nil {
		return fmt.Errorf("%w: put back a copy or make it again; if you changed it on purpose, delete %s", err, filepath.Join(dir, checksum.Name))
	}
	return nil
}

// Add notes a dataset or model folder as a further input of a lineage, with its history.
func (h *Hasher) Add(ctx context.Context, l *Lineage, path string) error {
	fingerprint, err := h.Fingerprint(ctx, path)
	if err != nil {
		return err
	}
	history, err := ReadLineage(path)
	if err != nil {
		return err
	}
	l.Inputs = append(l.Inputs, Input{Name: filepath.Base(path), Fingerprint: fingerprint})
	ancestors := history.Ancestors
	history.Ancestors = nil
	if history.Stage != "" {
		ancestors = append([]Ancestor{{fingerprint, history}}, ancestors...)
	}
	for _, a := range ancestors {
		if !slices.ContainsFunc(l.Ancestors, func(b Ancestor) bool { return a.Fingerprint == b.Fingerprint }) {
			l.Ancestors = append(l.Ancestors, a)
		}
	}
	return nil
}

// Add is Hasher.Add of one path.
func (l *Lineage) Add(ctx context.Context, path string) error { return new(Hasher).Add(ctx, l, path) }

// Fingerprint is Hasher.Fingerprint of one path.
func Fingerprint(ctx context.Context, path string) (string, error) {
	return new(Hasher).Fingerprint(ctx, path)
}

// FingerprintPrefix is how fingerprints begin; the rest are the hexadecimal digits of a SHA-256.
const FingerprintPrefix = "sha256:"

// FingerprintOf is the fingerprint of what was written into a SHA-256.
func FingerprintOf(h hash.Hash) string { return FingerprintPrefix + hex.EncodeToString(h.Sum(nil)) }
