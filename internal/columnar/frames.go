package columnar

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// The Arrow library reads no more of a Zstandard frame than the bytes it wants, so it never comes to the checksum after them, and
// a flipped bit becomes another number. So the frames of a record batch are decoded here first, to their end.

// frames are the places of the record batches of an Arrow IPC file.
type frames struct {
	file    io.ReaderAt
	size    int64
	batches []span
	decoder *zstd.Decoder // nil before the first compressed batch
}

// span is a message: its description, then its body.
type span struct{ at, meta, body int64 }

var errFrame = errors.New("the checksum of a Zstandard frame, or its length, is wrong: the file is damaged")

// readFrames reads the places of the batches, and checks the dictionaries, in a footer that checkFooter has gone through.
func readFrames(file io.ReaderAt, size int64, f *flatbuffer) (*frames, error) {
	const dictionaries, batches, blockSize = 2, 3, 24
	spans := func(field int) []span {
		n, at := f.vector(f.u32(0), field, blockSize)
		list := make([]span, n)
		for i := range list {
			block := f.buf[at+i*blockSize:]
			list[i] = span{
				at: int64(binary.LittleEndian.Uint64(block)), meta: int64(int32(binary.LittleEndian.Uint32(block[8:]))),
				body: int64(binary.LittleEndian.Uint64(block[16:])),
			}
		}
		return list
	}
	z := &frames{file: file, size: size, batches: spans(batches)}
	for _, s := range spans(dictionaries) {
		if err := z.check(s); err != nil {
			return nil, err
		}
	}
	return z, nil
}

// check decodes the frames of a batch. What is wrong with its description, the library tells.
func (z *frames) check(s span) error {
	const marker = 0xffffffff // in front of the length; files of old versions do not have it
	head := make([]byte, 8)
	if _, err := z.file.ReadAt(head, s.at); err != nil || s.meta < 8 {
		return errors.Join(err, errFooter)
	}
	prefix := int64(4)
	if binary.LittleEndian.Uint32(head) == marker {
		prefix = 8
	}
	f, err := readFlatbuffer(z.file, z.size, s.at+prefix, s.meta-prefix)
	if err != nil {
		return err
	}
	message := f.u32(0)
	header := f.ref(message, 2)
	if at := f.place(message, 1); at != 0 && header != 0 && f.buf[at] == 2 { // a dictionary, around a batch
		header = f.ref(header, 1)
	}
	if header == 0 || !f.isZstd(header) {
		return nil
	}
	n, at := f.vector(header, 2, 16)
	for i := range n {
		buffer := f.buf[at+16*i:]
		from, length := int64(binary.LittleEndian.Uint64(buffer)), int64(binary.LittleEndian.Uint64(buffer[8:]))
		if from < 0 || length < 0 || from > s.body-length {
			return errFooter
		}
		if err := z.frame(io.NewSectionReader(z.file, s.at+s.meta+from, length)); err != nil {
			return err
		}
	}
	return nil
}

// isZstd says whether the bodies of a batch are compressed by Zstandard.
func (f *flatbuffer) isZstd(batch int) bool {
	compression := f.ref(batch, 3)
	if compression == 0 {
		return false
	}
	codec := f.place(compression, 0)
	return codec != 0 && f.buf[codec] == 1
}

// frame decodes a buffer: the length of its content, -1 for one that is not compressed, and a frame.
func (z *frames) frame(r *io.SectionReader) (err error) {
	var length int64
	if r.Size() == 0 {
		return nil
	}
	if err := binary.Read(r, binary.LittleEndian, &length); err != nil || length == -1 {
		return err
	}
	if z.decoder == nil {
		if z.decoder, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20)); err != nil {
			return err
		}
	}
	if err := z.decoder.Reset(r); err != nil {
		return fmt.Errorf("%w (%w)", errFrame, err)
	}
	if n, err := io.Copy(io.Discard, z.decoder); err != nil || n != length {
		return errors.Join(errFrame, err)
	}
	return nil
}
