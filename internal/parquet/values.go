package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// value is a value of any physical type: bytes, or the bits of a number.
type value struct {
	x uint64
	b []byte
}

// decoder gives the values of a page, one at a time.
type decoder interface{ next() (value, error) }

var errPage = errors.New("a page is damaged: it has fewer values than it claims")

// Encodings of Parquet.
const (
	encodingPlain       = 0
	encodingDictOld     = 2
	encodingRLE         = 3
	encodingDelta       = 5
	encodingDeltaLength = 6
	encodingDeltaBytes  = 7
	encodingDict        = 8
	encodingSplit       = 9
)

// newDecoder decodes the values in buf.
func newDecoder(n *node, encoding int64, buf []byte, dict []value) (decoder, error) {
	number := n.physical != physicalByteArray && n.physical != physicalBoolean
	switch {
	case len(buf) == 0: // all are null; whoever asks for one is told that it is not there
		return &hybrid{}, nil
	case encoding == encodingPlain && n.physical == physicalBoolean:
		return &hybrid{buf: buf, width: 1, left: 8 * len(buf), packed: true}, nil
	case encoding == encodingPlain:
		return &plainValues{buf, n}, nil
	case encoding == encodingRLE && n.physical == physicalBoolean:
		levels, _, err := prefixed(buf, 1)
		return levels, err
	case encoding == encodingDict || encoding == encodingDictOld: // where all are null there may be no dictionary
		if buf[0] > 32 {
			return nil, errPage
		}
		return &dictValues{hybrid{buf: buf[1:], width: int(buf[0])}, dict}, nil
	case encoding == encodingDelta && (n.physical == physicalInt32 || n.physical == physicalInt64):
		d, err := newDelta(buf)
		return &deltaValues{d, n.physical == physicalInt32}, err
	case encoding == encodingDeltaLength && n.physical == physicalByteArray:
		return newDeltaLength(buf)
	case encoding == encodingDeltaBytes && (n.physical == physicalByteArray || n.physical == physicalFixed):
		return newDeltaBytes(buf)
	case encoding == encodingSplit && number && n.physical != physicalInt96:
		size := n.size()
		return &splitValues{buf: buf, n: n, count: len(buf) / size, one: make([]byte, size)}, nil
	}
	return nil, fmt.Errorf("column %q has the encoding %d, which is not supported here", n.name, encoding)
}

// size is how many bytes a value takes, 0 if that differs.
func (n *node) size() int {
	switch n.physical {
	case physicalInt32, physicalFloat:
		return 4
	case physicalInt64, physicalDouble:
		return 8
	case physicalInt96:
		return 12
	case physicalFixed:
		return n.length
	}
	return 0
}

type plainValues struct {
	buf []byte
	n   *node
}

func (p *plainValues) next() (value, error) {
	if p.n.physical == physicalByteArray {
		text, rest, err := sized(p.buf)
		p.buf = rest
		return value{b: text}, err
	}
	size := p.n.size()
	if len(p.buf) < size {
		return value{}, errPage
	}
	v := p.n.value(p.buf[:size])
	p.buf = p.buf[size:]
	return v, nil
}

func (n *node) value(b []byte) value {
	switch n.physical {
	case physicalInt32, physicalFloat:
		return value{x: uint64(binary.LittleEndian.Uint32(b))}
	case physicalInt64, physicalDouble:
		return value{x: binary.LittleEndian.Uint64(b)}
	case physicalInt96: // nanoseconds of the day, then the Julian day
		const epoch = 2440588
		day := int64(binary.LittleEndian.Uint32(b[8:])) - epoch
		return value{x: uint64(day*86400*1e9) + binary.LittleEndian.Uint64(b)}
	}
	return value{b: b}
}

// hybrid decodes runs of equal numbers and packed bits. Levels, dictionary indices and booleans are stored so.
type hybrid struct {
	buf    []byte
	width  int
	left   int // values left of the run
	packed bool
	value  uint64 // of a run of equal ones
	bit    int    // place in buf of the next packed value
}

func (h *hybrid) number() (uint64, error) {
	for h.left == 0 {
		if err := h.run(); err != nil {
			return 0, err
		}
	}
	h.left--
	if !h.packed {
		return h.value, nil
	}
	if h.width == 0 {
		return 0, nil
	}
	if (h.bit+h.width+7)/8 > len(h.buf) {
		return 0, errPage
	}
	x := bitsAt(h.buf, h.bit, h.width)
	h.bit += h.width
	return x, nil
}

// run begins the next run.
func (h *hybrid) run() error {
	h.buf, h.bit = h.buf[min(len(h.buf), (h.bit+7)/8):], 0
	head, n := binary.Uvarint(h.buf)
	if n <= 0 || head>>1 == 0 || head>>1 > 1<<31 {
		return errPage
	}
	h.buf = h.buf[n:]
	h.packed = head&1 == 1
	if h.packed {
		h.left = int(head>>1) * 8
		return nil
	}
	bytes := (h.width + 7) / 8
	if len(h.buf) < bytes {
		return errPage
	}
	h.value = bitsAt(h.buf, 0, 8*bytes)
	h.buf, h.left = h.buf[bytes:], int(head>>1)
	return nil
}

// bitsAt reads up to 64 bits, the lowest first.
func bitsAt(buf []byte, bit, width int) uint64 {
	var x uint64
	for done := 0; done < width; {
		at := bit + done
		take := min(8-at%8, width-done)
		x |= uint64(buf[at/8]>>(at%8)&(1<<take-1)) << done
		done += take
	}
	return x
}

// level is the next number, which is at most that; absent where there are none.
func (h *hybrid) level(most, absent int) (int, error) {
	if h == nil {
		return absent, nil
	}
	x, err := h.number()
	if err != nil || x > uint64(most) {
		return 0, errPage
	}
	return int(x), nil
}

func (h *hybrid) next() (value, error) {
	x, err := h.number()
	return value{x: x}, err
}

// prefixed is a hybrid behind its length in four bytes, and what follows it.
func prefixed(buf []byte, width int) (*hybrid, []byte, error) {
	runs, rest, err := sized(buf)
	return &hybrid{buf: runs, width: width}, rest, err
}

// sized cuts off what stands behind its length in four bytes.
func sized(buf []byte) (b, rest []byte, err error) {
	if len(buf) < 4 {
		return nil, nil, errPage
	}
	n := binary.LittleEndian.Uint32(buf)
	if uint64(n) > uint64(len(buf)-4) {
		return nil, nil, errPage
	}
	return buf[4 : 4+n], buf[4+n:], nil
}

// levelWidth is how many bits a level takes.
func levelWidth(most int) int { return bits.Len(uint(most)) }

type dictValues struct {
	hybrid
	dict []value
}

func (d *dictValues) next() (value, error) {
	i, err := d.number()
	if err == nil && i >= uint64(len(d.dict)) {
		err = fmt.Errorf("a page is damaged: it refers to entry %d of a dictionary of %d", i, len(d.dict))
	}
	if err != nil {
		return value{}, err
	}
	return d.dict[i], nil
}

// splitValues have the first bytes of all values, then the second bytes, and so on.
type splitValues struct {
	buf       []byte
	n         *node
	at, count int
	one       []byte
}

func (s *splitValues) next() (value, error) {
	if s.at >= s.count {
		return value{}, errPage
	}
	if s.n.physical == physicalFixed {
		s.one = make([]byte, len(s.one))
	}
	for j := range s.one {
		s.one[j] = s.buf[j*s.count+s.at]
	}
	s.at++
	return s.n.value(s.one), nil
}
