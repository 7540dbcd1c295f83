package importer

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"unicode/utf8"
)

// csvRows goes through the records of a CSV file with a header, each as a JSON object of texts.
func csvRows(path string, r io.Reader) iter.Seq2[rawRow, error] {
	return func(yield func(rawRow, error) bool) {
		part := &rowLimit{r: r, left: maxRow}
		c := csv.NewReader(bufio.NewReaderSize(part, 1<<16))
		if strings.HasSuffix(baseName(path), ".tsv") {
			c.Comma = '\t'
		}
		c.ReuseRecord = true
		header, err := c.Read()
		if err == io.EOF {
			return
		}
		if err != nil {
			yield(rawRow{}, fmt.Errorf("importer: %s: the header: %w", path, err))
			return
		}
		names := make([][]byte, len(header))
		for i, name := range header {
			names[i] = appendQuoted(nil, name)
		}
		var raw []byte
		last := 1 // line
		for {
			part.left = maxRow
			record, err := c.Read()
			if err == io.EOF {
				return
			}
			var damaged *csv.ParseError
			var row rawRow
			switch {
			case errors.As(err, &damaged):
				row = rawRow{line: damaged.StartLine, err: damaged.Err}
			case errors.Is(err, errLongRow):
				yield(rawRow{}, fmt.Errorf("importer: %s: the row behind line %d is %w: is a quote not closed?", path, last, err))
				return
			case err != nil:
				yield(rawRow{}, fmt.Errorf("importer: %s: %w", path, err))
				return
			default:
				line, _ := c.FieldPos(0)
				raw = raw[:0]
				for i, field := range record {
					raw = append(raw, "{,"[min(i, 1)])
					raw = append(append(raw, names[i]...), ':')
					raw = appendQuoted(raw, field)
				}
				row, last = rawRow{line: line, raw: append(raw, '}')}, line
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

// rowLimit ends with an error where a row goes on for too long: a quote that is not closed would take all that follows into it.
type rowLimit struct {
	r    io.Reader
	left int
}

func (l *rowLimit) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errLongRow
	}
	n, err := l.r.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}

// appendQuoted appends a text as JSON. One that is not valid UTF-8 stays so, to be refused with its row.
func appendQuoted(to []byte, text string) []byte {
	if !utf8.ValidString(text) {
		return append(append(append(to, '"'), text...), '"')
	}
	quoted, _ := json.Marshal(text) // a string always has a form
	return append(to, quoted...)
}
