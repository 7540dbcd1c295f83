package data

import (
	"fmt"
	"math"
	"reflect"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
)

// numberTypes are the Arrow types that Go's numbers are written as; int and uint have 64 bits.
var numberTypes = map[reflect.Kind]arrow.DataType{
	reflect.Int:     arrow.PrimitiveTypes.Int64,
	reflect.Int64:   arrow.PrimitiveTypes.Int64,
	reflect.Int32:   arrow.PrimitiveTypes.Int32,
	reflect.Int16:   arrow.PrimitiveTypes.Int16,
	reflect.Int8:    arrow.PrimitiveTypes.Int8,
	reflect.Uint:    arrow.PrimitiveTypes.Uint64,
	reflect.Uint64:  arrow.PrimitiveTypes.Uint64,
	reflect.Uint32:  arrow.PrimitiveTypes.Uint32,
	reflect.Uint16:  arrow.PrimitiveTypes.Uint16,
	reflect.Uint8:   arrow.PrimitiveTypes.Uint8,
	reflect.Float64: arrow.PrimitiveTypes.Float64,
	reflect.Float32: arrow.PrimitiveTypes.Float32,
}

// number reads every integer type into integers and every number type into floats, where the value fits.
func (c *column) number(kind reflect.Kind) {
	c.dataType = numberTypes[kind]
	float := kind == reflect.Float32 || kind == reflect.Float64
	c.fits = func(dt arrow.DataType) bool {
		return arrow.IsInteger(dt.ID()) || float && (dt.ID() == arrow.FLOAT32 || dt.ID() == arrow.FLOAT64)
	}
	c.put = func(b array.Builder, v reflect.Value) (int, error) {
		putNumber(b, v)
		return 8, nil
	}
	c.get = func(a arrow.Array, i int, v reflect.Value) error {
		if !getNumber(a, i, v) {
			return fmt.Errorf("column %q: %s does not fit into %v", c.name, a.ValueStr(i), v.Type())
		}
		return nil
	}
}

func putNumber(b array.Builder, v reflect.Value) {
	switch b := b.(type) {
	case *array.Int64Builder:
		b.Append(v.Int())
	case *array.Int32Builder:
		b.Append(int32(v.Int()))
	case *array.Int16Builder:
		b.Append(int16(v.Int()))
	case *array.Int8Builder:
		b.Append(int8(v.Int()))
	case *array.Uint64Builder:
		b.Append(v.Uint())
	case *array.Uint32Builder:
		b.Append(uint32(v.Uint()))
	case *array.Uint16Builder:
		b.Append(uint16(v.Uint()))
	case *array.Uint8Builder:
		b.Append(uint8(v.Uint()))
	case *array.Float64Builder:
		b.Append(v.Float())
	case *array.Float32Builder:
		b.Append(float32(v.Float()))
	}
}

// getNumber reports whether the value fits. A float32 field takes the nearest float32.
func getNumber(a arrow.Array, i int, v reflect.Value) bool {
	switch a := a.(type) {
	case *array.Int64:
		return setInt(a.Value(i), v)
	case *array.Int32:
		return setInt(int64(a.Value(i)), v)
	case *array.Int16:
		return setInt(int64(a.Value(i)), v)
	case *array.Int8:
		return setInt(int64(a.Value(i)), v)
	case *array.Uint64:
		x := a.Value(i)
		if x <= math.MaxInt64 {
			return setInt(int64(x), v)
		}
		switch {
		case v.CanFloat():
			v.SetFloat(float64(x))
		case v.CanUint() && !v.OverflowUint(x):
			v.SetUint(x)
		default:
			return false
		}
	case *array.Uint32:
		return setInt(int64(a.Value(i)), v)
	case *array.Uint16:
		return setInt(int64(a.Value(i)), v)
	case *array.Uint8:
		return setInt(int64(a.Value(i)), v)
	case *array.Float64:
		v.SetFloat(a.Value(i))
	case *array.Float32:
		v.SetFloat(float64(a.Value(i)))
	}
	return true
}

func setInt(x int64, v reflect.Value) bool {
	switch {
	case v.CanFloat():
		v.SetFloat(float64(x))
	case v.CanInt() && !v.OverflowInt(x):
		v.SetInt(x)
	case v.CanUint() && x >= 0 && !v.OverflowUint(uint64(x)):
		v.SetUint(uint64(x))
	default:
		return false
	}
	return true
}
