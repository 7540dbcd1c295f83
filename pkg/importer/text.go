package importer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"unicode/utf8"

	"github.com/tame-rlhf/tame/pkg/data"
)

// Text reads documents for pretraining: with an empty separator rows {"text": "..."}, else plain text with the
// separator between documents, such as "<|endoftext|>". Blank documents are left out.
func Text(path, separator string) ([]data.Text, Report, error) {
	if separator == "" {
		return importAll[data.Text](path, Config{As: textDialect})
	}
	documents := opened(path, nil, func(_ origin, r *bufio.Reader) iter.Seq2[rawRow, error] { return documents(path, r, separator) })
	return collect(path, documents, plainText())
}

func textRows(Config, string) converter[data.Text] {
	type row struct{ Text *string }
	return each(func(r row) (data.Text, error) {
		if r.Text == nil || strings.TrimSpace(*r.Text) == "" {
			return data.Text{}, errors.New(`no "text"`)
		}
		return data.Text{Text: *r.Text}, nil
	})
}

func plainText() converter[data.Text] {
	return converter[data.Text]{rows: func(raw []byte) ([]data.Text, error) {
		if !utf8.Valid(raw) {
			return nil, errUTF8
		}
		return []data.Text{{Text: string(raw)}}, nil
	}}
}

// maxDocument is how long a document of plain text may be. A text without separators is one document.
const maxDocument = 128 << 20

// documents goes through the documents of a plain text. Blank ones are left out.
func documents(path string, r io.Reader, separator string) iter.Seq2[rawRow, error] {
	return func(yield func(rawRow, error) bool) {
		scanner := bufio.NewScanner(r)
		scanner.Buffer(make([]byte, 1<<16), maxDocument)
		searched := 0 // bytes of the next document in which there is no separator
		scanner.Split(func(text []byte, atEOF bool) (int, []byte, error) {
			from := max(0, min(searched, len(text))-len(separator))
			if i := bytes.Index(text[from:], []byte(separator)); i >= 0 {
				searched = 0
				return from + i + len(separator), text[:from+i], nil
			}
			if atEOF && len(text) > 0 {
				searched = 0
				return len(text), text, nil
			}
			searched = len(text)
			return 0, nil, nil
		})
		line := 1
		for scanner.Scan() {
			document := scanner.Bytes()
			if text := bytes.TrimSpace(document); len(text) > 0 {
				begin := bytes.Index(document, text)
				if !yield(rawRow{line: line + bytes.Count(document[:begin], []byte("\n")), raw: text}, nil) {
					return
				}
			}
			line += bytes.Count(document, []byte("\n")) + strings.Count(separator, "\n")
		}
		err := scanner.Err()
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("a document is longer than %d MiB: give the separator between documents, or cut it", maxDocument>>20)
		}
		if err != nil {
			yield(rawRow{}, fmt.Errorf("importer: %w", RowError{path, line, 0, err}))
		}
	}
}
