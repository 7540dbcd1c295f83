package yamlconf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"

	"github.com/tame-rlhf/tame/internal/each"
)

// inputs calls visit for every file or folder that a key tagged input names, in the order of the keys. Unset keys are empty.
func inputs(root reflect.Value, visit func(key, path string)) {
	leaves(root, nil, "", func(key string, f field) {
		if list, ok := f.value.Interface().([]string); f.input && ok {
			for i, path := range list {
				visit(fmt.Sprintf("%s[%d]", key, i), path)
			}
		} else if f.input {
			visit(key, f.value.String())
		}
	})
}

// Inputs are the values of the keys tagged input, in the order of the keys.
func Inputs(cfg any) (paths []string) {
	inputs(reflect.ValueOf(cfg).Elem(), func(_, path string) { paths = append(paths, path) })
	return paths
}

// MissingInputs names all inputs that are not there, by their keys, and for each the name beside it that may have been meant.
func (s *Source) MissingInputs() error {
	var errs []error
	inputs(s.root, func(key, path string) {
		_, err := os.Stat(path)
		if path == "" || err == nil {
			return
		}
		text := fmt.Sprintf("%s%s is %q: ", s.place(key), key, path)
		if reason := (*fs.PathError)(nil); !errors.Is(err, fs.ErrNotExist) && errors.As(err, &reason) {
			text += reason.Err.Error()
		} else if text += "there is no such file or folder"; near(path) != "" {
			text += ", did you mean " + near(path) + "?"
		}
		errs = append(errs, &explained{text: text, err: err})
	})
	return errors.Join(errs...)
}

// near is a path that is there and differs from this one in a few letters of its last name; else empty.
func near(path string) string {
	dir, name := filepath.Split(path)
	entries, err := os.ReadDir(filepath.Clean(dir))
	if err != nil {
		return ""
	}
	found := Nearest(name, each.Of(entries, os.DirEntry.Name))
	if found == "" {
		return ""
	}
	return dir + found
}
