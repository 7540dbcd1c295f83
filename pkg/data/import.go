package data

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// ImportReport says what an importer took and what it refused. A bad row does not stop the others.
type ImportReport struct {
	Rows    int        // rows taken
	Refused []RowError // in the order of the file
}

// RowError names a row that was refused.
type RowError struct {
	File string
	Line int // of the row's beginning, from 1
	Err  error
}

func (e RowError) Error() string { return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err) }

// Unwrap is the reason.
func (e RowError) Unwrap() error { return e.Err }

// String is a line for people: the counts, and the first reason.
func (r ImportReport) String() string {
	if len(r.Refused) == 0 {
		return fmt.Sprintf("%d rows taken", r.Rows)
	}
	return fmt.Sprintf("%d rows taken, %d refused; the first: %v", r.Rows, len(r.Refused), r.Refused[0])
}

// ImportText reads documents for pretraining: with an empty separator rows {"text": "..."}, else plain text with the
// separator between documents, such as "<|endoftext|>". Blank documents are left out.
func ImportText(path, separator string) ([]Text, ImportReport, error) {
	type row struct{ Text *string }
	if separator == "" {
		return importRows(path, func(r row) (Text, error) {
			if r.Text == nil || strings.TrimSpace(*r.Text) == "" {
				return Text{}, errors.New(`no "text"`)
			}
			return Text{Text: *r.Text}, nil
		})
	}
	raw, err := readAll(path)
	if err != nil {
		return nil, ImportReport{}, err
	}
	var report ImportReport
	var rows []Text
	line := 1
	for document := range strings.SplitSeq(string(raw), separator) {
		text := strings.TrimSpace(document)
		switch {
		case text == "":
		case !utf8.ValidString(text):
			begin := line + strings.Count(document[:strings.Index(document, text)], "\n")
			report.Refused = append(report.Refused, RowError{path, begin, errUTF8})
		default:
			rows = append(rows, Text{Text: text})
		}
		line += strings.Count(document, "\n") + strings.Count(separator, "\n")
	}
	report.Rows = len(rows)
	return rows, report, nil
}

var errUTF8 = errors.New("not valid UTF-8")

// importRows decodes every JSON value of a file into R and converts it. What cannot be decoded or converted, or is not
// valid, goes into the report.
func importRows[R, T any](path string, convert func(R) (T, error)) ([]T, ImportReport, error) {
	var rows []T
	var report ImportReport
	for value, err := range jsonValues(path) {
		if err != nil {
			return nil, report, err
		}
		row, err := importRow(value.raw, convert)
		if err != nil {
			report.Refused = append(report.Refused, RowError{path, value.line, err})
			continue
		}
		rows = append(rows, row)
	}
	report.Rows = len(rows)
	return rows, report, nil
}

func importRow[R, T any](raw []byte, convert func(R) (T, error)) (row T, err error) {
	if !utf8.Valid(raw) {
		return row, errUTF8 // encoding/json would put U+FFFD instead
	}
	var r R
	if err := json.Unmarshal(raw, &r); err != nil {
		return row, err
	}
	if row, err = convert(r); err != nil {
		return row, err
	}
	return row, validate(row)
}

// jsonValue is a row before it is decoded.
type jsonValue struct {
	line int
	raw  json.RawMessage
}

// jsonValues goes through the elements of a JSON array, or else through the lines of a file, plain or gzip.
func jsonValues(path string) iter.Seq2[jsonValue, error] {
	return func(yield func(jsonValue, error) bool) {
		file, r, err := openText(path)
		if err != nil {
			yield(jsonValue{}, err)
			return
		}
		defer file.Close()
		first, err := firstByte(r)
		switch {
		case err == io.EOF:
			return
		case err != nil:
			yield(jsonValue{}, fmt.Errorf("data: import %s: %w", path, err))
		case first == '[':
			arrayValues(path, r, yield)
		default:
			lineValues(path, r, yield)
		}
	}
}

func lineValues(path string, r *bufio.Reader, yield func(jsonValue, error) bool) {
	for line := 1; ; line++ {
		raw, err := r.ReadBytes('\n')
		if raw = bytes.TrimSpace(raw); len(raw) > 0 && (err == nil || err == io.EOF) {
			if !yield(jsonValue{line, raw}, nil) {
				return
			}
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			yield(jsonValue{}, fmt.Errorf("data: import: %w", RowError{path, line, err}))
			return
		}
	}
}

// arrayValues keeps the whole file in memory: rows are found by their place in it. Where the array itself is broken
// there is no telling where the next row would begin.
func arrayValues(path string, r io.Reader, yield func(jsonValue, error) bool) {
	all, err := io.ReadAll(r)
	if err != nil {
		yield(jsonValue{}, fmt.Errorf("data: import %s: %w", path, err))
		return
	}
	line, at := 1, 0
	advance := func(to int) {
		line += bytes.Count(all[at:to], []byte("\n"))
		at = to
	}
	fail := func(err error) {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		yield(jsonValue{}, fmt.Errorf("data: import: %w", RowError{path, line, fmt.Errorf("the JSON array is broken: %w", err)}))
	}
	decoder := json.NewDecoder(bytes.NewReader(all))
	if _, err := decoder.Token(); err != nil {
		fail(err)
		return
	}
	for decoder.More() {
		end := int(decoder.InputOffset()) // of what was read before
		advance(end + len(all[end:]) - len(bytes.TrimLeft(all[end:], " \t\r\n,")))
		var raw json.RawMessage
		if err := decoder.Decode(&raw); err != nil {
			fail(err)
			return
		}
		if !yield(jsonValue{line, raw}, nil) {
			return
		}
	}
	if _, err := decoder.Token(); err != nil {
		advance(len(all))
		fail(err)
		return
	}
	advance(int(decoder.InputOffset()))
	if rest := bytes.TrimSpace(all[at:]); len(rest) > 0 {
		fail(errors.New("something follows after it"))
	}
}

// openText opens a file, unpacks gzip (known by its content) and drops a byte order mark.
func openText(path string) (io.Closer, *bufio.Reader, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("data: import: %w", err)
	}
	r := bufio.NewReaderSize(file, 1<<16)
	if magic, _ := r.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		unpacked, err := gzip.NewReader(r)
		if err != nil {
			file.Close()
			return nil, nil, fmt.Errorf("data: import %s: %w", path, err)
		}
		r = bufio.NewReaderSize(unpacked, 1<<16)
	}
	if mark, _ := r.Peek(3); bytes.Equal(mark, []byte("\ufeff")) {
		_, _ = r.Discard(3)
	}
	return file, r, nil
}

func readAll(path string) ([]byte, error) {
	file, r, err := openText(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	raw, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("data: import %s: %w", path, err)
	}
	return raw, nil
}

// firstByte looks at the first byte that is no white space, and leaves it and the line it is in unread.
func firstByte(r *bufio.Reader) (byte, error) {
	for n := 1; ; n++ {
		head, err := r.Peek(n)
		if err == bufio.ErrBufferFull {
			return 0, errors.New("begins with nothing but white space")
		}
		if err != nil {
			return 0, err
		}
		if !bytes.ContainsAny(head[n-1:], " \t\r\n") {
			return head[n-1], nil
		}
	}
}

// sourceName is what an importer puts into Conversation.Source.
func sourceName(path string) string { return filepath.Base(path) }
