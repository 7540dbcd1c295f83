package output

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

func (p Place) lockPath() string { return filepath.Clean(p.Path) + ".lock" }

// lock keeps other processes from the same output. The system releases it when a process is killed;
// the file that is left then does no harm.
func (p Place) lock() (*os.File, error) {
	path := p.lockPath()
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be made: %w", p.Path, err)
	}
	err = Flock(file)
	if errors.Is(err, ErrLocked) || err == nil && !isAt(file, path) { // removed by a process that ended in this moment
		err = fmt.Errorf("another process is making %s: wait for it or stop it", p.Path)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// release removes the lock's file first: a process that has opened it notices that it is gone.
func release(lock *os.File) {
	_ = os.Remove(lock.Name())
	_ = lock.Close()
}

// ErrLocked says that another process has the lock.
var ErrLocked = errors.New("locked by another process")

// Flock locks an open file until it is closed, or returns ErrLocked.
func Flock(file *os.File) error {
	err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrLocked
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", file.Name(), err)
	}
	return nil
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

// writeJournal notes in the first lock's file which outputs get their names now.
func (s *Set) writeJournal() error {
	var places []Place
	for _, i := range s.items {
		path, err := filepath.Abs(i.Path)
		if err != nil {
			return err
		}
		i.Path = path
		places = append(places, i.Place)
	}
	raw, err := json.Marshal(places)
	if err != nil {
		return err
	}
	first := s.items[0].lock
	if _, err := first.WriteAt(raw, 0); err != nil {
		return err
	}
	return first.Sync()
}

// recover finishes a Commit that was killed, before or after all outputs had their names. finished says that it gave one its name.
func (p Place) recover() (finished bool, err error) {
	raw, err := os.ReadFile(p.lockPath())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if len(raw) == 0 {
		p.tidy()
		return false, nil
	}
	lock, err := p.lock()
	if err != nil {
		return false, err
	}
	defer release(lock)
	var places []Place
	if json.Unmarshal(raw, &places) != nil {
		return false, nil // killed while it was written, before the first name
	}
	for _, q := range places {
		if _, err := os.Lstat(q.staged()); err != nil {
			continue // has its name already
		}
		if err := q.publish(); err != nil {
			return finished, err
		}
		finished = true
	}
	for _, q := range places {
		q.removeStage()
		q.removeLock() // but for the one that is held, which is released now
	}
	return finished, nil
}

// tidy removes what a process has left that was killed after its output had its name. While another one has the lock, it does nothing.
func (p Place) tidy() {
	if _, err := os.Lstat(p.Path); err != nil || p.Old {
		return
	}
	if p.removeLock() {
		p.removeStage()
	}
}

// removeLock removes a lock's file that is there and that nobody has.
func (p Place) removeLock() bool {
	if _, err := os.Lstat(p.lockPath()); err != nil {
		return false
	}
	lock, err := p.lock()
	if err != nil {
		return false
	}
	release(lock)
	return true
}

// removeStage removes the folder in which an output was written that has its name now. Anything else in it stays.
func (p Place) removeStage() {
	staged, err := os.Lstat(p.staged())
	there, errThere := os.Lstat(p.Path)
	if err == nil && errThere == nil && os.SameFile(staged, there) {
		_ = os.Remove(p.staged()) // its other name
	}
	_ = os.Remove(p.stage()) // fails if it is not empty
}
