package columnar

import (
	"errors"
	"fmt"
	"math"
	"runtime"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/memory"
)

// Guard turns a panic of the Arrow library, which trusts what is in a file, into an error. Whoever reads the records of
// a File calls it, because records are looked at as their values are.
func Guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p == errLarge {
			err = errLarge
		} else if p != nil {
			err = fmt.Errorf("the file is damaged: %v", p)
		}
	}()
	return f()
}

// maxBatch is how many bytes the record batches at hand, with their dictionaries, may take: unpacked, they can be far larger
// than the file. A file that is larger than that itself may hold one batch.
const maxBatch = 512 << 20

// collectAt is from which size on memory that was freed is collected before more is taken: two large batches one after the
// other would take twice as much as one.
const collectAt = 32 << 20

// limited is an allocator that panics, for Guard to catch, where more is asked for at once than a file of that size may
// take.
type limited struct {
	memory.Allocator
	limit, taken int
}

func newLimited(mem memory.Allocator, size int64) *limited {
	return &limited{Allocator: mem, limit: int(min(max(maxBatch, 2*size), math.MaxInt))}
}

var errLarge = fmt.Errorf("a record batch takes more than %d MiB in memory: write the file with smaller batches", maxBatch>>20)

func (l *limited) take(size int) {
	if size < 0 {
		panic(fmt.Errorf("a piece of it claims %d bytes", size))
	}
	if size > l.limit-l.taken {
		panic(errLarge)
	}
	l.taken += size
	if size >= collectAt {
		runtime.GC()
	}
}

// Allocate is memory.Allocator's.
func (l *limited) Allocate(size int) []byte {
	l.take(size)
	return l.Allocator.Allocate(size)
}

// Reallocate is memory.Allocator's.
func (l *limited) Reallocate(size int, b []byte) []byte {
	l.taken -= len(b)
	l.take(size)
	return l.Allocator.Reallocate(size, b)
}

// Free is memory.Allocator's.
func (l *limited) Free(b []byte) {
	l.taken -= len(b)
	l.Allocator.Free(b)
}

// checkTypes refuses what has no columns, and columns of view types: the library takes memory for as many buffers as a batch claims they have.
func checkTypes(schema *arrow.Schema) error {
	if schema.NumFields() == 0 {
		return errors.New("it has no columns")
	}
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
