package data

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// ImportReport says what an importer took and what it refused. A bad row does not stop the others.
type ImportReport struct {
	Read    int        // rows of the input
	Rows    int        // rows taken: a row of the input may give none, one or several
	Skipped int        // rows of the input that are all right and give nothing: ties, answers without a partner
	Refused []RowError // in the order of the files; the first MaxRefused of them where rows are imported one by one
	More    int        // refused rows that are not in Refused

	reasons map[Reason]int
}

// MaxRefused is how many refused rows an Import keeps. It counts the others.
const MaxRefused = 1000

// RowError names a row that was refused.
type RowError struct {
	File string
	Line int // of the row's beginning, from 1; in Arrow and Parquet the row
	Err  error
}

func (e RowError) Error() string { return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err) }

// Unwrap is the reason.
func (e RowError) Unwrap() error { return e.Err }

// NumRefused counts the rows that were refused.
func (r ImportReport) NumRefused() int { return len(r.Refused) + r.More }

// String is a line for people: the counts, and the first reason.
func (r ImportReport) String() string {
	if r.NumRefused() == 0 {
		return fmt.Sprintf("%d rows taken", r.Rows)
	}
	return fmt.Sprintf("%d rows taken, %d refused; the first: %v", r.Rows, r.NumRefused(), r.Refused[0])
}

// Reason is why rows gave nothing. What differs from row to row, numbers and quoted text, is left out of Text.
type Reason struct {
	Text    string
	Skipped bool // the row is all right
}

// ReasonCount is a reason with the number of rows that it holds for.
type ReasonCount struct {
	Reason
	Rows int
}

// Reasons counts the rows that were refused or skipped, the most frequent reason first.
func (r ImportReport) Reasons() []ReasonCount {
	var list []ReasonCount
	for reason, n := range r.reasons {
		list = append(list, ReasonCount{reason, n})
	}
	slices.SortFunc(list, func(a, b ReasonCount) int {
		return cmp.Or(cmp.Compare(b.Rows, a.Rows), strings.Compare(a.Text, b.Text))
	})
	return list
}

// errSkip marks a row that is all right and gives nothing.
type errSkip struct{ reason string }

func (e errSkip) Error() string { return e.reason }

const maxReasons = 50

var (
	differing   = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|\b[0-9]+\b|'[^']*'`)
	otherReason = Reason{Text: "other reasons"}
)

func (r *ImportReport) count(reason string, skipped bool, rows int) {
	if r.reasons == nil {
		r.reasons = map[Reason]int{}
	}
	key := Reason{reason, skipped}
	if !skipped {
		key.Text = differing.ReplaceAllStringFunc(reason, func(s string) string {
			if strings.ContainsAny(s[:1], `"'`) {
				if len(s) <= 24 && isName(s[1:len(s)-1]) {
					return s // a key or a role
				}
				return `"..."`
			}
			return "N"
		})
	}
	if _, ok := r.reasons[key]; !ok && len(r.reasons) >= maxReasons {
		key = otherReason
	}
	r.reasons[key] += rows
}

func isName(s string) bool {
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-/ ") == ""
}

// refuse notes a row that gave nothing, and says whether it was a bad one.
func (r *ImportReport) refuse(e RowError, most int) bool {
	var skip errSkip
	if errors.As(e.Err, &skip) {
		r.Skipped++
		r.count(skip.reason, true, 1)
		return false
	}
	r.count(e.Err.Error(), false, 1)
	if len(r.Refused) < most {
		r.Refused = append(r.Refused, e)
	} else {
		r.More++
	}
	return true
}

var errUTF8 = errors.New("not valid UTF-8")

// converter makes rows of T of the raw rows of one dialect, which are JSON values (or documents of plain text).
type converter[T any] struct {
	rows func(raw []byte) ([]T, error)
	// left is called at the end, for dialects that put several rows together: how many never found a partner. It may be nil.
	left func() int
}

// each is a converter for a dialect in which a row gives a row.
func each[R, T any](convert func(R) (T, error)) converter[T] {
	one := make([]T, 1) // used again: rows are taken at once
	return converter[T]{rows: func(raw []byte) ([]T, error) {
		var r R
		if err := decode(raw, &r); err != nil {
			return nil, err
		}
		row, err := convert(r)
		one[0] = row
		return one, err
	}}
}

// several is a converter for a dialect in which a row gives any number of rows.
func several[R, T any](convert func(R) ([]T, error)) converter[T] {
	return converter[T]{rows: func(raw []byte) ([]T, error) {
		var r R
		if err := decode(raw, &r); err != nil {
			return nil, err
		}
		return convert(r)
	}}
}

func decode(raw []byte, to any) error {
	if !utf8.Valid(raw) {
		return errUTF8 // encoding/json would put U+FFFD instead
	}
	err := json.Unmarshal(raw, to)
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) && kind.Field != "" {
		return fmt.Errorf("%q is of the wrong kind: %s", strings.ToLower(kind.Field), kind.Value)
	}
	return err
}

// convertRows goes through raw rows. What cannot be decoded or converted, or is not valid, goes to refuse, and an error of
// that or of the reading ends it.
func convertRows[T any](file string, raw iter.Seq2[rawRow, error], c converter[T], report *ImportReport, refuse func(RowError) error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		for row, err := range raw {
			if err != nil {
				yield(zero, err)
				return
			}
			report.Read++
			rows, err := convertRow(row, c)
			if err != nil {
				if err := refuse(RowError{file, row.line, err}); err != nil {
					yield(zero, err)
					return
				}
				continue
			}
			for _, r := range rows {
				report.Rows++
				if !yield(r, nil) {
					return
				}
			}
		}
	}
}

// finish counts the answers that never found a partner.
func (c converter[T]) finish(report *ImportReport) {
	if c.left == nil {
		return
	}
	if n := c.left(); n > 0 {
		report.Skipped += n
		report.count(errAlone.reason, true, n)
	}
}

var errAlone = errSkip{"without a partner: no other answer to the same prompt to compare with"}

func convertRow[T any](row rawRow, c converter[T]) ([]T, error) {
	if row.err != nil {
		return nil, row.err
	}
	rows, err := c.rows(row.raw)
	for i := range rows {
		if err == nil {
			err = validate(&rows[i])
		}
	}
	return rows, err
}

// importAll reads a file of one dialect into memory.
func importAll[T any](path string, c converter[T]) ([]T, ImportReport, error) {
	return collect(path, jsonRows(path), c)
}

func collect[T any](path string, raw iter.Seq2[rawRow, error], c converter[T]) ([]T, ImportReport, error) {
	var rows []T
	var report ImportReport
	refuse := func(e RowError) error {
		report.refuse(e, math.MaxInt)
		return nil
	}
	for row, err := range convertRows(path, raw, c, &report, refuse) {
		if err != nil {
			return nil, report, err
		}
		rows = append(rows, row)
	}
	return rows, report, nil
}

// ImportText reads documents for pretraining: with an empty separator rows {"text": "..."}, else plain text with the
// separator between documents, such as "<|endoftext|>". Blank documents are left out.
func ImportText(path, separator string) ([]Text, ImportReport, error) {
	if separator == "" {
		return importAll(path, textRows())
	}
	return collect(path, textDocuments(path, separator), plainText())
}

func textRows() converter[Text] {
	type row struct{ Text *string }
	return each(func(r row) (Text, error) {
		if r.Text == nil || strings.TrimSpace(*r.Text) == "" {
			return Text{}, errors.New(`no "text"`)
		}
		return Text{Text: *r.Text}, nil
	})
}

func plainText() converter[Text] {
	return converter[Text]{rows: func(raw []byte) ([]Text, error) {
		if !utf8.Valid(raw) {
			return nil, errUTF8
		}
		return []Text{{Text: string(raw)}}, nil
	}}
}

// sourceName is what an importer puts into Conversation.Source.
func sourceName(path string) string { return filepath.Base(path) }

// sortedKeys names the keys of a JSON object for people.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
