package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// fresh makes an empty folder for something beside the try's own.
func (t *try) fresh(name string) (string, error) {
	dir := filepath.Join(t.suite.dir, name, fmt.Sprintf("%s-%s-%d", t.fault, t.subject, t.number))
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o755)
}

func newReference(dir string, e ended) (*reference, error) {
	all, err := readTree(dir)
	if err != nil {
		return nil, err
	}
	ref := &reference{tree: all, end: e, logLines: logLines(dir)}
	err = filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			ref.size += info.Size()
		}
		return err
	})
	return ref, err
}
