//go:build !unix

package gguf

import "os"

// mapFile reads a file whole, where files cannot be mapped in a simple way.
func mapFile(path string) (data []byte, unmap func() error, err error) {
	data, err = os.ReadFile(path)
	return data, func() error { return nil }, err
}
