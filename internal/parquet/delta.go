package parquet

import (
	"encoding/binary"
)

// delta decodes DELTA_BINARY_PACKED: blocks of differences, each cut into small blocks with a bit width of their own.
type delta struct {
	buf         []byte
	blockSize   int
	mini        int // small blocks in a block
	total       int
	read        int
	value       int64
	least       int64  // the block's smallest difference
	widths      []byte // of the small blocks that are left in the block
	bit, inMini int
}

func newDelta(buf []byte) (*delta, error) {
	d := &delta{buf: buf}
	var head [3]uint64
	for i := range head {
		x, n := binary.Uvarint(d.buf)
		if n <= 0 || x > 1<<31 {
			return nil, errPage
		}
		head[i], d.buf = x, d.buf[n:]
	}
	first, n := binary.Varint(d.buf)
	if n <= 0 || head[1] == 0 || head[0]%head[1] != 0 || head[0]/head[1]%32 != 0 || head[0] == 0 || head[1] > uint64(len(buf)) && head[2] > 1 {
		return nil, errPage
	}
	d.buf = d.buf[n:]
	d.blockSize, d.mini, d.total, d.value = int(head[0]), int(head[1]), int(head[2]), first
	return d, nil
}

// block begins a block.
func (d *delta) block() error {
	least, n := binary.Varint(d.buf)
	if n <= 0 || len(d.buf)-n < d.mini {
		return errPage
	}
	d.least, d.widths, d.buf = least, d.buf[n:n+d.mini], d.buf[n+d.mini:]
	for _, width := range d.widths {
		if width > 64 {
			return errPage
		}
	}
	return nil
}

// endMini leaves a small block; widths that have no values behind them take no bytes.
func (d *delta) endMini() error {
	bytes := d.blockSize / d.mini / 8 * int(d.widths[0])
	if bytes > len(d.buf) {
		return errPage
	}
	d.buf, d.widths, d.bit, d.inMini = d.buf[bytes:], d.widths[1:], 0, 0
	return nil
}

func (d *delta) next() (int64, error) {
	if d.read >= d.total {
		return 0, errPage
	}
	d.read++
	if d.read == 1 {
		return d.value, nil
	}
	if len(d.widths) > 0 && d.inMini == d.blockSize/d.mini {
		if err := d.endMini(); err != nil {
			return 0, err
		}
	}
	if len(d.widths) == 0 {
		if err := d.block(); err != nil {
			return 0, err
		}
	}
	width := int(d.widths[0])
	if (d.bit+width+7)/8 > len(d.buf) {
		return 0, errPage
	}
	d.value += d.least + int64(bitsAt(d.buf, d.bit, width))
	d.bit += width
	d.inMini++
	return d.value, nil
}

// rest is what follows after the last value. It is found without decoding, so that a page cannot claim many values that
// take no bytes to hold it up.
func (d *delta) rest() ([]byte, error) {
	left := d.total - 1
	for left > 0 {
		if err := d.block(); err != nil {
			return nil, err
		}
		for len(d.widths) > 0 && left > 0 {
			if err := d.endMini(); err != nil {
				return nil, err
			}
			left -= d.blockSize / d.mini
		}
	}
	return d.buf, nil
}

type deltaValues struct {
	*delta
	narrow bool
}

func (d *deltaValues) next() (value, error) {
	x, err := d.delta.next()
	if d.narrow {
		return value{x: uint64(uint32(x))}, err
	}
	return value{x: uint64(x)}, err
}

// deltaLength are texts behind all their lengths.
type deltaLength struct {
	lengths *delta
	buf     []byte
}

func newDeltaLength(buf []byte) (*deltaLength, error) {
	lengths, err := newDelta(buf)
	if err != nil {
		return nil, err
	}
	again := *lengths
	rest, err := again.rest()
	return &deltaLength{lengths, rest}, err
}

func (d *deltaLength) next() (value, error) {
	n, err := d.lengths.next()
	if err != nil || n < 0 || n > int64(len(d.buf)) {
		return value{}, errPage
	}
	v := value{b: d.buf[:n]}
	d.buf = d.buf[n:]
	return v, nil
}

// deltaBytes are texts of which the beginning is that of the text before.
type deltaBytes struct {
	prefixes *delta
	suffixes *deltaLength
	last     []byte
}

func newDeltaBytes(buf []byte) (*deltaBytes, error) {
	prefixes, err := newDelta(buf)
	if err != nil {
		return nil, err
	}
	again := *prefixes
	rest, err := again.rest()
	if err != nil {
		return nil, err
	}
	suffixes, err := newDeltaLength(rest)
	return &deltaBytes{prefixes: prefixes, suffixes: suffixes}, err
}

func (d *deltaBytes) next() (value, error) {
	n, err := d.prefixes.next()
	if err != nil || n < 0 || n > int64(len(d.last)) {
		return value{}, errPage
	}
	suffix, err := d.suffixes.next()
	if err != nil {
		return value{}, err
	}
	if int(n)+len(suffix.b) > maxRow {
		return value{}, errLongRow
	}
	d.last = append(d.last[:n:n], suffix.b...)
	return value{b: d.last}, nil
}
