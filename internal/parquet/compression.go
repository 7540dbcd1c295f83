package parquet

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

var errDamaged = errors.New("a page is damaged: it cannot be unpacked")

// unpack undoes the compression. Memory is taken as data comes, not as it is claimed.
func (c *column) unpack(body []byte, size int) (data []byte, err error) {
	switch c.codec {
	case 0:
		data = body
	case 1:
		if n, err := s2.DecodedLen(body); err != nil || n != size || n > 64*len(body)+64 {
			return nil, errDamaged
		}
		data, err = s2.Decode(nil, body)
	case 2:
		var r *gzip.Reader
		if r, err = gzip.NewReader(bytes.NewReader(body)); err == nil {
			data, err = io.ReadAll(io.LimitReader(r, int64(size)+1))
		}
	case 6:
		if c.zstd == nil {
			c.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		}
		if err == nil {
			err = c.zstd.Reset(bytes.NewReader(body))
		}
		if err == nil {
			data, err = io.ReadAll(io.LimitReader(c.zstd, int64(size)+1))
		}
	case 7:
		data, err = unpackLZ4(body, size)
	default:
		names := map[int64]string{3: "LZO", 4: "Brotli", 5: "Hadoop's LZ4"}
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

// unpackLZ4 undoes an LZ4 block, which grows by a factor of 255 at most.
func unpackLZ4(in []byte, size int) ([]byte, error) {
	out := make([]byte, min(size, 256*len(in)))
	n, err := lz4.UncompressBlock(in, out)
	if err != nil {
		return nil, errDamaged
	}
	return out[:n], nil
}
