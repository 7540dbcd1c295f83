package importer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// origin is where a text comes from.
type origin struct {
	path   string
	stdin  bool
	packed string // the program that unpacks it, if it is packed
}

// packers are the endings that programs give to what they pack.
var packers = []string{".gz", ".zst", ".xz", ".bz2", ".lz4"}

// fix is the command that turns it into a file that can be read, by a program from standard input to standard output.
func (o origin) fix(program, ending string) string {
	if o.stdin {
		return "pipe it through " + program
	}
	out := o.path
	for slices.Contains(packers, filepath.Ext(out)) {
		out = strings.TrimSuffix(out, filepath.Ext(out))
	}
	ext := filepath.Ext(out) // is kept, because CSV is known by it
	if ending == "" && (out == o.path || ext == "") {
		ending = ".unpacked"
	}
	out = strings.TrimSuffix(out, ext) + ending + ext
	in := program + " < " + shellWord(o.path)
	if o.packed != "" {
		in = o.packed + " -dc < " + shellWord(o.path) + " | " + program
	}
	return in + " > " + shellWord(out)
}

// shellWord quotes a name for a shell where it has to be.
func shellWord(name string) string {
	plain := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("/._-+=:@,%", c)
	}
	if name != "" && strings.IndexFunc(name, func(c rune) bool { return !plain(c) }) < 0 {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

// magics are the beginnings of files that are not text: what they are, and what helps.
var magics = []struct {
	begins  string
	what    string
	program string // from standard input to standard output
	advice  string
}{
	{begins: "\xfd7zXZ\x00", what: "packed with xz", program: "xz -dc"},
	{begins: "BZh", what: "packed with bzip2", program: "bzip2 -dc"},
	{begins: "PK\x03\x04", what: "a ZIP archive or an Excel workbook", advice: "unpack it with unzip and name the files in it, or save the workbook as CSV"},
	{begins: "PK\x05\x06", what: "a ZIP archive without files", advice: "name another file"},
	{begins: "7z\xbc\xaf\x27\x1c", what: "a 7-Zip archive", advice: "unpack it with 7z x and name the files in it"},
	{begins: "\x04\x22\x4d\x18", what: "packed with LZ4", program: "lz4 -dc"},
	{begins: "\x1f\x8b", what: "packed twice with gzip", program: "gzip -dc"},
	{begins: "\x28\xb5\x2f\xfd", what: "packed twice, the second time with Zstandard", program: "zstd -dc"},
	{begins: "PAR1", what: "a Parquet file", advice: "columns are read from a file that is not packed, not from a stream: name the unpacked file"},
	{begins: "ARROW1", what: "an Arrow file", advice: "columns are read from a file that is not packed, not from a stream: name the unpacked file"},
	{begins: "\xff\xff\xff\xff", what: "an Arrow stream", advice: "columns are read from a file that is not packed, not from a stream: name the unpacked file"},
	{begins: "FEA1", what: "a Feather file of version 1", advice: "write version 2, which pyarrow does by default"},
	{begins: "SQLite format 3\x00", what: "an SQLite database", advice: "export a table as CSV"},
	{begins: "%PDF-", what: "a PDF file", advice: "extract its text"},
	{begins: "version https://git-lfs", what: "a pointer of Git LFS, not the data", advice: "fetch it with git lfs pull"},
	{begins: "<!DOCTYPE html", what: "an HTML page", advice: "a download that failed often leaves one: fetch the file again"},
	{begins: "\xff\xfe\x00\x00", what: "in UTF-32", program: "iconv -f UTF-32 -t UTF-8"},
	{begins: "\x00\x00\xfe\xff", what: "in UTF-32", program: "iconv -f UTF-32 -t UTF-8"},
	{begins: "\xff\xfe", what: "in UTF-16", program: "iconv -f UTF-16 -t UTF-8"},
	{begins: "\xfe\xff", what: "in UTF-16", program: "iconv -f UTF-16 -t UTF-8"},
}

// errForeign says that a file is not text that can be read here.
type errForeign struct{ reason string }

func (e errForeign) Error() string { return e.reason }

// foreign looks at the beginning of a text and says what it is, if it is something else.
func foreign(from origin, r *bufio.Reader) error {
	head, _ := r.Peek(512)
	say := func(what, program, advice string) error {
		if program != "" {
			ending := ""
			if strings.HasPrefix(program, "iconv") {
				ending = ".utf8"
			}
			advice = from.fix(program, ending)
		}
		return errForeign{fmt.Sprintf("it is %s: %s", what, advice)}
	}
	for _, m := range magics {
		if bytes.HasPrefix(head, []byte(m.begins)) && (m.begins != "BZh" || len(head) > 10 && string(head[4:10]) == "1AY&SY") {
			return say(m.what, m.program, m.advice)
		}
	}
	if len(head) > 262 && string(head[257:262]) == "ustar" {
		return say("a tar archive", "", "unpack it with tar -xf and name the files in it")
	}
	if encoding := wideEncoding(head); encoding != "" {
		return say("in UTF-16 without a byte order mark", "iconv -f "+encoding+" -t UTF-8", "")
	}
	return nil
}

// wideEncoding finds UTF-16 by the zeros that it has in every character of ASCII.
func wideEncoding(head []byte) string {
	little, big := 0, 0
	for i := 0; i+1 < len(head); i += 2 {
		switch {
		case head[i] != 0 && head[i+1] == 0:
			little++
		case head[i] == 0 && head[i+1] != 0:
			big++
		}
	}
	switch pairs := len(head) / 2; {
	case little > pairs/4 && big == 0:
		return "UTF-16LE"
	case big > pairs/4 && little == 0:
		return "UTF-16BE"
	}
	return ""
}

// latin1 is what helps where a text has bytes that UTF-8 does not.
func latin1(from origin) string {
	return "if it is in Latin-1 or Windows-1252: " + from.fix("iconv -f WINDOWS-1252 -t UTF-8", ".utf8")
}

// unreadable says why none of the first rows of a file is an object.
func unreadable(f *importFile, rows []rawRow) error {
	first := rows[0]
	from := f.from
	err := first.err
	var object fields
	if err == nil {
		err = decode(first.raw, &object)
	}
	text := string(first.raw[:min(len(first.raw), 40)])
	what := ""
	switch {
	case errors.Is(err, errUTF8):
		what = "it is not in UTF-8: " + latin1(from)
	case first.err != nil:
		what = first.err.Error()
	case err == nil || first.raw[0] != '{' && first.raw[0] != '[' && bytes.ContainsRune([]byte(`"0123456789-tfn`), rune(first.raw[0])) && decode(first.raw, new(any)) == nil:
		what = fmt.Sprintf("its rows are such as %q, want JSON objects", text)
	case len(rows) > 1 && (first.raw[0] == '{' || first.raw[0] == '[') && strings.HasSuffix(err.Error(), "unexpected end of JSON input"):
		what = "its first object goes on over several lines, want one in each line: " + from.fix("jq -c .", ".lines")
	case first.raw[0] == '{' || first.raw[0] == '[':
		what = err.Error()
	default:
		what = fmt.Sprintf("it is not JSON: it begins with %q; CSV and TSV are known by names that end in .csv or .tsv, plain text by .txt or a separator", text)
	}
	return fmt.Errorf("importer: %s:%d: %s", f.name, first.line, what)
}
