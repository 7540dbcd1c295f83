package columnar

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow/go/v15/arrow/ipc"
)

// The Arrow library takes memory for as many fields and metadata entries as a footer claims to have, and running out of
// memory cannot be recovered from. So the footer is gone through here first: what it claims to hold must be there, and
// all vectors together must not be much larger than it is.
//
// The layout is FlatBuffers': a table begins with the distance back to its vtable, which holds its own size, the
// table's size and the place of each field in the table; a field that refers to something holds the distance to it.
// The numbers of the fields are those of Arrow's File.fbs and Schema.fbs.
type flatbuffer struct {
	buf  []byte
	left int // bytes that may still be gone through; parts may be referred to more than once
}

var errFooter = errors.New("the footer is damaged")

// checkFooter goes through the footer of an Arrow IPC file of that size, and returns where its batches are. It panics on bad places, for Guard to catch.
func checkFooter(file io.ReaderAt, size int64) (*frames, error) {
	tail := make([]byte, 4+len(ipc.Magic)) // the footer's length is in front of the mark
	end := size - int64(len(tail))
	if _, err := file.ReadAt(tail, end); err != nil || !bytes.Equal(tail[4:], ipc.Magic) {
		return nil, errors.New(`is cut off: it does not end with "ARROW1"`)
	}
	n := int64(binary.LittleEndian.Uint32(tail))
	if n < 8 || n > end {
		return nil, fmt.Errorf("%w: it claims %d of the file's %d bytes", errFooter, n, size)
	}
	f, err := readFlatbuffer(file, size, end-n, n)
	if err != nil {
		return nil, err
	}
	const blockSize = 24
	footer := f.u32(0)
	if schema := f.ref(footer, 1); schema != 0 {
		f.fields(schema, 1)
	}
	f.vector(footer, 2, blockSize) // dictionaries
	f.vector(footer, 3, blockSize) // record batches
	return readFrames(file, size, f)
}

// maxDescription is the longest description of a file or message that is read, in bytes. That of 100,000 columns has 20 MB.
const maxDescription = 64 << 20

// readFlatbuffer reads n bytes at that place of a file of that size.
func readFlatbuffer(file io.ReaderAt, size, at, n int64) (*flatbuffer, error) {
	if at < 0 || n < 0 || n > size-at {
		return nil, fmt.Errorf("a description of %d bytes at byte %d, the file has %d: it is cut short or damaged", n, at, size)
	}
	if n > maxDescription {
		return nil, fmt.Errorf("a description of %d bytes at byte %d, at most %d are read", n, at, maxDescription)
	}
	f := &flatbuffer{buf: make([]byte, n), left: 16 * int(n)}
	_, err := file.ReadAt(f.buf, at)
	return f, err
}

// fields goes through the fields of a schema or of another field, and the metadata after them.
func (f *flatbuffer) fields(table, number int) {
	f.each(table, number, func(field int) {
		f.vector(field, 0, 1) // name
		f.fields(field, 5)
	})
	f.each(table, number+1, f.keyValue)
}

func (f *flatbuffer) keyValue(table int) {
	f.vector(table, 0, 1)
	f.vector(table, 1, 1)
}

func (f *flatbuffer) u32(at int) int { return int(binary.LittleEndian.Uint32(f.buf[at:])) }
func (f *flatbuffer) u16(at int) int { return int(binary.LittleEndian.Uint16(f.buf[at:])) }

// place is where a field of a table stands, 0 if it is absent.
func (f *flatbuffer) place(table, field int) int {
	vtable := table - int(int32(f.u32(table)))
	if entry := 4 + 2*field; entry < f.u16(vtable) {
		if at := f.u16(vtable + entry); at != 0 {
			return table + at
		}
	}
	return 0
}

// ref is the place that a field of a table refers to, 0 if the field is absent.
func (f *flatbuffer) ref(table, field int) int {
	at := f.place(table, field)
	if at == 0 {
		return 0
	}
	return at + f.u32(at)
}

// vector is the length and place of the elements of a vector, each of that many bytes.
func (f *flatbuffer) vector(table, field, size int) (n, at int) {
	start := f.ref(table, field)
	if start == 0 {
		return 0, 0
	}
	n, at = f.u32(start), start+4
	if f.left -= n*size + 8; f.left < 0 {
		panic(errFooter)
	}
	return n, at
}

// each visits a vector of tables.
func (f *flatbuffer) each(table, field int, visit func(table int)) {
	n, at := f.vector(table, field, 4)
	for i := range n {
		visit(at + 4*i + f.u32(at+4*i))
	}
}

// checkStream goes through the messages of an Arrow IPC stream: each begins with a marker and the length of its
// description, which says how long its body is.
func checkStream(file io.ReaderAt, size int64) error {
	head := make([]byte, 8)
	for at := int64(0); at < size; {
		if _, err := file.ReadAt(head[:min(8, size-at)], at); err != nil {
			return err
		}
		n := int64(binary.LittleEndian.Uint32(head[4:]))
		if size-at < 8 || binary.LittleEndian.Uint32(head) != 0xffffffff || n > size-at-8 {
			return fmt.Errorf("the message at byte %d is damaged", at)
		}
		if n == 0 { // the end
			return nil
		}
		f, err := readFlatbuffer(file, size, at+8, n)
		if err != nil {
			return err
		}
		body := f.message()
		if body < 0 || body > size-at-8-n {
			return fmt.Errorf("the message at byte %d claims a body of %d bytes", at, body)
		}
		at += 8 + n + body
	}
	return nil
}

// message goes through the description of a message and returns the length of its body.
func (f *flatbuffer) message() int64 {
	const schemaHeader = 1
	message := f.u32(0)
	kind := byte(0)
	if at := f.place(message, 1); at != 0 {
		kind = f.buf[at]
	}
	header := f.ref(message, 2)
	if header == 0 {
		panic(errFooter)
	}
	if kind == schemaHeader {
		f.fields(header, 1)
	} else {
		if kind == 2 { // a dictionary, around a batch
			if header = f.ref(header, 1); header == 0 {
				panic(errFooter)
			}
		}
		f.vector(header, 1, 16) // field nodes
		f.vector(header, 2, 16) // buffers
	}
	if at := f.place(message, 3); at != 0 {
		return int64(binary.LittleEndian.Uint64(f.buf[at:]))
	}
	return 0
}
