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
func mapFile(file *os.File) (data []byte, unmap func() error, err error) {
	stat, err := file.Stat()
	if err != nil {
		return nil, nil, err
	}
	size := stat.Size()
	switch {
	case !stat.Mode().IsRegular():
		return nil, nil, errors.New("it is not a file")
	case size < headerBytes || size > math.MaxInt:
		return nil, nil, fmt.Errorf("it has %d bytes: not a GGUF file", size)
	}
	data, err = syscall.Mmap(int(file.Fd()), 0, int(size), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, nil, fmt.Errorf("it cannot be mapped into memory: %w", err)
	}
	return data, func() error { return syscall.Munmap(data) }, nil
}
