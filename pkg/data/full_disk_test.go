package data

import (
	"bytes"
	"fmt"
	"io"
	"syscall"
	"testing"

	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/stretchr/testify/require"
)

// smallDisk is a file on a disk with little room. Once it is full, some room comes back, as when others delete their files.
type smallDisk struct {
	bytes.Buffer
	room int
	full bool
}

func (d *smallDisk) Write(b []byte) (int, error) {
	if d.Len()+len(b) > d.room && !d.full {
		d.full = true
		return 0, syscall.ENOSPC
	}
	return d.Buffer.Write(b)
}

func (d *smallDisk) Seek(offset int64, whence int) (int64, error) {
	if offset != 0 || whence != io.SeekCurrent {
		return 0, syscall.ESPIPE
	}
	return int64(d.Len()), nil
}

// A disk that is full anywhere in a file is an error that says so, whatever the library makes of it.
func TestFullDiskAnywhere(t *testing.T) {
	table, err := tableOf[Text]()
	require.NoError(t, err)
	schema, err := table.arrowSchema(Lineage{Stage: "test"})
	require.NoError(t, err)
	write := func(disk *smallDisk, path string, c Compression) error {
		w, err := newSink(path, disk, schema, c, memory.DefaultAllocator)
		if err != nil {
			return err
		}
		b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
		defer b.Release()
		for batch := range 2 {
			for _, column := range b.Fields() {
				if texts, ok := column.(*array.StringBuilder); ok {
					texts.Append(fmt.Sprint("the cat ", batch))
				} else {
					column.AppendNull()
				}
			}
			rec := b.NewRecord()
			defer rec.Release()
			if err := w.Write(rec); err != nil {
				return err
			}
		}
		return w.Close()
	}
	for _, path := range []string{"a.arrow", "a.parquet"} {
		for _, c := range []Compression{NoCompression, Zstd} {
			whole := &smallDisk{room: 1 << 20}
			require.NoError(t, write(whole, path, c))
			for room := 0; room < whole.Len(); room += 7 {
				err := write(&smallDisk{room: room}, path, c)
				require.ErrorIs(t, err, syscall.ENOSPC, "%s, %v, room for %d of %d bytes", path, c, room, whole.Len())
			}
		}
	}
}
