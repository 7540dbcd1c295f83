package checksum

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// ErrDamaged is wrapped by a DamageError.
var ErrDamaged = errors.New("damaged")

// DamageError says which files of a folder are not as they were written.
type DamageError struct {
	Dir   string
	Files []string // each with what is wrong with it
}

// Error names the files.
func (e *DamageError) Error() string {
	return fmt.Sprintf("%s was damaged or changed after it was written: %s", e.Dir, strings.Join(e.Files, ", "))
}

// Unwrap gives ErrDamaged.
func (e *DamageError) Unwrap() error { return ErrDamaged }

// Hasher hashes files, each once as long as it does not change. The zero value is ready; it is for one goroutine.
type Hasher struct {
	// OnProgress, if not nil, is told how much of a file is hashed.
	OnProgress func(path string, done, size int64)

	known map[string]hashed // by path
}

type hashed struct {
	info fs.FileInfo
	sum  string
}

// chunk is read between two looks at the context.
const chunk = 1 << 20

// File is the SHA-256 of a file, as hexadecimal digits.
func (h *Hasher) File(ctx context.Context, file string) (string, error) {
	file, err := filepath.Abs(file)
	if err != nil {
		return "", err
	}
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if k, ok := h.known[file]; ok && os.SameFile(k.info, info) && k.info.Size() == info.Size() && k.info.ModTime().Equal(info.ModTime()) {
		return k.sum, nil
	}
	w := &Writer{W: io.Discard}
	buf := make([]byte, min(chunk, info.Size()+512))
	for done := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		n, err := f.Read(buf)
		_, _ = w.Write(buf[:n])
		if done += int64(n); h.OnProgress != nil && n > 0 {
			h.OnProgress(file, done, info.Size())
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return "", err
		}
	}
	if h.known == nil {
		h.known = map[string]hashed{}
	}
	h.known[file] = hashed{info, w.Sum()}
	return w.Sum(), nil
}

// Report is what Check has looked at, by paths below the folder.
type Report struct {
	Files []string // as they were written
	Extra []string // not recorded, but for hidden ones
}

// Check compares a folder with its SHA256SUMS, and the folders within with theirs. A file that differs or is missing is a
// *DamageError, so is an unrecorded one that Reads says would be read. Without a SHA256SUMS the error wraps fs.ErrNotExist.
func (h *Hasher) Check(ctx context.Context, dir string, reads func(name string) bool) (Report, error) {
	var r Report
	sums, err := Read(dir)
	if err != nil {
		return r, err
	}
	damage := &DamageError{Dir: dir}
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		wrong, err := h.compare(ctx, dir, name, sums[name])
		if err != nil {
			return r, err
		}
		if wrong != "" {
			damage.Files = append(damage.Files, wrong)
			continue
		}
		if path.Base(name) != Name {
			r.Files = append(r.Files, name)
			continue
		}
		if err := h.checkWithin(ctx, dir, path.Dir(name), reads, &r, damage); err != nil {
			return r, err
		}
	}
	err = walk(dir, func(name string) error {
		switch {
		case sums[name] != "" || strings.HasPrefix(name, ".") || strings.Contains(name, "/."):
		case reads(name):
			damage.Files = append(damage.Files, name+" is not in "+Name)
		default:
			r.Extra = append(r.Extra, name)
		}
		return nil
	})
	if err == nil && len(damage.Files) > 0 {
		err = damage
	}
	return r, err
}

// compare says what is wrong with a recorded file, "" for nothing.
func (h *Hasher) compare(ctx context.Context, dir, name, want string) (wrong string, err error) {
	got, err := h.File(ctx, filepath.Join(dir, filepath.FromSlash(name)))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return name + " is missing", nil
	case err != nil:
		return "", err
	case got != want:
		return name + " has other bytes", nil
	}
	return "", nil
}

// checkWithin checks a folder within the one that is checked.
func (h *Hasher) checkWithin(ctx context.Context, dir, sub string, reads func(string) bool, r *Report, damage *DamageError) error {
	within, err := h.Check(ctx, filepath.Join(dir, filepath.FromSlash(sub)), func(name string) bool { return reads(path.Join(sub, name)) })
	for _, name := range within.Files {
		r.Files = append(r.Files, path.Join(sub, name))
	}
	for _, name := range within.Extra {
		r.Extra = append(r.Extra, path.Join(sub, name))
	}
	var d *DamageError
	if errors.As(err, &d) {
		for _, wrong := range d.Files {
			damage.Files = append(damage.Files, path.Join(sub, wrong))
		}
		return nil
	}
	return err
}

// All is for folders of which every file is read.
func All(string) bool { return true }

// Weights is for folders of models: what a reader of weights would find by itself. People add other files, such as a
// README or a tokenizer.
func Weights(name string) bool {
	base := path.Base(name)
	return strings.HasSuffix(base, ".safetensors") || strings.HasSuffix(base, ".safetensors.index.json") || base == "config.json"
}
