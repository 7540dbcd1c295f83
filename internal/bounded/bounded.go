// Package bounded keeps what comes from files within limits: the bytes of files that are small by
// their nature, the length of lines, and the number of errors that are told about one file.
package bounded

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// ReadFile reads a regular file of at most that many bytes. An error names the file and the limit.
// It wraps fs.ErrNotExist if there is no such file.
func ReadFile(path string, most int64) ([]byte, error) {
	file, err := OpenRegular(path)
	if err != nil {
		return nil, err
	}
	return read(file, most)
}

// ReadAny is ReadFile for what may be a pipe too, as shells make them of the output of a command.
func ReadAny(path string, most int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return read(file, most)
}

func read(file *os.File, most int64) (_ []byte, err error) {
	defer func() { err = errors.Join(err, file.Close()) }()
	var buf bytes.Buffer
	if info, err := file.Stat(); err == nil {
		buf.Grow(int(min(info.Size(), most)) + bytes.MinRead) // not twice as much, by growing
	}
	if n, err := buf.ReadFrom(io.LimitReader(file, most+1)); err != nil {
		return nil, err
	} else if n > most {
		return nil, fmt.Errorf("%s has more than %d bytes, which is the limit for a file of this kind", file.Name(), most)
	}
	return buf.Bytes(), nil
}

// OpenRegular opens a file, or the file that a link leads to. What is no file, a pipe say, would be
// waited for without end.
func OpenRegular(path string) (*os.File, error) {
	stat, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !stat.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file but %v", path, stat.Mode().Type())
	}
	return os.Open(path)
}

// mostErrors is how many errors about one file are told.
const mostErrors = 10

// Errors collects errors about a file that may have very many. Its zero value is empty.
type Errors struct {
	first []error
	n     int
}

// Add adds an error. The text of one that will not be told is not computed.
func (e *Errors) Add(text func() error) {
	if e.n++; e.n <= mostErrors {
		e.first = append(e.first, text())
	}
}

// Len is the number of errors.
func (e *Errors) Len() int { return e.n }

// Err joins the first errors and the number of the others. It is nil if there are none.
func (e *Errors) Err() error {
	if more := e.n - len(e.first); more > 0 {
		return errors.Join(append(e.first[:mostErrors:mostErrors], fmt.Errorf("and %d more such errors", more))...)
	}
	return errors.Join(e.first...)
}

// Few joins the first errors of a list that may be long, and the number of the others.
func Few(errs []error) error {
	var e Errors
	for _, err := range errs {
		e.Add(func() error { return err })
	}
	return e.Err()
}
