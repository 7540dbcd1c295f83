package importer

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"unicode/utf8"
)

// maxColumns is how many columns a CSV file may have.
const maxColumns = 10000

// csvRows goes through the records of a CSV file with a header, each as a JSON object of texts.
func csvRows(from origin, r *bufio.Reader) iter.Seq2[rawRow, error] {
	return func(yield func(rawRow, error) bool) {
		c := csvReader{r: r, comma: ',', line: 1}
		if strings.HasSuffix(baseName(from.path), ".tsv") {
			c.comma = '\t'
		}
		names, err := c.header(from)
		if err == io.EOF {
			return
		}
		if err != nil {
			yield(rawRow{}, fmt.Errorf("importer: %s: the header: %w", from.path, err))
			return
		}
		var raw []byte
		for last := 1; ; {
			line, err := c.read()
			switch {
			case err == io.EOF:
				return
			case errors.Is(err, errLongRow):
				yield(rawRow{}, fmt.Errorf("importer: %s: the row behind line %d is %w: is a quote not closed?", from.path, last, err))
				return
			case err != nil && err != errOpenQuote:
				yield(rawRow{}, fmt.Errorf("importer: %s: %w", from.path, err))
				return
			case err == nil && len(c.ends) != len(names):
				err = fmt.Errorf("it has %d fields, the header %d", len(c.ends), len(names))
			}
			raw = raw[:0]
			for i := range names {
				if err == nil {
					raw = append(raw, "{,"[min(i, 1)])
					raw = append(append(raw, names[i]...), ':')
					raw = appendQuoted(raw, c.field(i))
				}
			}
			last = line
			if !yield(ready(rawRow{line: line, raw: append(raw, '}'), err: err}), nil) {
				return
			}
		}
	}
}

// csvReader reads records as pandas does: a quote counts where it begins a field, and elsewhere in a field it is a letter.
type csvReader struct {
	r     *bufio.Reader
	comma byte
	line  int // of the next byte
	text  []byte
	ends  []int // of the fields in text
}

var errOpenQuote = errors.New("a quote is not closed")

func (c *csvReader) field(i int) string {
	if i == 0 {
		return string(c.text[:c.ends[0]])
	}
	return string(c.text[c.ends[i-1]:c.ends[i]])
}

// header reads the names of the columns, as JSON. Of several columns with one name the later ones are numbered, as by pandas.
func (c *csvReader) header(from origin) ([][]byte, error) {
	if _, err := c.read(); err != nil {
		return nil, err
	}
	if len(c.ends) > maxColumns {
		return nil, fmt.Errorf("it has %d columns, at most %d are read", len(c.ends), maxColumns)
	}
	if !utf8.Valid(c.text) {
		return nil, fmt.Errorf("%w: %s", errUTF8, latin1(from))
	}
	names := make([][]byte, len(c.ends))
	seen := map[string]int{}
	for i := range names {
		name := c.field(i)
		seen[name]++
		if n := seen[name] - 1; n > 0 {
			name = fmt.Sprintf("%s.%d", name, n)
		}
		names[i] = appendQuoted(nil, name)
	}
	return names, nil
}

// read reads the next record that is not blank, and says in which line it begins.
func (c *csvReader) read() (line int, err error) {
	const (
		start = iota // of a field
		plain
		quoted
		closed // behind a quote in a quoted field
	)
	c.text, c.ends = c.text[:0], c.ends[:0]
	line = c.line
	for state := start; ; {
		b, err := c.readByte()
		switch {
		case err == io.EOF && state == quoted:
			return line, errOpenQuote
		case err == io.EOF && (state != start || len(c.ends) > 0):
			c.ends = append(c.ends, len(c.text))
			return line, nil
		case err != nil:
			return line, err
		case len(c.text)+8*len(c.ends) > maxRow:
			return line, errLongRow
		case state == quoted && b == '"':
			state = closed
		case state == quoted:
			c.text = append(c.text, b)
		case state == start && b == '"':
			state = quoted
		case state == closed && b == '"':
			c.text = append(c.text, b)
			state = quoted
		case b == c.comma:
			c.ends = append(c.ends, len(c.text))
			state = start
		case b == '\n' && state == start && len(c.ends) == 0: // a blank line
			line = c.line
		case b == '\n':
			c.ends = append(c.ends, len(c.text))
			return line, nil
		default:
			c.text = append(c.text, b)
			state = plain
		}
	}
}

// readByte reads a byte, of a line break of two bytes the second.
func (c *csvReader) readByte() (byte, error) {
	b, err := c.r.ReadByte()
	if b == '\r' && err == nil {
		if next, _ := c.r.Peek(1); len(next) == 1 && next[0] == '\n' {
			b, err = c.r.ReadByte()
		}
	}
	if b == '\n' && err == nil {
		c.line++
	}
	return b, err
}

// appendQuoted appends a text as JSON. One that is not valid UTF-8 stays so, to be refused with its row.
func appendQuoted(to []byte, text string) []byte {
	if !utf8.ValidString(text) {
		return append(append(append(to, '"'), text...), '"')
	}
	quoted, _ := json.Marshal(text) // a string always has a form
	return append(to, quoted...)
}
