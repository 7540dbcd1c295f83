package importer

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/tame-rlhf/tame/pkg/data"
)

// Rows goes through the rows of an import, once. T is what Schema says.
func Rows[T data.Row](ctx context.Context, im *Import) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		open := map[string]converter[T]{} // those that put rows together do so across files
		for _, f := range im.files {
			for row, err := range importRows(ctx, im, f, open) {
				if !yield(row, err) || err != nil {
					return
				}
			}
		}
		for _, c := range open {
			c.finish(&im.report)
		}
		if n := im.report.NumRefused(); im.cfg.Strict && n > 0 {
			var zero T
			yield(zero, fmt.Errorf("importer: %d rows are refused; the first: %w", n, im.report.Refused[0]))
		}
	}
}

func importRows[T data.Row](ctx context.Context, im *Import, f importFile, open map[string]converter[T]) iter.Seq2[T, error] {
	var zero T
	if f.dialect.Rows.Name != zero.Schema().Name {
		return failed[T](fmt.Errorf("importer: %s gives %s rows, not %s", f.name, f.dialect.Rows.Name, zero.Schema().Name))
	}
	if f.dialect.Name == tameDialect {
		return ownRows[T](ctx, im, f)
	}
	c, ok := open[f.dialect.Name]
	if !ok {
		c = converterOf[T](f.dialect, im.cfg, f.name)
		if c.left != nil {
			open[f.dialect.Name] = c
		}
	}
	if f.plain {
		c = any(plainText()).(converter[T])
	}
	raw := func(yield func(rawRow, error) bool) {
		for row, err := range f.rows {
			if err == nil {
				err = im.goesOn(ctx)
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
	return convertRows(f.name, raw, c, &im.report, im.refuse)
}

// goesOn is called for every row.
func (im *Import) goesOn(ctx context.Context) error {
	const every = 256
	if im.report.Read%every == 0 && im.OnProgress != nil {
		im.OnProgress()
	}
	return ctx.Err()
}

// refuse notes a row that gave nothing. With Config.Strict the import goes on to find the others, and fails at its end.
func (im *Import) refuse(e RowError) error {
	if !im.report.refuse(e, MaxRefused) {
		return nil
	}
	if im.OnRefused != nil {
		im.OnRefused(e)
	}
	return nil
}

func failed[T any](err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		yield(zero, err)
	}
}

// ownRows goes through a dataset that was written here. A row that cannot be read is an error, because the file is damaged; one
// that no stage should learn from is refused.
func ownRows[T data.Row](ctx context.Context, im *Import, f importFile) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		r, err := data.Open[T](f.path)
		if err != nil {
			yield(zero, err)
			return
		}
		defer r.Close()
		var unused []UnusedKey
		for _, column := range r.Unused() {
			unused = append(unused, UnusedKey{Key: column})
		}
		place, n := place{read: &im.read}, 0
		for row, err := range r.Rows() {
			if err == nil {
				err = im.goesOn(ctx)
			}
			if err == nil {
				im.report.Read, n = im.report.Read+1, n+1
				im.report.leftOut(unused)
				place.update(r.BytesRead())
				if bad := data.Check(row); bad != nil {
					if err = im.refuse(RowError{File: f.name, Line: n, Err: bad}); err == nil {
						continue
					}
				} else {
					im.report.take(row)
				}
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

// ErrNoRows says that an import gave no row, so that nothing was written.
var ErrNoRows = errors.New("importer: no row could be used")

// Write imports all files and writes a dataset, as WriteCompressed does. The report is complete when it returns. If there is no
// row to write it writes nothing and returns ErrNoRows.
func (im *Import) Write(ctx context.Context, path string, lineage data.Lineage, compression data.Compression) error {
	name := im.Schema().Name
	write := map[string]func(context.Context, *Import, string, data.Lineage, data.Compression) error{
		data.Text{}.Schema().Name:         writeImport[data.Text],
		data.Prompt{}.Schema().Name:       writeImport[data.Prompt],
		data.Conversation{}.Schema().Name: writeImport[data.Conversation],
		data.Preference{}.Schema().Name:   writeImport[data.Preference],
		data.Sample{}.Schema().Name:       writeImport[data.Sample],
	}[name]
	if write == nil {
		return fmt.Errorf("importer: %s holds %s rows, which can only be read by the program that wrote them", im.files[0].name, name)
	}
	return write(ctx, im, path, lineage, compression)
}

func writeImport[T data.Row](ctx context.Context, im *Import, path string, lineage data.Lineage, compression data.Compression) error {
	return data.WriteCompressed(path, func(yield func(T, error) bool) {
		some := false
		for row, err := range Rows[T](ctx, im) {
			some = true
			if !yield(row, err) {
				return
			}
		}
		if !some {
			var zero T
			yield(zero, ErrNoRows)
		}
	}, lineage, compression)
}
