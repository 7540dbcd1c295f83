package parquet

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

var errDamaged = errors.New("a page is damaged: it cannot be unpacked")

// unpack undoes the compression. Memory is taken as data comes, not as it is claimed.
func (c *column) unpack(body []byte, size int) (data []byte, err error) {
	if size == 0 && len(body) == 0 { // no compression has a form for nothing that all programs write
		return nil, nil
	}
	switch c.codec {
	case 0:
		data = body
	case 1:
		if n, err := s2.DecodedLen(body); err != nil || n != size || n > 64*len(body)+64 {
			return nil, errDamaged
		}
		data, err = s2.Decode(c.room(size), body)
	case 2:
		data, err = c.stream(size, func() (io.Reader, error) { return gzip.NewReader(bytes.NewReader(body)) })
	case 4:
		data, err = c.stream(size, func() (io.Reader, error) { return brotli.NewReader(bytes.NewReader(body)), nil })
	case 6:
		data, err = c.stream(size, func() (io.Reader, error) { return c.zstandard(body) })
	case 7:
		data, err = c.unpackLZ4(body, size)
	default:
		names := map[int64]string{3: "LZO", 5: "Hadoop's LZ4"}
		return nil, fmt.Errorf("it is compressed with %s (%d), which is not supported here: write it with Zstandard or Snappy", names[c.codec], c.codec)
	}
	if err != nil {
		return nil, fmt.Errorf("a page cannot be unpacked: %w", err)
	}
	if len(data) != size {
		return nil, fmt.Errorf("a page is damaged: it unpacks to other than the %d bytes that it claims", size)
	}
	return data, nil
}

func (c *column) zstandard(body []byte) (_ io.Reader, err error) {
	if c.zstd == nil {
		c.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
	}
	if err == nil {
		err = c.zstd.Reset(bytes.NewReader(body))
	}
	return c.zstd, err
}

// room is memory for a page of that size, that of the page before if it is enough.
func (c *column) room(size int) []byte {
	if cap(c.buf) < size {
		c.buf = make([]byte, size)
	}
	return c.buf[:size]
}

// stream unpacks what a reader gives, which is at most size bytes and one more if there are more. Where a large page is
// claimed it is gone through once before memory is taken for it.
func (c *column) stream(size int, open func() (io.Reader, error)) ([]byte, error) {
	const large = 1 << 20
	if cap(c.buf) < size && size > large {
		r, err := open()
		if err != nil {
			return nil, err
		}
		if n, err := io.Copy(io.Discard, io.LimitReader(r, int64(size)+1)); err != nil || n != int64(size) {
			return nil, err
		}
	}
	r, err := open()
	if err != nil {
		return nil, err
	}
	data := c.room(size)
	if n, err := io.ReadFull(r, data); err == io.ErrUnexpectedEOF || err == io.EOF {
		return data[:n], nil
	} else if err != nil {
		return nil, err
	}
	n, err := io.ReadFull(r, make([]byte, 1))
	if err == io.EOF {
		err = nil
	}
	if n > 0 {
		return nil, err
	}
	return data, err
}

// unpackLZ4 undoes an LZ4 block, which grows by a factor of 255 at most.
func (c *column) unpackLZ4(in []byte, size int) ([]byte, error) {
	out := c.room(min(size, 256*len(in)))
	n, err := lz4.UncompressBlock(in, out)
	if err != nil {
		return nil, errDamaged
	}
	return out[:n], nil
}
