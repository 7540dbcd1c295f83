package importer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tame-rlhf/tame/internal/columnar"
	"github.com/tame-rlhf/tame/pkg/data"
)

// Stdin is the path that stands for standard input.
const Stdin = "-"

// Import reads files row by row, whatever dialects they are in, as long as these give rows of one form. Its memory does
// not grow with the files. It belongs to one goroutine.
type Import struct {
	cfg    Config
	files  []importFile
	size   int64
	read   int64
	report Report

	// OnRefused is called for every row that is refused. It may be nil.
	OnRefused func(RowError)

	// OnProgress is called every now and then. It may be nil.
	OnProgress func()
}

type importFile struct {
	path    string
	name    string // for people
	from    origin
	dialect Dialect
	rows    func(yield func(rawRow, error) bool)
	plain   bool // text, not JSON
	fitting int  // of the first rows, those in the dialect, and how many were looked at
	sampled int
}

// Open looks at the files and recognises their dialects. A path may have the wildcards of filepath.Match, or be Stdin.
// Files are plain, gzip or Zstandard (known by their content): JSON lines, a JSON array, CSV or TSV (known by their names),
// plain text (see Separator), Arrow IPC files and streams, or Parquet, with a column for each key.
func Open(paths []string, stdin io.Reader, cfg Config) (*Import, error) {
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
			return nil, fmt.Errorf("importer: %s is of the dialect %s, which gives %s rows, and %s of %s, which gives %s rows: import them apart",
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
			return nil, fmt.Errorf("importer: %s: %w", path, err)
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("importer: no file matches %s", path)
		}
		all = append(all, found...)
	}
	if len(all) == 0 {
		return nil, errors.New("importer: no files")
	}
	if i := slices.Index(all, Stdin); i >= 0 && slices.Contains(all[i+1:], Stdin) {
		return nil, errors.New("importer: standard input is named twice")
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
			return f, fmt.Errorf("importer: %w", err)
		}
		if !info.Mode().IsRegular() && !info.IsDir() { // what was looked at would be gone
			return f, fmt.Errorf("importer: %s is no regular file: give it as standard input, which is named %s", path, Stdin)
		}
		columns, err := columnar.Is(path)
		switch {
		case err != nil:
			return f, fmt.Errorf("importer: %w", err)
		case columns:
			return f, im.columns(&f)
		case info.IsDir():
			return f, fmt.Errorf("importer: %s is a folder: name its files", path)
		}
		im.size += info.Size()
	}
	return f, im.lookText(&f, in)
}

// columns opens a file of columns.
func (im *Import) columns(f *importFile) error {
	schema, size, err := data.Describe(f.path)
	if err != nil {
		return fmt.Errorf("importer: %w", err)
	}
	im.size += size
	if schema.Name != "" && (im.cfg.As == "" || im.cfg.As == tameDialect) {
		f.dialect = Dialect{Name: tameDialect, Rows: schema}
		return nil
	}
	f.rows = columnRows(f.path, &im.read)
	return im.choose(f)
}

func (im *Import) lookText(f *importFile, in io.Reader) error {
	r, from, done, err := openText(f.path, in, nil)
	if err != nil {
		return err
	}
	f.from = from
	separator := im.cfg.Separator
	if f.plain, err = im.isPlain(f, r); err != nil {
		done()
		return err
	}
	if f.plain && separator == "" {
		separator = DefaultSeparator
	}
	form := func(from origin, r *bufio.Reader) iter.Seq2[rawRow, error] {
		switch {
		case f.plain:
			return documents(f.name, r, separator)
		case isCSV(f.path):
			return csvRows(from, r)
		}
		return jsonValues(f.name, r)
	}
	if in == nil {
		done()
		f.rows = opened(f.path, &im.read, form)
	} else {
		f.rows = form(from, r)
		if im.cfg.As == "" && !f.plain {
			f.rows = replay(&f.rows, sampleRows)
		}
	}
	if f.plain {
		f.dialect, err = dialectNamed(textDialect)
		return err
	}
	return im.choose(f)
}

// isPlain says whether a file is plain text: with a separator, by the name .txt, or where a text is asked for and there are no rows.
// A table and JSON have rows, whatever their text is wanted for.
func (im *Import) isPlain(f *importFile, r *bufio.Reader) (bool, error) {
	text := im.cfg.As == "" || im.cfg.As == textDialect
	rows := isCSV(f.path) || hasJSON(r)
	switch {
	case !text:
		return false, nil
	case im.cfg.Separator != "" && isTable(f.path):
		return false, fmt.Errorf("importer: %s has rows by its name, and a separator is for the documents of a plain text: leave the separator out, or give the text as standard input, which is named %s", f.path, Stdin)
	case im.cfg.Separator != "":
		return true, nil
	}
	return !rows && (isPlainText(f.path) || im.cfg.As == textDialect), nil
}

// sampleBytes is how much is kept of a file to recognise it, besides the row that exceeds it.
const sampleBytes = 4 << 20

// choose sets the dialect: the one that was asked for, else what the first rows are in.
func (im *Import) choose(f *importFile) (err error) {
	if im.cfg.As != "" {
		if im.cfg.As == tameDialect {
			return fmt.Errorf("importer: %s is not a dataset of tame", f.name)
		}
		f.dialect, err = dialectNamed(im.cfg.As)
		return err
	}
	var sample []rawRow
	objects, bytesTaken := false, 0
	for row, err := range f.rows {
		if err != nil && len(sample) == 0 {
			return err
		}
		if err != nil {
			break // it comes again when the rows are read
		}
		row.raw = bytes.Clone(row.raw)
		sample = append(sample, row)
		var object fields
		objects = objects || row.err == nil && decode(row.raw, &object) == nil && object != nil
		if bytesTaken += len(row.raw); len(sample) == sampleRows || bytesTaken > sampleBytes {
			break
		}
	}
	im.read = 0
	if len(sample) > 0 && !objects {
		return unreadable(f, sample)
	}
	f.sampled = len(sample)
	f.dialect, f.fitting, err = recognise(f.name, sample)
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
	size := 0
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
			if len(kept) < most && size <= sampleBytes {
				size += len(row.raw)
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
func (im *Import) Schema() data.Schema { return im.files[0].dialect.Rows }

// FileDialect is the dialect that a file is in.
type FileDialect struct {
	File, Dialect string
	// Fitting is how many of the first Sampled rows are in the dialect; both are 0 where it was not recognised by rows.
	Fitting, Sampled int
}

// Files are the files with their dialects, in the order in which they are read.
func (im *Import) Files() []FileDialect {
	list := make([]FileDialect, len(im.files))
	for i, f := range im.files {
		list[i] = FileDialect{f.path, f.dialect.Name, f.fitting, f.sampled}
	}
	return list
}

// Size is how many bytes the files have, as far as that is known.
func (im *Import) Size() int64 { return im.size }

// BytesRead says how many bytes of the files were read.
func (im *Import) BytesRead() int64 { return im.read }

// Report says what was taken and refused until now.
func (im *Import) Report() Report { return im.report }
