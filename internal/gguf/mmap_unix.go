//go:build unix

package gguf

import (
	"errors"
	"fmt"
	"math"
	"os"
	"syscall"
)

// mapFile maps a file for reading.
func mapFile(path string) (data []byte, unmap func() error, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }() // the mapping stays
	stat, err := file.Stat()
	if err != nil {
		return nil, nil, err
	}
	size := stat.Size()
	switch {
	case !stat.Mode().IsRegular():
		return nil, nil, fmt.Errorf("%s is not a file", path)
	case size < headerBytes || size > math.MaxInt:
		return nil, nil, fmt.Errorf("%s has %d bytes: not a GGUF file", path, size)
	}
	data, err = syscall.Mmap(int(file.Fd()), 0, int(size), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, nil, fmt.Errorf("%s cannot be mapped into memory: %w", path, err)
	}
	return data, func() error { return syscall.Munmap(data) }, nil
}
