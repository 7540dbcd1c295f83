package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tame-rlhf/tame/pkg/data"
)

// parts is the checkpoint of a run that makes datasets part by part: the finished parts, and the lineage that says of which run.
type parts struct {
	place
	lineage data.Lineage
}

// openParts makes the folder, or goes on with that of the same run.
func (p place) openParts(lineage data.Lineage) (parts, error) {
	if err := os.MkdirAll(p.checkpoint, 0o777); err != nil {
		return parts{}, err
	}
	before, err := data.ReadLineage(p.checkpoint)
	if err != nil {
		return parts{}, err
	}
	if before.Stage == "" { // new, or killed before the first part
		return parts{p, lineage}, writeJSON(filepath.Join(p.checkpoint, "lineage.json"), lineage)
	}
	if d := differences(before, lineage); len(d) > 0 {
		return parts{}, fmt.Errorf("%s belongs to another run (%s): start with the same settings, or delete it to start anew", p.checkpoint, strings.Join(d, ", "))
	}
	return parts{p, lineage}, nil
}

func (p parts) path(k int) string {
	return filepath.Join(p.checkpoint, fmt.Sprintf("part-%05d.arrow", k))
}

// written is the number of parts that are there.
func (p parts) written() int {
	for k := 0; ; k++ {
		if there, _ := exists(p.path(k)); !there {
			return k
		}
	}
}

// part reads part k, or computes and writes it.
func (p parts) part(k int, compute func() ([]data.Sample, error)) ([]data.Sample, error) {
	rows, _, err := data.Read[data.Sample](p.path(k))
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return rows, err
	}
	if rows, err = compute(); err != nil {
		return nil, err
	}
	return rows, data.Write(p.path(k), rows, p.lineage)
}

// remember reads what was computed before, or computes and writes it.
func remember[T any](p parts, name string, compute func() (T, error)) (value T, err error) {
	path := filepath.Join(p.checkpoint, name)
	raw, err := os.ReadFile(path)
	if err == nil {
		return value, json.Unmarshal(raw, &value)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return value, err
	}
	if value, err = compute(); err != nil {
		return value, err
	}
	return value, writeJSON(path, value)
}

// writeResult puts the folder of the result in its place, all of it at once.
func (p parts) writeResult(write func(dir string) error) error {
	dir := filepath.Join(p.checkpoint, "result")
	if err := os.RemoveAll(dir); err != nil { // of a run that was killed in here
		return err
	}
	if err := os.Mkdir(dir, 0o777); err != nil {
		return err
	}
	if err := write(dir); err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(dir, "lineage.json"), p.lineage); err != nil {
		return err
	}
	if err := os.Rename(dir, p.output); err != nil {
		return err
	}
	parent, err := os.Open(filepath.Dir(p.output))
	if err != nil {
		return err
	}
	return errors.Join(parent.Sync(), parent.Close())
}
