package data

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ImportConfig says how to read other people's files. The zero value, with a valid PreferenceConfig, recognises everything.
type ImportConfig struct {
	// As names the dialect, see Dialects. Default "": it is recognised by the first rows of each file.
	As string

	// Preference is what preferences get that rows do not say.
	Preference PreferenceConfig

	// Separator stands between the documents of a plain text. Default "": files whose names end in .txt are plain text with
	// DefaultSeparator.
	Separator string

	// Score is the key of the grade that decides between answers. Default "": the first of "score", "overall_score",
	// "helpfulness", "gpt4_scores", "scores", "rating", "fine-grained_score" that a row has.
	Score string

	// Strict makes a refused row an error.
	Strict bool
}

// DefaultSeparator stands between the documents of a .txt file.
const DefaultSeparator = "<|endoftext|>"

// DefaultImportConfig recognises the dialect and has DefaultPreferenceConfig.
func DefaultImportConfig() ImportConfig { return ImportConfig{Preference: DefaultPreferenceConfig()} }

// Validate reports all that is wrong with the config.
func (c ImportConfig) Validate() error {
	err := c.Preference.Validate()
	if c.As != "" && c.As != tameDialect {
		_, errAs := dialectNamed(c.As)
		err = errors.Join(err, errAs)
	}
	return err
}

// Stdin is the path that stands for standard input.
const Stdin = "-"

// Import reads files row by row, whatever dialects they are in, as long as these give rows of one form. Its memory does
// not grow with the files. It belongs to one goroutine.
type Import struct {
	cfg    ImportConfig
	files  []importFile
	size   int64
	read   int64
	report ImportReport

	// OnRefused is called for every row that is refused. It may be nil.
	OnRefused func(RowError)

	// OnProgress is called every now and then. It may be nil.
	OnProgress func()
}

type importFile struct {
	path    string
	name    string // for people
	dialect Dialect
	rows    func(yield func(rawRow, error) bool)
	plain   bool // text, not JSON
}

// OpenImport looks at the files and recognises their dialects. A path may have the wildcards of filepath.Match, or be Stdin.
// Files are plain, gzip or Zstandard (known by their content): JSON lines, a JSON array, CSV or TSV (known by their names),
// plain text (see Separator), Arrow IPC files and streams, or Parquet, with a column for each key.
func OpenImport(paths []string, stdin io.Reader, cfg ImportConfig) (*Import, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	im := &Import{cfg: cfg}
	expanded, err := expand(paths)
	if err != nil {
		return nil, err
	}
	var empty error
	for _, path := range expanded {
		f, err := im.look(path, stdin)
		if errors.Is(err, errEmptyFile) { // no harm among others
			empty = err
			continue
		}
		if err != nil {
			return nil, err
		}
		im.files = append(im.files, f)
		if first := im.files[0]; first.dialect.Rows != f.dialect.Rows {
			return nil, fmt.Errorf("data: import: %s is of the dialect %s, which gives %s rows, and %s of %s, which gives %s rows: import them apart",
				first.name, first.dialect.Name, first.dialect.Rows.Name, f.name, f.dialect.Name, f.dialect.Rows.Name)
		}
	}
	if len(im.files) == 0 {
		return nil, empty
	}
	return im, nil
}

// expand puts the files that match a pattern in its place. A file that has the pattern for a name is that file.
func expand(paths []string) ([]string, error) {
	var all []string
	for _, path := range paths {
		_, err := os.Lstat(path)
		if path == Stdin || err == nil || !strings.ContainsAny(path, "*?[") {
			all = append(all, path)
			continue
		}
		found, err := filepath.Glob(path)
		if err != nil {
			return nil, fmt.Errorf("data: import %s: %w", path, err)
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("data: import: no file matches %s", path)
		}
		all = append(all, found...)
	}
	if len(all) == 0 {
		return nil, errors.New("data: import: no files")
	}
	if i := slices.Index(all, Stdin); i >= 0 && slices.Contains(all[i+1:], Stdin) {
		return nil, errors.New("data: import: standard input is named twice")
	}
	return all, nil
}

// look recognises a file's form and dialect.
func (im *Import) look(path string, stdin io.Reader) (importFile, error) {
	f := importFile{path: path, name: path}
	var in io.Reader
	if path == Stdin {
		f.name, in = "standard input", stdin
	} else {
		info, err := os.Stat(path)
		if err != nil {
			return f, fmt.Errorf("data: import: %w", err)
		}
		switch {
		case info.IsDir():
			return f, fmt.Errorf("data: import: %s is a folder: name its files", path)
		case !info.Mode().IsRegular(): // what was looked at would be gone
			return f, fmt.Errorf("data: import: %s is no regular file: give it as standard input, which is named %s", path, Stdin)
		}
		im.size += info.Size()
		columns, err := im.columns(&f)
		if err != nil || columns {
			return f, err
		}
	}
	return f, im.lookText(&f, in)
}

// columns looks whether a file is Arrow or Parquet, and opens it if it is.
func (im *Import) columns(f *importFile) (bool, error) {
	form, err := columnForm(f.path)
	if err != nil || form == notColumns {
		return false, err
	}
	schema, err := ownSchema(f.path)
	if err != nil {
		return true, fmt.Errorf("data: import: %w", err)
	}
	if schema.Name != "" && (im.cfg.As == "" || im.cfg.As == tameDialect) {
		f.dialect = Dialect{Name: tameDialect, Rows: schema}
		return true, nil
	}
	f.rows = columnRows(f.path, &im.read)
	return true, im.choose(f, f.rows)
}

func (im *Import) lookText(f *importFile, in io.Reader) error {
	closer, r, err := openText(f.path, in, nil)
	if err != nil {
		return err
	}
	first, err := firstByte(r)
	separator := im.cfg.Separator
	f.plain = separator != "" && (im.cfg.As == "" || im.cfg.As == textDialect) ||
		(im.cfg.As == "" || im.cfg.As == textDialect) && isPlainText(f.path) && !isCSV(f.path) ||
		im.cfg.As == textDialect && err == nil && first != '{' && first != '['
	if f.plain && separator == "" {
		separator = DefaultSeparator
	}
	form := func(r *bufio.Reader) iter.Seq2[rawRow, error] {
		switch {
		case f.plain:
			return documents(f.name, r, separator)
		case isCSV(f.path):
			return csvRows(f.path, r)
		}
		return jsonValues(f.name, r)
	}
	if in == nil {
		closer.Close()
		f.rows = opened(f.path, nil, &im.read, form)
	} else {
		f.rows = form(r)
		if im.cfg.As == "" && !f.plain {
			f.rows = replay(&f.rows, sampleRows)
		}
	}
	if f.plain {
		f.dialect, err = dialectNamed(textDialect)
		return err
	}
	return im.choose(f, f.rows)
}

// choose sets the dialect: the one that was asked for, else what the first rows are in.
func (im *Import) choose(f *importFile, rows iter.Seq2[rawRow, error]) (err error) {
	if im.cfg.As != "" {
		if im.cfg.As == tameDialect {
			return fmt.Errorf("data: import: %s is not a dataset of tame", f.name)
		}
		f.dialect, err = dialectNamed(im.cfg.As)
		return err
	}
	var sample []rawRow
	for row, err := range rows {
		if err != nil && len(sample) == 0 {
			return err
		}
		if err != nil {
			break // it comes again when the rows are read
		}
		row.raw = bytes.Clone(row.raw)
		sample = append(sample, row)
		if len(sample) == sampleRows {
			break
		}
	}
	im.read = 0
	f.dialect, err = recognise(f.name, sample)
	return err
}

// replay makes a sequence that can be gone through only once give its first rows twice: it may be begun again once, after
// at most most rows.
func replay(rows *func(yield func(rawRow, error) bool), most int) func(yield func(rawRow, error) bool) {
	type item struct {
		row rawRow
		err error
	}
	var kept []item
	next, stop := iter.Pull2(iter.Seq2[rawRow, error](*rows))
	return func(yield func(rawRow, error) bool) {
		for _, it := range kept {
			if !yield(it.row, it.err) {
				return
			}
		}
		for {
			row, err, ok := next()
			if !ok {
				stop()
				return
			}
			if len(kept) < most {
				row.raw = bytes.Clone(row.raw)
				kept = append(kept, item{row, err})
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

// Schema is the form of the rows that the import gives.
func (im *Import) Schema() Schema { return im.files[0].dialect.Rows }

// FileDialect is the dialect that a file is in.
type FileDialect struct{ File, Dialect string }

// Files are the files with their dialects, in the order in which they are read.
func (im *Import) Files() []FileDialect {
	list := make([]FileDialect, len(im.files))
	for i, f := range im.files {
		list[i] = FileDialect{f.path, f.dialect.Name}
	}
	return list
}

// Size is how many bytes the files have, as far as that is known.
func (im *Import) Size() int64 { return im.size }

// BytesRead says how many bytes of the files were read.
func (im *Import) BytesRead() int64 { return im.read }

// Report says what was taken and refused until now.
func (im *Import) Report() ImportReport { return im.report }

// ImportRows goes through the rows of an import, once. T is what Schema says.
func ImportRows[T Row](ctx context.Context, im *Import) iter.Seq2[T, error] {
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
	}
}

func importRows[T Row](ctx context.Context, im *Import, f importFile, open map[string]converter[T]) iter.Seq2[T, error] {
	var zero T
	if f.dialect.Rows.Name != zero.Schema().Name {
		return failed[T](fmt.Errorf("data: import: %s gives %s rows, not %s", f.name, f.dialect.Rows.Name, zero.Schema().Name))
	}
	if f.dialect.Name == tameDialect {
		return ownRows[T](ctx, im, f)
	}
	c, ok := open[f.dialect.Name]
	if !ok {
		c = f.dialect.open.(func(ImportConfig, string) converter[T])(im.cfg, f.name)
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

// refuse notes a row that gave nothing.
func (im *Import) refuse(e RowError) error {
	if !im.report.refuse(e, MaxRefused) {
		return nil
	}
	if im.OnRefused != nil {
		im.OnRefused(e)
	}
	if im.cfg.Strict {
		return fmt.Errorf("data: import: %w", e)
	}
	return nil
}

func failed[T any](err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		yield(zero, err)
	}
}
