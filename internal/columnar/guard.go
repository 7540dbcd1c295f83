package columnar

import (
	"fmt"
	"math"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/memory"
)

// Guard turns a panic of the Arrow library, which trusts what is in a file, into an error. Whoever reads the records of
// a File calls it, because records are looked at as their values are.
func Guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the file is damaged: %v", p)
		}
	}()
	return f()
}

// sizeLimit is the largest piece of memory that reading a file of that size may ask for. Zstandard packs a batch of one long
// text that repeats itself into next to nothing.
func sizeLimit(size int64) int { return int(min(max(100*size, 512<<20), 8<<30, math.MaxInt)) }

// limited is an allocator that panics, for Guard to catch, where a damaged length asks for more than the file can hold.
type limited struct {
	memory.Allocator
	limit int
}

func (l *limited) check(size int) {
	if size < 0 || size > l.limit {
		panic(fmt.Errorf("a piece of it claims %d bytes", size))
	}
}

// Allocate is memory.Allocator's.
func (l *limited) Allocate(size int) []byte {
	l.check(size)
	return l.Allocator.Allocate(size)
}

// Reallocate is memory.Allocator's.
func (l *limited) Reallocate(size int, b []byte) []byte {
	l.check(size)
	return l.Allocator.Reallocate(size, b)
}

// checkTypes refuses columns of view types: the library takes memory for as many buffers as a batch claims they have.
func checkTypes(schema *arrow.Schema) error {
	for _, field := range schema.Fields() {
		if hasViews(field.Type) {
			return fmt.Errorf("column %q is %v: write it without views", field.Name, field.Type)
		}
	}
	return nil
}

func hasViews(dt arrow.DataType) bool {
	switch dt := dt.(type) {
	case arrow.BinaryViewDataType:
		return true
	case *arrow.DictionaryType:
		return hasViews(dt.ValueType)
	case arrow.ExtensionType:
		return hasViews(dt.StorageType())
	case arrow.NestedType:
		for _, field := range dt.Fields() {
			if hasViews(field.Type) {
				return true
			}
		}
	}
	return false
}
