package folder

import (
	"path/filepath"

	"github.com/tame-rlhf/tame/internal/checksum"
)

// Sums are the SHA-256 of files that were hashed while they were written, by path.
type Sums map[string]string

// Hashing is create that also hashes, so that large files need not be read again for their SHA-256.
func (create Create) Hashing(sums Sums) Create {
	return func(path string) (SyncWriter, error) {
		f, err := create(path)
		if err != nil {
			return nil, err
		}
		return &hashing{SyncWriter: f, hash: checksum.Writer{W: f}, path: path, sums: sums}, nil
	}
}

type hashing struct {
	SyncWriter
	hash checksum.Writer
	path string
	sums Sums
}

func (w *hashing) Write(p []byte) (int, error) { return w.hash.Write(p) }

func (w *hashing) Close() error {
	w.sums[w.path] = w.hash.Sum()
	return w.SyncWriter.Close()
}

// write writes the SHA-256 of all files of a folder into it.
func (s Sums) write(dir string) error {
	all := checksum.Sums{}
	for path, sum := range s {
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		all[filepath.ToSlash(name)] = sum
	}
	if err := all.AddTree(dir); err != nil {
		return err
	}
	return all.Write(dir)
}
