//go:build !unix

package gguf

import (
	"io"
	"os"
)

// mapFile reads a file whole, where files cannot be mapped in a simple way.
func mapFile(file *os.File) (data []byte, unmap func() error, err error) {
	data, err = io.ReadAll(file)
	return data, func() error { return nil }, err
}
