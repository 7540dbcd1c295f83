package data

import (
	"errors"
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"
)

// Physical types of Parquet.
const (
	pqBoolean = iota
	pqInt32
	pqInt64
	pqInt96
	pqFloat
	pqDouble
	pqBytes
	pqFixed
)

// Repetitions of a field.
const (
	pqRequired = iota
	pqOptional
	pqRepeated
)

// pqNode is a field of a Parquet schema. A value's definition level says how far down its path there is something, its
// repetition level in which of the lists around it a new element begins.
type pqNode struct {
	name       string
	repetition int
	children   []*pqNode
	element    *pqNode // of a list: what is repeated; for a bare repeated field the node without its repetition

	def, rep int // levels where the field is there
	leaf     int // number of the first leaf
	leaves   int

	physical int
	length   int // of pqFixed, in bytes
	kind     pqKind
	scale    int

	dataType arrow.DataType
}

// pqKind is what a physical value means.
type pqKind int

const (
	pqPlain pqKind = iota
	pqText
	pqUnsigned
	pqDecimal
	pqDate
	pqMillis
	pqMicros
	pqNanos
	pqUUID
	pqHalf
	pqList
	pqNothing
)

const maxColumns = 10000

// parseSchema builds the tree of the list that it is stored as.
func parseSchema(elements []thriftStruct) (*pqNode, error) {
	if len(elements) == 0 || len(elements) > maxColumns {
		return nil, fmt.Errorf("its schema has %d elements, want 1 to %d", len(elements), maxColumns)
	}
	p := schemaParser{elements: elements}
	root, err := p.node(0, 0, 0)
	if err != nil {
		return nil, err
	}
	if p.at != len(elements) || len(root.children) == 0 {
		return nil, errors.New("its schema is damaged")
	}
	return root, nil
}

type schemaParser struct {
	elements []thriftStruct
	at       int
	leaves   int
}

func (p *schemaParser) node(depth, def, rep int) (*pqNode, error) {
	if p.at >= len(p.elements) || depth > 3*maxDepth {
		return nil, errors.New("its schema is damaged")
	}
	e := p.elements[p.at]
	p.at++
	n := &pqNode{name: e.text(4), repetition: int(e.number(3, pqRequired)), def: def, rep: rep, leaf: p.leaves}
	switch {
	case depth == 0:
		n.repetition = pqRequired
	case n.repetition == pqOptional:
		n.def++
	case n.repetition == pqRepeated:
		n.def++
		n.rep++
	case n.repetition != pqRequired:
		return nil, errors.New("its schema is damaged")
	}
	n.kind, n.scale = logicalKind(e)
	children := e.number(5, 0)
	if physical, ok := e.int(1); ok && children == 0 {
		n.physical, n.length = int(physical), int(e.number(2, 0))
		if n.physical < pqBoolean || n.physical > pqFixed || n.physical == pqFixed && (n.length < 1 || n.length > 1<<20) {
			return nil, fmt.Errorf("column %q is of an unknown type", n.name)
		}
		p.leaves++
		n.leaves = 1
		n.dataType = n.leafType()
		return n.repeated(), nil
	}
	if children < 1 || children > int64(len(p.elements)-p.at) {
		return nil, fmt.Errorf("column %q has %d fields", n.name, children)
	}
	for range children {
		child, err := p.node(depth+1, n.def, n.rep)
		if err != nil {
			return nil, err
		}
		n.children = append(n.children, child)
	}
	n.leaves = p.leaves - n.leaf
	n.groupType()
	return n.repeated(), nil
}

// repeated makes a list of a field that is repeated by itself.
func (n *pqNode) repeated() *pqNode {
	if n.repetition != pqRepeated {
		return n
	}
	element := *n
	element.repetition = pqRequired
	list := *n
	list.kind, list.element, list.children = pqList, &element, nil
	list.dataType = arrow.ListOf(element.dataType)
	return &list
}

// groupType finds lists, which are groups around a repeated field, and structs. Maps are lists of keys and values.
func (n *pqNode) groupType() {
	if n.kind == pqList && len(n.children) == 1 && n.children[0].repetition == pqRepeated {
		list := n.children[0]
		element := list.element
		if len(element.children) == 1 && element.kind != pqList && element.name != "array" && element.name != n.name+"_tuple" {
			element = element.children[0] // the usual form: the repeated group has the element in it
		}
		n.element, n.dataType = element, arrow.ListOfField(arrow.Field{Name: "item", Type: element.dataType, Nullable: element.repetition == pqOptional})
		return
	}
	n.kind = pqPlain
	fields := make([]arrow.Field, len(n.children))
	for i, child := range n.children {
		fields[i] = arrow.Field{Name: child.name, Type: child.dataType, Nullable: child.repetition == pqOptional}
	}
	n.dataType = arrow.StructOf(fields...)
}

// logicalKind reads the annotations of a field: the logical type, or the older converted type.
func logicalKind(e thriftStruct) (kind pqKind, scale int) {
	scale = int(e.number(7, 0))
	logical := e.sub(10)
	has := func(id int16) bool { _, ok := logical[id]; return ok }
	switch {
	case has(1), has(4), has(12):
		return pqText, 0
	case has(2), has(3):
		return pqList, 0
	case has(5):
		return pqDecimal, int(logical.sub(5).number(1, 0))
	case has(6):
		return pqDate, 0
	case has(8):
		unit := logical.sub(8).sub(2)
		for id, kind := range map[int16]pqKind{1: pqMillis, 2: pqMicros, 3: pqNanos} {
			if _, ok := unit[id]; ok {
				return kind, 0
			}
		}
	case has(10):
		if signed, ok := logical.sub(10)[2].(bool); ok && !signed {
			return pqUnsigned, 0
		}
	case has(11):
		return pqNothing, 0
	case has(14):
		return pqUUID, 0
	case has(15):
		return pqHalf, 0
	}
	if len(logical) > 0 {
		return pqPlain, 0
	}
	switch e.number(6, -1) {
	case 0, 4, 19:
		return pqText, 0
	case 1, 2, 3:
		return pqList, 0
	case 5:
		return pqDecimal, scale
	case 6:
		return pqDate, 0
	case 9:
		return pqMillis, 0
	case 10:
		return pqMicros, 0
	case 11, 12, 13, 14:
		return pqUnsigned, 0
	}
	return pqPlain, 0
}

// leafType is the Arrow type that a column is read as. Decimals become float64.
func (n *pqNode) leafType() arrow.DataType {
	switch {
	case n.kind == pqDecimal && n.physical != pqBoolean:
		return arrow.PrimitiveTypes.Float64
	case n.physical == pqBoolean:
		return arrow.FixedWidthTypes.Boolean
	case n.physical == pqInt32 && n.kind == pqUnsigned:
		return arrow.PrimitiveTypes.Uint32
	case n.physical == pqInt32 && n.kind == pqDate:
		return arrow.FixedWidthTypes.Date32
	case n.physical == pqInt32:
		return arrow.PrimitiveTypes.Int32
	case n.physical == pqInt64 && n.kind == pqUnsigned:
		return arrow.PrimitiveTypes.Uint64
	case n.physical == pqInt64 && n.kind == pqMillis:
		return &arrow.TimestampType{Unit: arrow.Millisecond}
	case n.physical == pqInt64 && n.kind == pqMicros:
		return &arrow.TimestampType{Unit: arrow.Microsecond}
	case n.physical == pqInt64 && n.kind == pqNanos, n.physical == pqInt96:
		return &arrow.TimestampType{Unit: arrow.Nanosecond}
	case n.physical == pqInt64:
		return arrow.PrimitiveTypes.Int64
	case n.physical == pqFloat:
		return arrow.PrimitiveTypes.Float32
	case n.physical == pqDouble:
		return arrow.PrimitiveTypes.Float64
	case n.physical == pqFixed && n.kind == pqHalf && n.length == 2:
		return arrow.PrimitiveTypes.Float32
	case n.kind == pqText, n.kind == pqUUID && n.physical == pqFixed && n.length == 16:
		return arrow.BinaryTypes.String
	}
	return arrow.BinaryTypes.Binary
}
