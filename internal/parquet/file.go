package parquet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
)

// Magic is how a Parquet file begins and ends.
const Magic = "PAR1"

// JSON is the name of the extension type that the fields of columns of JSON have in their metadata, as in Arrow files.
const JSON = "arrow.json"

// Limits of what is read.
const (
	maxFooter  = 128 << 20 // bytes of the description of a file
	maxMeta    = 384 << 20 // bytes that the description takes in memory
	maxPages   = 384 << 20 // bytes of the unpacked pages at hand, one for each column; usual ones have a MiB
	maxWindow  = 128 << 20 // how far back Zstandard may refer, so how much memory it takes
	maxRow     = 64 << 20  // bytes of a row in memory
	maxColumns = 10000
	maxDepth   = 24 // of nested fields

	// A record has at most that many rows, and is closed at about that many bytes.
	recordRows  = 1024
	recordBytes = 4 << 20
)

var errLongRow = fmt.Errorf("longer than %d MiB", maxRow>>20)

// File is an open Parquet file. It is read in one goroutine at a time.
type File struct {
	file   io.ReaderAt
	mem    memory.Allocator
	end    int64 // where the footer begins
	root   *node
	groups []thriftStruct
	schema *arrow.Schema
	read   int // rows since Records was called
}

// Open reads the description of a file of that many bytes. The records that it gives are made in mem.
func Open(file io.ReaderAt, bytesInFile int64, mem memory.Allocator) (*File, error) {
	tail := make([]byte, 8)
	if bytesInFile < 12 {
		return nil, fmt.Errorf("is not a Parquet file: it has %d bytes", bytesInFile)
	}
	if _, err := file.ReadAt(tail, bytesInFile-8); err != nil {
		return nil, err
	}
	switch {
	case bytes.Equal(tail[4:], []byte("PARE")):
		return nil, errors.New("is encrypted")
	case !bytes.Equal(tail[4:], []byte(Magic)):
		return nil, errors.New(`is cut off: it does not end with "PAR1"`)
	}
	size := int64(binary.LittleEndian.Uint32(tail))
	if size > bytesInFile-12 || size > maxFooter {
		return nil, fmt.Errorf("%w: the footer claims %d of the file's %d bytes", errThrift, size, bytesInFile)
	}
	p := &File{file: file, mem: mem, end: bytesInFile - 8 - size}
	footer := make([]byte, size)
	if _, err := file.ReadAt(footer, p.end); err != nil {
		return nil, err
	}
	meta, _, err := parseThrift(footer)
	if err != nil {
		return nil, err
	}
	return p, p.describe(meta)
}

// describe takes the schema and the row groups from the footer.
func (p *File) describe(meta thriftStruct) error {
	if _, encrypted := meta[8]; encrypted {
		return errors.New("is encrypted")
	}
	elements, err := meta.structs(2)
	if err != nil {
		return err
	}
	if p.groups, err = meta.structs(4); err != nil {
		return err
	}
	if p.root, err = parseSchema(elements); err != nil {
		return err
	}
	pairs, err := meta.structs(5)
	if err != nil {
		return err
	}
	var keys, values []string
	for _, pair := range pairs {
		if key := pair.text(1); key != "ARROW:schema" {
			keys, values = append(keys, key), append(values, pair.text(2))
		}
	}
	kv := arrow.NewMetadata(keys, values)
	p.schema = arrow.NewSchema(p.root.dataType.(*arrow.StructType).Fields(), &kv)
	return nil
}

// Schema has the types that columns are read as, and the file's key-value metadata.
func (p *File) Schema() *arrow.Schema { return p.schema }

// NumRows is the number of rows that the file claims to have, -1 if it could not hold so many.
func (p *File) NumRows() int {
	n := p.claimed()
	if limit := min(100*p.end+1<<20, 8<<30, math.MaxInt); n < 0 || int64(n) > limit { // a hundred rows in a byte
		return -1
	}
	return n
}

func (p *File) claimed() int {
	n := 0
	for _, group := range p.groups {
		n += int(max(0, group.number(3, 0)))
	}
	return n
}

// Progress is the share of the rows that were read since the last call of Records.
func (p *File) Progress() float64 { return float64(p.read) / float64(max(1, p.claimed())) }

// Records starts at the first row and returns a function that reads the next record, until io.EOF. The caller releases
// the records.
func (p *File) Records() func() (arrow.Record, error) {
	group := 0
	var columns []*column
	left := int64(0)
	p.read = 0
	return func() (arrow.Record, error) {
		for left == 0 {
			if group == len(p.groups) {
				return nil, io.EOF
			}
			if left = p.groups[group].number(3, 0); left < 0 {
				return nil, errThrift
			}
			group++
			if left == 0 { // nothing is said of its columns that would mean anything
				continue
			}
			var err error
			if columns, err = p.open(p.groups[group-1]); err != nil {
				return nil, fmt.Errorf("row group %d: %w", group-1, err)
			}
		}
		b := array.NewRecordBuilder(p.mem, p.schema)
		defer b.Release()
		r := assembler{columns: columns}
		for rows := 0; rows < recordRows && r.size < recordBytes && left > 0; rows++ {
			if err := r.row(p.root, b); err != nil {
				return nil, fmt.Errorf("row group %d: %w", group-1, err)
			}
			left--
			p.read++
		}
		return b.NewRecord(), nil
	}
}

func (p *File) open(group thriftStruct) ([]*column, error) {
	chunks, err := group.structs(1)
	if err != nil {
		return nil, err
	}
	if len(chunks) != p.root.leaves {
		return nil, fmt.Errorf("has %d columns, the schema has %d", len(chunks), p.root.leaves)
	}
	columns := make([]*column, 0, len(chunks))
	held := new(int64)
	err = p.root.eachLeaf(func(n *node) error {
		c, err := newColumn(n, p.file, chunks[n.leaf], p.end, held)
		columns = append(columns, c)
		return err
	})
	return columns, err
}

func (n *node) eachLeaf(visit func(n *node) error) error {
	switch {
	case n.element != nil && len(n.children) == 0:
		return n.element.eachLeaf(visit)
	case len(n.children) == 0:
		return visit(n)
	}
	for _, child := range n.children {
		if err := child.eachLeaf(visit); err != nil {
			return err
		}
	}
	return nil
}
