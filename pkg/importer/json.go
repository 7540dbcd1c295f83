package importer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
)

// rawRow is a row before it is decoded: a JSON value, or a document of plain text. raw is valid until the next row.
type rawRow struct {
	line    int
	element int // of a JSON array, from 1; 0 in other files
	raw     []byte
	err     error // why there is no raw: the row is refused
}

// jsonRows goes through the elements of a JSON array, or else through the lines of a file.
func jsonRows(path string) iter.Seq2[rawRow, error] {
	return opened(path, nil, func(_ origin, r *bufio.Reader) iter.Seq2[rawRow, error] { return jsonValues(path, r) })
}

// opened opens a text file for as long as its rows are gone through.
func opened(path string, count *int64, rows func(from origin, r *bufio.Reader) iter.Seq2[rawRow, error]) iter.Seq2[rawRow, error] {
	return func(yield func(rawRow, error) bool) {
		r, from, done, err := openText(path, nil, count)
		if err != nil {
			yield(rawRow{}, err)
			return
		}
		defer done()
		rows(from, r)(yield)
	}
}

func jsonValues(path string, r *bufio.Reader) iter.Seq2[rawRow, error] {
	return func(yield func(rawRow, error) bool) {
		first, err := firstByte(r)
		switch {
		case err == io.EOF:
			return
		case err != nil:
			yield(rawRow{}, fmt.Errorf("importer: %s: %w", path, err))
		case first == '[':
			a := &arrayScanner{r: r, line: 1}
			if err := a.rows(yield); err != nil {
				yield(rawRow{}, fmt.Errorf("importer: %w", RowError{path, a.line, 0, fmt.Errorf("the JSON array is broken: %w", err)}))
			}
		default:
			lineValues(path, r, yield)
		}
	}
}

func lineValues(path string, r *bufio.Reader, yield func(rawRow, error) bool) {
	var whole []byte
	for line := 1; ; line++ {
		raw, err := readLine(r, &whole)
		row := rawRow{line: line, raw: bytes.TrimSpace(bytes.TrimPrefix(raw, byteOrderMark))} // files put together have some inside
		if err == errLongRow {
			row, err = rawRow{line: line, err: err}, nil
		}
		if (len(row.raw) > 0 || row.err != nil) && (err == nil || err == io.EOF) {
			if !yield(ready(row), nil) {
				return
			}
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			yield(rawRow{}, fmt.Errorf("importer: %w", RowError{path, line, 0, err}))
			return
		}
	}
}

// readLine gives the next line, in the reader's memory or in whole if it is longer than that. The rest of a line that is
// too long is skipped.
func readLine(r *bufio.Reader, whole *[]byte) ([]byte, error) {
	part, err := r.ReadSlice('\n')
	if err != bufio.ErrBufferFull {
		return part, err
	}
	*whole = (*whole)[:0]
	for long := false; ; {
		if long = long || len(*whole)+len(part) > maxRow; !long {
			*whole = append(*whole, part...)
		}
		if err != bufio.ErrBufferFull {
			if long && (err == nil || err == io.EOF) {
				err = errLongRow
			}
			return *whole, err
		}
		part, err = r.ReadSlice('\n')
	}
}

// arrayScanner cuts a JSON array into its elements by their brackets and quotes; what is wrong inside of one is found
// when it is decoded. Where the array itself is broken there is no telling where the next row would begin.
type arrayScanner struct {
	r    *bufio.Reader
	line int
	raw  []byte
}

func (a *arrayScanner) rows(yield func(rawRow, error) bool) error {
	if _, err := a.next(); err != nil { // the bracket that firstByte saw
		return err
	}
	for n := 0; ; n++ {
		c, err := a.next()
		if err != nil {
			return err
		}
		if c == ']' {
			break
		}
		if n > 0 {
			if c != ',' {
				return fmt.Errorf("%q where a comma belongs", c)
			}
			if c, err = a.next(); err != nil {
				return err
			}
			if c == ']' {
				return errors.New("a comma before the closing bracket: remove it")
			}
		}
		row := rawRow{line: a.line, element: n + 1}
		if err := a.element(c); err == errLongRow {
			row.err = err
		} else if err != nil {
			return err
		}
		row.raw = a.raw
		if !yield(ready(row), nil) {
			return nil
		}
	}
	line := a.line
	if _, err := a.next(); err != io.ErrUnexpectedEOF {
		a.line = line
		if err == nil {
			err = errors.New("something follows after it")
		}
		return err
	}
	return nil
}

// next reads the next byte that is no white space.
func (a *arrayScanner) next() (byte, error) {
	for {
		c, err := a.readByte()
		if err != nil || c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c, err
		}
	}
}

func (a *arrayScanner) readByte() (byte, error) {
	c, err := a.r.ReadByte()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if c == '\n' && err == nil {
		a.line++
	}
	return c, err
}

// element reads the element that begins with c into raw.
func (a *arrayScanner) element(c byte) (err error) {
	a.raw = a.raw[:0]
	depth, quoted, long := 0, false, false
	for {
		if long = long || len(a.raw) >= maxRow; !long {
			a.raw = append(a.raw, c)
		}
		switch {
		case quoted && c == '\\':
			if c, err = a.readByte(); err != nil {
				return err
			}
			if !long {
				a.raw = append(a.raw, c)
			}
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
		if depth <= 0 && !quoted {
			end, err := a.r.Peek(1)
			if err != nil && err != io.EOF {
				return err
			}
			if c == '}' || c == ']' || c == '"' || len(end) == 0 || bytes.IndexByte([]byte(",] \t\r\n"), end[0]) >= 0 {
				break
			}
		}
		if c, err = a.readByte(); err != nil {
			return err
		}
	}
	if long {
		return errLongRow
	}
	return nil
}
