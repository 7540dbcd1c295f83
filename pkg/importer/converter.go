package importer

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tame-rlhf/tame/pkg/data"
)

var errUTF8 = errors.New("not valid UTF-8")

// converter makes rows of T of the raw rows of one dialect, which are JSON values (or documents of plain text).
type converter[T any] struct {
	rows func(raw []byte) ([]T, error)
	// left is called at the end, for dialects that put several rows together: how many never found a partner. It may be nil.
	left func() int

	keys   []Key // of the rows; nil where they have none
	score  string
	strict bool // keys that are not used are no good
}

// opener makes the converter of a dialect for a file; source is the file's name.
type opener[T any] func(c Config, source string) converter[T]

// each is a converter for a dialect in which a row gives a row.
func each[R, T any](convert func(R) (T, error)) converter[T] {
	one := make([]T, 1) // used again: rows are taken at once
	return several(func(r R) ([]T, error) {
		var err error
		one[0], err = convert(r)
		return one, err
	})
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
		field := strings.ToLower(kind.Field)
		for _, embedded := range []string{"question.", "quality.", "margins.", "moderation."} { // the structs of keys that dialects share
			field = strings.TrimPrefix(field, embedded)
		}
		if strings.HasSuffix(kind.Value, notFinite) {
			return fmt.Errorf("%q is NaN or infinite, want a finite number", field)
		}
		return fmt.Errorf("%q is of the wrong kind: %s", field, kind.Value)
	}
	return notJSON(raw, err)
}

// convertRows goes through raw rows. What cannot be decoded or converted, or is not valid, goes to refuse, and an error of
// that or of the reading ends it.
func convertRows[T any](file string, raw iter.Seq2[rawRow, error], c converter[T], report *Report, refuse func(RowError) error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		for row, err := range raw {
			if err != nil {
				yield(zero, err)
				return
			}
			report.Read++
			rows, err := convertRow(row, c, report)
			if err != nil {
				if err := refuse(RowError{file, row.line, row.element, err}); err != nil {
					yield(zero, err)
					return
				}
				continue
			}
			for _, r := range rows {
				report.take(r)
				if !yield(r, nil) {
					return
				}
			}
		}
	}
}

// finish counts the answers that never found a partner.
func (c converter[T]) finish(report *Report) {
	if c.left == nil {
		return
	}
	if n := c.left(); n > 0 {
		report.Skipped += n
		report.count(errAlone.reason, true, n)
	}
}

var errAlone = errSkip{"without a partner: no other answer to the same prompt to compare with"}

func convertRow[T any](row rawRow, c converter[T], report *Report) (rows []T, err error) {
	if row.err != nil {
		return nil, row.err
	}
	raw := row.raw
	if c.keys != nil {
		var unused []UnusedKey
		s := sifter{keys: c.keys, score: c.score, unused: func(key UnusedKey) { unused = append(unused, key) }}
		if raw, err = s.sift(raw); err != nil {
			return nil, err
		}
		report.leftOut(unused)
		if i := slices.IndexFunc(unused, func(key UnusedKey) bool { return !key.Label }); c.strict && i >= 0 {
			return nil, fmt.Errorf("the key %s is not used", keyPlace(unused[i].Key))
		}
	}
	rows, err = c.rows(raw)
	for i := range rows {
		if err == nil {
			err = cmp.Or(data.Validate(&rows[i]), data.Check(rows[i]))
		}
	}
	return rows, err
}

// importAll reads a file of one dialect into memory.
func importAll[T any](path string, cfg Config) ([]T, Report, error) {
	d, err := dialectNamed(cfg.As)
	if err != nil {
		return nil, Report{}, err
	}
	return collect(path, jsonRows(path), converterOf[T](d, cfg, path))
}

// converterOf is the converter of a dialect that gives rows of T.
func converterOf[T any](d Dialect, cfg Config, source string) converter[T] {
	c := d.open.(opener[T])(cfg, source)
	c.keys, c.score, c.strict = d.Keys, cfg.Score, cfg.Strict
	return c
}

func collect[T any](path string, raw iter.Seq2[rawRow, error], c converter[T]) ([]T, Report, error) {
	var rows []T
	var report Report
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
