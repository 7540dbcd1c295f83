package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// lock keeps other processes from the same output: two runs that save into one checkpoint would spoil it. The system lets go of it when a process is
// killed; the empty file that is left then does no harm. release removes it.
func (o output) lock() (release func(), err error) {
	path := o.dir + ".lock"
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK), err == nil && !isAt(file, path): // removed by a run that ended in this moment
		err = fmt.Errorf("another process is making %s: wait for it or stop it", o.dir)
	case err != nil:
		err = fmt.Errorf("lock %s: %w", path, err)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() {
		_ = os.Remove(path)
		_ = file.Close()
	}, nil
}

// isAt says whether a path still leads to an open file.
func isAt(file *os.File, path string) bool {
	opened, err := file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(opened, there)
}
