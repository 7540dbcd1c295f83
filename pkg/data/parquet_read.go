package data

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"os"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/float16"
	"github.com/apache/arrow/go/v15/arrow/memory"
)

var parquetMagic = []byte("PAR1")

// maxFooter is how large the description of a Parquet file may be.
const maxFooter = 128 << 20

// parquetFile reads a Parquet file in batches of rows.
type parquetFile struct {
	file   *os.File
	mem    memory.Allocator
	end    int64 // where the footer begins
	root   *pqNode
	groups []thriftStruct
	arrow  *arrow.Schema
	read   int // rows since begin
}

func openParquet(file *os.File, mem memory.Allocator) (*parquetFile, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	tail := make([]byte, 8)
	if info.Size() < 12 {
		return nil, fmt.Errorf("is not a Parquet file: it has %d bytes", info.Size())
	}
	if _, err := file.ReadAt(tail, info.Size()-8); err != nil {
		return nil, err
	}
	switch {
	case bytes.Equal(tail[4:], []byte("PARE")):
		return nil, errors.New("is encrypted")
	case !bytes.Equal(tail[4:], parquetMagic):
		return nil, errors.New(`is cut off: it does not end with "PAR1"`)
	}
	size := int64(binary.LittleEndian.Uint32(tail))
	if size > info.Size()-12 || size > maxFooter {
		return nil, fmt.Errorf("%w: the footer claims %d of the file's %d bytes", errThrift, size, info.Size())
	}
	p := &parquetFile{file: file, mem: mem, end: info.Size() - 8 - size}
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
func (p *parquetFile) describe(meta thriftStruct) error {
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
	p.arrow = arrow.NewSchema(p.root.dataType.(*arrow.StructType).Fields(), &kv)
	return nil
}

func (p *parquetFile) schema() *arrow.Schema { return p.arrow }

func (p *parquetFile) close() {}

func (p *parquetFile) done() float64 { return float64(p.read) / float64(max(1, p.rows())) }

// rows is how many rows the file says that it has.
func (p *parquetFile) rows() int {
	n := 0
	for _, group := range p.groups {
		n += int(max(0, group.number(3, 0)))
	}
	return n
}

// begin returns a function that reads the next batch, until io.EOF.
func (p *parquetFile) begin() func() (arrow.Record, error) {
	group := 0
	var columns []*pqColumn
	left := int64(0)
	p.read = 0
	return func() (arrow.Record, error) {
		for left == 0 {
			if group == len(p.groups) {
				return nil, io.EOF
			}
			var err error
			if columns, err = p.open(p.groups[group]); err != nil {
				return nil, fmt.Errorf("row group %d: %w", group, err)
			}
			if left = p.groups[group].number(3, 0); left < 0 {
				return nil, errThrift
			}
			group++
		}
		b := array.NewRecordBuilder(p.mem, p.arrow)
		defer b.Release()
		r := assembler{columns: columns}
		for rows := 0; rows < batchRows && r.size < batchBytes && left > 0; rows++ {
			if err := r.row(p.root, b); err != nil {
				return nil, fmt.Errorf("row group %d: %w", group-1, err)
			}
			left--
			p.read++
		}
		return b.NewRecord(), nil
	}
}

func (p *parquetFile) open(group thriftStruct) ([]*pqColumn, error) {
	chunks, err := group.structs(1)
	if err != nil {
		return nil, err
	}
	if len(chunks) != p.root.leaves {
		return nil, fmt.Errorf("has %d columns, the schema has %d", len(chunks), p.root.leaves)
	}
	columns := make([]*pqColumn, 0, len(chunks))
	err = p.root.eachLeaf(func(n *pqNode) error {
		c, err := newPqColumn(n, p.file, chunks[n.leaf], p.end)
		columns = append(columns, c)
		return err
	})
	return columns, err
}

func (n *pqNode) eachLeaf(visit func(n *pqNode) error) error {
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

// assembler puts the columns of a row group together to rows.
type assembler struct {
	columns []*pqColumn
	size    int // bytes of the batch, about
	inRow   int
}

func (r *assembler) row(root *pqNode, b *array.RecordBuilder) error {
	r.inRow = 0
	for i, child := range root.children {
		for _, c := range r.columns[child.leaf : child.leaf+child.leaves] {
			_, rep, ok, err := c.peek()
			switch {
			case err != nil:
				return err
			case !ok:
				return fmt.Errorf("column %q has fewer rows than the row group", c.n.name)
			case rep != 0:
				return fmt.Errorf("column %q: a row begins inside of a list", c.n.name)
			}
		}
		if err := r.field(child, b.Field(i)); err != nil {
			return err
		}
	}
	r.size += r.inRow
	return nil
}

// add counts the memory of a row.
func (r *assembler) add(bytes int) error {
	if r.inRow += bytes; r.inRow > maxRow {
		return errLongRow
	}
	return nil
}

// level is the definition level of what is next below a node.
func (r *assembler) level(n *pqNode) (int, error) {
	def, _, ok, err := r.columns[n.leaf].peek()
	if err == nil && !ok {
		err = fmt.Errorf("column %q has fewer values than it claims", r.columns[n.leaf].n.name)
	}
	return def, err
}

func (r *assembler) skip(n *pqNode) error {
	for _, c := range r.columns[n.leaf : n.leaf+n.leaves] {
		if _, _, ok, err := c.peek(); err != nil || !ok {
			return errors.Join(err, fmt.Errorf("column %q: %w", c.n.name, errPage))
		}
		c.skip()
	}
	return nil
}

// field reads a field that may be missing.
func (r *assembler) field(n *pqNode, b array.Builder) error {
	if err := r.add(16); err != nil { // what an element costs, even if it is null
		return err
	}
	if n.repetition == pqOptional {
		def, err := r.level(n)
		if err != nil {
			return err
		}
		if def < n.def {
			b.AppendNull()
			return r.skip(n)
		}
	}
	switch {
	case n.kind == pqList && n.element != nil:
		return r.list(n, b.(*array.ListBuilder))
	case len(n.children) > 0:
		s := b.(*array.StructBuilder)
		s.Append(true)
		for i, child := range n.children {
			if err := r.field(child, s.FieldBuilder(i)); err != nil {
				return err
			}
		}
		return nil
	}
	return r.leaf(n, b)
}

func (r *assembler) list(n *pqNode, b *array.ListBuilder) error {
	b.Append(true)
	list := n // the node with the repetition
	if len(n.children) == 1 {
		list = n.children[0]
	}
	def, err := r.level(list)
	if err != nil {
		return err
	}
	if def < list.def {
		return r.skip(list)
	}
	for {
		if err := r.field(n.element, b.ValueBuilder()); err != nil {
			return err
		}
		_, rep, _, err := r.columns[list.leaf].peek()
		if err != nil || rep < list.rep {
			return err
		}
		if rep > list.rep {
			return fmt.Errorf("column %q: its lists do not fit together", r.columns[list.leaf].n.name)
		}
	}
}

func (r *assembler) leaf(n *pqNode, b array.Builder) error {
	c := r.columns[n.leaf]
	def, err := r.level(n)
	if err != nil {
		return err
	}
	if def < n.def {
		return fmt.Errorf("column %q: a value is missing that must be there", n.name)
	}
	v, err := c.value()
	if err != nil {
		return err
	}
	if err := r.add(len(v.b) + 8); err != nil {
		return err
	}
	switch b := b.(type) {
	case *array.BooleanBuilder:
		b.Append(v.x&1 == 1)
	case *array.Int32Builder:
		b.Append(int32(v.x))
	case *array.Uint32Builder:
		b.Append(uint32(v.x))
	case *array.Date32Builder:
		b.Append(arrow.Date32(int32(v.x)))
	case *array.Int64Builder:
		b.Append(int64(v.x))
	case *array.Uint64Builder:
		b.Append(v.x)
	case *array.TimestampBuilder:
		b.Append(arrow.Timestamp(v.x))
	case *array.Float32Builder:
		if n.physical == pqFixed {
			b.Append(float16.FromLEBytes(v.b).Float32())
			return nil
		}
		b.Append(math.Float32frombits(uint32(v.x)))
	case *array.Float64Builder:
		b.Append(n.float(v))
	case *array.StringBuilder:
		if n.kind == pqUUID {
			b.Append(fmt.Sprintf("%x-%x-%x-%x-%x", v.b[:4], v.b[4:6], v.b[6:8], v.b[8:10], v.b[10:]))
			return nil
		}
		b.BinaryBuilder.Append(v.b)
	case *array.BinaryBuilder:
		b.Append(v.b)
	}
	return nil
}

// float is a double or a decimal.
func (n *pqNode) float(v pqValue) float64 {
	if n.kind != pqDecimal {
		return math.Float64frombits(v.x)
	}
	unscaled := new(big.Int)
	switch n.physical {
	case pqInt32:
		unscaled.SetInt64(int64(int32(v.x)))
	case pqInt64:
		unscaled.SetInt64(int64(v.x))
	case pqFloat:
		return float64(math.Float32frombits(uint32(v.x)))
	case pqDouble:
		return math.Float64frombits(v.x)
	default: // two's complement, the highest byte first
		if unscaled.SetBytes(v.b); len(v.b) > 0 && v.b[0] >= 0x80 {
			unscaled.Sub(unscaled, new(big.Int).Lsh(big.NewInt(1), uint(8*len(v.b))))
		}
	}
	x, _ := new(big.Float).SetInt(unscaled).Float64()
	return x / math.Pow10(min(max(n.scale, -300), 300))
}
