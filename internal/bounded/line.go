package bounded

import (
	"bufio"
	"errors"
	"fmt"
)

// LineError says that a line is longer than a limit. It was read to its end.
type LineError struct{ Most int }

// Error implements error.
func (e *LineError) Error() string {
	return fmt.Sprintf("the line has more than %d bytes, which is the limit", e.Most)
}

// ReadLine reads a line of at most that many bytes with its end. A longer one is a *LineError, and the
// next call reads the line after it. Like bufio's ReadBytes it returns the last line with io.EOF.
func ReadLine(r *bufio.Reader, most int) ([]byte, error) {
	var line []byte
	n := 0
	for {
		part, err := r.ReadSlice('\n')
		if n += len(part); n <= most {
			line = append(line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case n > most && err == nil:
			return nil, &LineError{most}
		case n > most:
			return nil, errors.Join(&LineError{most}, err)
		}
		return line, err
	}
}
