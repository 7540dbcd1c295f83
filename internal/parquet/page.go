package parquet

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/zstd"
)

// column reads the values of a column in one row group, page by page.
type column struct {
	n     *node
	file  io.ReaderAt
	at    int64 // of the next page
	end   int64 // where pages can no longer be
	codec int64
	left  int64 // values of the column that are in no page yet read

	zstd   *zstd.Decoder
	dict   []value
	held   *int64 // bytes of the pages of all columns
	inHeld int64  // of that: the page at hand
	buf    []byte // of unpacked pages, used again: what is in a page is copied before the next is read

	// Of the page:
	inPage    int64 // values left
	defs      *hybrid
	reps      *hybrid
	values    decoder
	peeked    bool
	def, repl int // levels of the next value, if peeked
}

// Kinds of pages.
const (
	pageData       = 0
	pageIndex      = 1
	pageDictionary = 2
	pageDataV2     = 3
)

// newColumn opens the chunk of a column.
func newColumn(n *node, file io.ReaderAt, chunk thriftStruct, end int64, held *int64) (*column, error) {
	meta := chunk.sub(3)
	_, encrypted := chunk[8]
	switch {
	case chunk.text(1) != "":
		return nil, fmt.Errorf("column %q is in another file", n.name)
	case encrypted || meta == nil:
		return nil, fmt.Errorf("column %q is encrypted or has no metadata", n.name)
	case int(meta.number(1, -1)) != n.physical:
		return nil, fmt.Errorf("column %q is not of the schema's type", n.name)
	}
	c := &column{n: n, file: file, held: held, codec: meta.number(4, 0), left: meta.number(5, 0), at: meta.number(9, -1)}
	if dict, ok := meta.int(11); ok && dict > 0 && dict < c.at {
		c.at = dict
	}
	// Some old programs give a size that is too small by a page header.
	c.end = end
	if size := meta.number(7, -1); size >= 0 && size < end-c.at-100 {
		c.end = c.at + size + 100
	}
	if c.at < 4 || c.at > end || c.left < 0 {
		return nil, fmt.Errorf("column %q is said to begin at byte %d of %d", n.name, c.at, end)
	}
	return c, nil
}

// peek gives the levels of the next value. At the end of the chunk both are 0 and ok is false.
func (c *column) peek() (def, rep int, ok bool, err error) {
	if c.peeked {
		return c.def, c.repl, true, nil
	}
	for c.inPage == 0 {
		if c.left <= 0 {
			return 0, 0, false, nil
		}
		if err := c.page(); err != nil {
			return 0, 0, false, fmt.Errorf("column %q: %w", c.n.name, err)
		}
	}
	if c.def, err = c.defs.level(c.n.def, c.n.def); err != nil {
		return 0, 0, false, fmt.Errorf("column %q: definition levels: %w", c.n.name, err)
	}
	if c.repl, err = c.reps.level(c.n.rep, 0); err != nil {
		return 0, 0, false, fmt.Errorf("column %q: repetition levels: %w", c.n.name, err)
	}
	c.peeked = true
	return c.def, c.repl, true, nil
}

// skip goes on to the next value, past one that has none.
func (c *column) skip() {
	c.peeked = false
	c.inPage--
}

// value is the value at hand, and goes on to the next.
func (c *column) value() (value, error) {
	c.skip()
	v, err := c.values.next()
	if err != nil {
		return v, fmt.Errorf("column %q: %w", c.n.name, err)
	}
	return v, nil
}

// page reads the next page.
func (c *column) page() error {
	head, size, err := c.header()
	if err != nil {
		return err
	}
	packed, unpacked := head.number(3, -1), head.number(2, -1)
	if packed < 0 || unpacked < 0 || packed > c.end-c.at-int64(size) {
		return fmt.Errorf("a page at byte %d claims %d bytes, %d unpacked", c.at, packed, unpacked)
	}
	kind := head.number(1, -1)
	start := c.at + int64(size)
	c.at = start + packed
	if kind != pageData && kind != pageDataV2 && kind != pageDictionary {
		return nil // an index
	}
	hold := packed
	if c.codec != 0 {
		hold += max(unpacked, int64(cap(c.buf)))
	}
	if err := c.hold(hold); err != nil {
		return err
	}
	body := make([]byte, packed)
	if _, err := c.file.ReadAt(body, start); err != nil {
		return err
	}
	if crc, ok := head.int(4); ok && crc32.ChecksumIEEE(body) != uint32(crc) {
		return fmt.Errorf("a page at byte %d has another checksum than it should", start)
	}
	switch kind {
	case pageDictionary:
		return c.dictionary(head.sub(7), body, int(unpacked))
	case pageData:
		return c.dataPage(head.sub(5), body, int(unpacked))
	}
	return c.dataPageV2(head.sub(8), body, int(unpacked))
}

// hold counts the memory of a page, which takes the place of the one before.
func (c *column) hold(bytes int64) error {
	*c.held += bytes - c.inHeld
	if c.inHeld = bytes; *c.held > maxPages {
		return fmt.Errorf("its pages take %d MiB with those of the other columns, at most %d are read: write the file with smaller pages or row groups",
			*c.held>>20, maxPages>>20)
	}
	return nil
}

// header reads the header of the next page, and says how long it is.
func (c *column) header() (thriftStruct, int, error) {
	for size := int64(1 << 10); ; size *= 16 {
		room := c.end - c.at
		if room <= 0 {
			return nil, 0, errPage
		}
		buf := make([]byte, min(size, room))
		if _, err := c.file.ReadAt(buf, c.at); err != nil && err != io.EOF {
			return nil, 0, err
		}
		head, n, err := parseThrift(buf)
		if err == nil || int64(len(buf)) == room || size > 16<<20 {
			return head, n, err
		}
	}
}

func (c *column) dictionary(head thriftStruct, body []byte, size int) error {
	if c.dict != nil {
		return errors.New("it has two dictionaries")
	}
	const entry = 32 // bytes of a value
	body, err := c.unpack(body, size)
	if err != nil {
		return err
	}
	n := head.number(1, -1)
	if n < 0 || n > int64(len(body)) || c.n.physical == physicalBoolean {
		return fmt.Errorf("a dictionary of %d bytes claims %d entries", len(body), n)
	}
	c.buf = nil // the dictionary's from now on
	if err := c.hold(int64(len(body)) + entry*n); err != nil {
		return err
	}
	c.inHeld = 0 // it stays
	c.dict = make([]value, n)
	values := &plainValues{body, c.n}
	for i := range c.dict {
		if c.dict[i], err = values.next(); err != nil {
			return err
		}
	}
	return nil
}

// count notes how many values a page has.
func (c *column) count(head thriftStruct) error {
	c.inPage = head.number(1, -1)
	if c.inPage < 0 || c.inPage > c.left {
		claimed := c.inPage
		c.inPage = 0
		return fmt.Errorf("a page claims %d of the %d values that are left", claimed, c.left)
	}
	c.left -= c.inPage
	return nil
}

func (c *column) dataPage(head thriftStruct, body []byte, size int) error {
	if err := c.count(head); err != nil || c.inPage == 0 {
		return err
	}
	body, err := c.unpack(body, size)
	if err != nil {
		return err
	}
	for _, level := range []struct {
		most     int
		encoding int16
		to       **hybrid
	}{{c.n.rep, 4, &c.reps}, {c.n.def, 3, &c.defs}} {
		if level.most == 0 {
			continue
		}
		if head.number(level.encoding, encodingRLE) != encodingRLE {
			return errors.New("its levels have an encoding that is not supported here")
		}
		if *level.to, body, err = prefixed(body, levelWidth(level.most)); err != nil {
			return err
		}
	}
	c.values, err = newDecoder(c.n, head.number(2, -1), body, c.dict)
	return err
}

func (c *column) dataPageV2(head thriftStruct, body []byte, size int) error {
	if err := c.count(head); err != nil || c.inPage == 0 {
		return err
	}
	defs, reps := head.number(5, 0), head.number(6, 0)
	if defs < 0 || reps < 0 || defs > int64(len(body)) || reps > int64(len(body))-defs || int64(size) < defs+reps {
		return errPage
	}
	if c.n.rep > 0 {
		c.reps = &hybrid{buf: body[:reps], width: levelWidth(c.n.rep)}
	}
	if c.n.def > 0 {
		c.defs = &hybrid{buf: body[reps : reps+defs], width: levelWidth(c.n.def)}
	}
	values, err := body[reps+defs:], error(nil)
	if packed, ok := head[7].(bool); (!ok || packed) && len(values) > 0 {
		values, err = c.unpack(values, size-int(defs+reps))
	}
	if err == nil {
		c.values, err = newDecoder(c.n, head.number(4, -1), values, c.dict)
	}
	return err
}
