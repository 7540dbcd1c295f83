package importer

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// maxRow is how long a row may be: where a file is read row by row, this bounds the memory.
const maxRow = 64 << 20

var errLongRow = fmt.Errorf("longer than %d MiB", maxRow>>20)

// openText opens a file or takes a stream that is open already, unpacks gzip and Zstandard (known by their content) and
// drops a byte order mark. count is told the bytes that were read of the file; it may be nil.
func openText(path string, in io.Reader, count *int64) (r *bufio.Reader, from origin, done func(), err error) {
	from = origin{path: path, stdin: in != nil}
	closeFile := func() {}
	if in == nil {
		file, err := os.Open(path)
		if err != nil {
			return nil, from, nil, fmt.Errorf("importer: %w", err)
		}
		closeFile = func() { file.Close() }
		in = file
	}
	if count != nil {
		in = io.TeeReader(in, (*counter)(count))
	}
	r, unpacked, err := from.unpack(bufio.NewReaderSize(in, 1<<16))
	if err == nil {
		err = foreign(from, r)
	}
	if err != nil {
		closeFile()
		return nil, from, nil, fmt.Errorf("importer: %s: %w", path, err)
	}
	if mark, _ := r.Peek(3); bytes.Equal(mark, byteOrderMark) {
		_, _ = r.Discard(3)
	}
	return r, from, func() {
		unpacked()
		closeFile()
	}, nil
}

// counter counts the bytes that go through a reader.
type counter int64

// Write is io.Writer's.
func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

var (
	byteOrderMark = []byte("\ufeff")
	gzipMagic     = []byte{0x1f, 0x8b}
	zstdMagic     = []byte{0x28, 0xb5, 0x2f, 0xfd}
)

// maxWindow is how far back a Zstandard file may refer, so how much memory it takes: `zstd --long=27` uses 128 MiB.
const maxWindow = 128 << 20

func (o *origin) unpack(r *bufio.Reader) (*bufio.Reader, func(), error) {
	magic, _ := r.Peek(4)
	switch {
	case bytes.HasPrefix(magic, gzipMagic):
		o.packed = "gzip"
		unpacked, err := gzip.NewReader(r)
		if err != nil {
			return nil, nil, err
		}
		return bufio.NewReaderSize(unpacked, 1<<16), func() {}, nil
	case bytes.HasPrefix(magic, zstdMagic):
		o.packed = "zstd"
		unpacked, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, nil, err
		}
		return bufio.NewReaderSize(unpacked, 1<<16), unpacked.Close, nil
	}
	return r, func() {}, nil
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

// hasJSON says whether a text begins as an object or an array of JSON does. It leaves the beginning unread.
func hasJSON(r *bufio.Reader) bool {
	first, err := firstByte(r)
	if err != nil || first != '{' && first != '[' {
		return false
	}
	head, _ := r.Peek(512)
	head = bytes.TrimLeft(bytes.TrimLeft(head, " \t\r\n")[1:], " \t\r\n")
	if len(head) == 0 {
		return false
	}
	if first == '{' {
		return head[0] == '"' || head[0] == '}'
	}
	return head[0] == '{' || head[0] == ']' || head[0] == '"'
}

// baseName is a path without the endings of compression, in lower case.
func baseName(path string) string {
	return strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(path), ".gz"), ".zst")
}

// isPlainText goes by the name: .txt, packed or not.
func isPlainText(path string) bool { return strings.HasSuffix(baseName(path), ".txt") }

// isTable goes by the name: one of the forms that have rows.
func isTable(path string) bool {
	name := baseName(path)
	return isCSV(path) || strings.HasSuffix(name, ".json") || strings.HasSuffix(name, ".jsonl") || strings.HasSuffix(name, ".ndjson")
}

// isCSV goes by the name: .csv or .tsv, packed or not.
func isCSV(path string) bool {
	return strings.HasSuffix(baseName(path), ".csv") || strings.HasSuffix(baseName(path), ".tsv")
}
