package parquet

import (
	"errors"
	"fmt"
	"math"
	"math/big"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/float16"
)

// assembler puts the columns of a row group together to rows.
type assembler struct {
	columns []*column
	size    int // bytes of the batch, about
	inRow   int
}

func (r *assembler) row(root *node, b *array.RecordBuilder) error {
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
func (r *assembler) level(n *node) (int, error) {
	def, _, ok, err := r.columns[n.leaf].peek()
	if err == nil && !ok {
		err = fmt.Errorf("column %q has fewer values than it claims", r.columns[n.leaf].n.name)
	}
	return def, err
}

func (r *assembler) skip(n *node) error {
	for _, c := range r.columns[n.leaf : n.leaf+n.leaves] {
		if _, _, ok, err := c.peek(); err != nil || !ok {
			return errors.Join(err, fmt.Errorf("column %q: %w", c.n.name, errPage))
		}
		c.skip()
	}
	return nil
}

// field reads a field that may be missing.
func (r *assembler) field(n *node, b array.Builder) error {
	if err := r.add(16); err != nil { // what an element costs, even if it is null
		return err
	}
	if n.repetition == optional {
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
	case n.logical == logicalList && n.element != nil:
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

func (r *assembler) list(n *node, b *array.ListBuilder) error {
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

func (r *assembler) leaf(n *node, b array.Builder) error {
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
		if n.physical == physicalFixed {
			b.Append(float16.FromLEBytes(v.b).Float32())
			return nil
		}
		b.Append(math.Float32frombits(uint32(v.x)))
	case *array.Float64Builder:
		b.Append(n.float(v))
	case *array.StringBuilder:
		if n.logical == logicalUUID {
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
func (n *node) float(v value) float64 {
	if n.logical != logicalDecimal {
		return math.Float64frombits(v.x)
	}
	unscaled := new(big.Int)
	switch n.physical {
	case physicalInt32:
		unscaled.SetInt64(int64(int32(v.x)))
	case physicalInt64:
		unscaled.SetInt64(int64(v.x))
	case physicalFloat:
		return float64(math.Float32frombits(uint32(v.x)))
	case physicalDouble:
		return math.Float64frombits(v.x)
	default: // two's complement, the highest byte first
		if unscaled.SetBytes(v.b); len(v.b) > 0 && v.b[0] >= 0x80 {
			unscaled.Sub(unscaled, new(big.Int).Lsh(big.NewInt(1), uint(8*len(v.b))))
		}
	}
	x, _ := new(big.Float).SetInt(unscaled).Float64()
	return x / math.Pow10(min(max(n.scale, -300), 300))
}
