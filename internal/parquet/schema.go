package parquet

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/ipc"
)

// Physical types of Parquet.
const (
	physicalBoolean = iota
	physicalInt32
	physicalInt64
	physicalInt96
	physicalFloat
	physicalDouble
	physicalByteArray
	physicalFixed
)

// Repetitions of a field.
const (
	required = iota
	optional
	repeated
)

// node is a field of a Parquet schema. A value's definition level says how far down its path there is something, its
// repetition level in which of the lists around it a new element begins.
type node struct {
	name       string
	repetition int
	children   []*node
	element    *node // of a list: what is repeated; for a bare repeated field the node without its repetition

	def, rep int // levels where the field is there
	leaf     int // number of the first leaf
	leaves   int

	physical int
	length   int // of physicalFixed, in bytes
	logical  logicalType
	scale    int

	dataType arrow.DataType
}

// logicalType is what a physical value means.
type logicalType int

const (
	noLogical logicalType = iota
	logicalString
	logicalJSON
	logicalUnsigned
	logicalDecimal
	logicalDate
	logicalMillis
	logicalMicros
	logicalNanos
	logicalUUID
	logicalFloat16
	logicalList
	logicalNull
)

// parseSchema builds the tree of the list that it is stored as.
func parseSchema(elements []thriftStruct) (*node, error) {
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

func (p *schemaParser) node(depth, def, rep int) (*node, error) {
	if p.at >= len(p.elements) || depth > maxDepth {
		return nil, errors.New("its schema is damaged")
	}
	e := p.elements[p.at]
	p.at++
	n := &node{name: e.text(4), repetition: int(e.number(3, required)), def: def, rep: rep, leaf: p.leaves}
	switch {
	case depth == 0:
		n.repetition = required
	case n.repetition == optional:
		n.def++
	case n.repetition == repeated:
		n.def++
		n.rep++
	case n.repetition != required:
		return nil, errors.New("its schema is damaged")
	}
	n.logical, n.scale = logicalKind(e)
	children := e.number(5, 0)
	if physical, ok := e.int(1); ok && children == 0 {
		n.physical, n.length = int(physical), int(e.number(2, 0))
		if n.physical < physicalBoolean || n.physical > physicalFixed || n.physical == physicalFixed && (n.length < 1 || n.length > 1<<20) {
			return nil, fmt.Errorf("column %q is of an unknown type", n.name)
		}
		p.leaves++
		n.leaves = 1
		n.dataType = n.leafType()
		return n.repeated(), nil
	}
	if depth == 0 && children == 0 {
		return nil, errors.New("it has no columns")
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
func (n *node) repeated() *node {
	if n.repetition != repeated {
		return n
	}
	element := *n
	element.repetition = required
	list := *n
	list.logical, list.element, list.children = logicalList, &element, nil
	list.dataType = arrow.ListOf(element.dataType)
	return &list
}

// groupType finds lists, which are groups around a repeated field, and structs. Maps are lists of keys and values.
func (n *node) groupType() {
	if n.logical == logicalList && len(n.children) == 1 && n.children[0].repetition == repeated {
		list := n.children[0]
		element := list.element
		if len(element.children) == 1 && element.logical != logicalList && element.name != "array" && element.name != n.name+"_tuple" {
			element = element.children[0] // the usual form: the repeated group has the element in it
		}
		n.element, n.dataType = element, arrow.ListOfField(element.field("item"))
		return
	}
	n.logical = noLogical
	fields := make([]arrow.Field, len(n.children))
	for i, child := range n.children {
		fields[i] = child.field(child.name)
	}
	n.dataType = arrow.StructOf(fields...)
}

func (n *node) field(name string) arrow.Field {
	f := arrow.Field{Name: name, Type: n.dataType, Nullable: n.repetition == optional}
	if n.logical == logicalJSON && n.dataType.ID() == arrow.STRING {
		f.Metadata = arrow.NewMetadata([]string{ipc.ExtensionTypeKeyName}, []string{JSON})
	}
	return f
}

// What the numbers of annotations mean that need no further look: fields of the union of logical types, units of a
// timestamp, and the older converted types.
var (
	logicalTypes = [...]logicalType{
		1: logicalString, 2: logicalList, 3: logicalList, 4: logicalString, 6: logicalDate, 11: logicalNull, 12: logicalJSON,
		14: logicalUUID, 15: logicalFloat16,
	}
	timeUnits      = [...]logicalType{1: logicalMillis, 2: logicalMicros, 3: logicalNanos}
	convertedTypes = map[int64]logicalType{
		0: logicalString, 1: logicalList, 2: logicalList, 3: logicalList, 4: logicalString, 5: logicalDecimal, 6: logicalDate,
		9: logicalMillis, 10: logicalMicros,
		11: logicalUnsigned, 12: logicalUnsigned, 13: logicalUnsigned, 14: logicalUnsigned, 19: logicalJSON,
	}
)

// logicalKind reads the annotations of a field: the logical type, or the older converted type.
func logicalKind(e thriftStruct) (kind logicalType, scale int) {
	logical := e.sub(10)
	if len(logical) == 0 {
		return convertedTypes[e.number(6, -1)], int(e.number(7, 0))
	}
	if _, decimal := logical[5]; decimal {
		return logicalDecimal, int(logical.sub(5).number(1, 0))
	}
	if signed, ok := logical.sub(10)[2].(bool); ok && !signed {
		return logicalUnsigned, 0
	}
	return cmp.Or(logical.first(logicalTypes[:]), logical.sub(8).sub(2).first(timeUnits[:])), 0
}

// first is the kind of the first field that is there.
func (s thriftStruct) first(kinds []logicalType) logicalType {
	for id, kind := range kinds {
		if _, ok := s[int16(id)]; ok && kind != noLogical {
			return kind
		}
	}
	return noLogical
}

// leafType is the Arrow type that a column is read as. Decimals become float64.
func (n *node) leafType() arrow.DataType {
	switch {
	case n.logical == logicalDecimal && n.physical != physicalBoolean:
		return arrow.PrimitiveTypes.Float64
	case n.physical == physicalBoolean:
		return arrow.FixedWidthTypes.Boolean
	case n.physical == physicalInt32 && n.logical == logicalUnsigned:
		return arrow.PrimitiveTypes.Uint32
	case n.physical == physicalInt32 && n.logical == logicalDate:
		return arrow.FixedWidthTypes.Date32
	case n.physical == physicalInt32:
		return arrow.PrimitiveTypes.Int32
	case n.physical == physicalInt64 && n.logical == logicalUnsigned:
		return arrow.PrimitiveTypes.Uint64
	case n.physical == physicalInt64 && n.logical == logicalMillis:
		return &arrow.TimestampType{Unit: arrow.Millisecond}
	case n.physical == physicalInt64 && n.logical == logicalMicros:
		return &arrow.TimestampType{Unit: arrow.Microsecond}
	case n.physical == physicalInt64 && n.logical == logicalNanos, n.physical == physicalInt96:
		return &arrow.TimestampType{Unit: arrow.Nanosecond}
	case n.physical == physicalInt64:
		return arrow.PrimitiveTypes.Int64
	case n.physical == physicalFloat:
		return arrow.PrimitiveTypes.Float32
	case n.physical == physicalDouble:
		return arrow.PrimitiveTypes.Float64
	case n.physical == physicalFixed && n.logical == logicalFloat16 && n.length == 2:
		return arrow.PrimitiveTypes.Float32
	case n.logical == logicalString, n.logical == logicalJSON, n.logical == logicalUUID && n.physical == physicalFixed && n.length == 16:
		return arrow.BinaryTypes.String
	}
	return arrow.BinaryTypes.Binary
}
