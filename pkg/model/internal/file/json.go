package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/tame-rlhf/tame/internal/bounded"
	"github.com/tame-rlhf/tame/internal/jsontext"
)

// Object gives the fields of a JSON object. Of two fields of one name, some readers take the first and some the last, so both are
// refused; and names are not compared without regard to case, as encoding/json does.
func Object(raw []byte) (map[string]json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	fields := make(map[string]json.RawMessage)
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, notEnded(err)
		}
		name := key.(string) // keys of objects are strings
		if _, dup := fields[name]; dup {
			return nil, fmt.Errorf("%q is there twice", Short(name))
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, fmt.Errorf("%q: %w", Short(name), jsontext.Explain(err))
		}
		fields[name] = value
	}
	if _, err := dec.Token(); err != nil {
		return nil, notEnded(err)
	}
	if len(bytes.TrimSpace(raw[dec.InputOffset():])) != 0 {
		return nil, errors.New("goes on after its JSON object")
	}
	return fields, nil
}

// notEnded makes the end of the text an error.
func notEnded(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return jsontext.Explain(err)
}

// IsNull says whether a field is absent or null.
func IsNull(raw json.RawMessage) bool { return len(raw) == 0 || bytes.Equal(raw, []byte("null")) }

// Short cuts a text of unknown length for an error.
func Short(s string) string {
	const most = 100
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}

// Longest JSON files that are read. The index of the largest Llama 2 has 50 kB.
const (
	MaxConfigBytes = 1 << 20
	MaxIndexBytes  = 16 << 20
)

// Parse reads a file of at most that many bytes and parses it. An error names the file.
func Parse[T any](path string, most int64, parse func(raw []byte) (T, error)) (v T, err error) {
	raw, err := bounded.ReadFile(path, most)
	if err != nil {
		return v, err
	}
	if v, err = parse(raw); err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return v, err
}

// OpenAll opens files of a folder; after an error none is open.
func OpenAll[F io.Closer](dir string, names []string, open func(path string) (F, error)) (files []F, err error) {
	for _, name := range names {
		f, err := open(filepath.Join(dir, name))
		if err != nil {
			return nil, errors.Join(err, Close(files))
		}
		files = append(files, f)
	}
	return files, nil
}

// Close closes several files.
func Close[F io.Closer](files []F) error {
	var errs []error
	for _, f := range files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
