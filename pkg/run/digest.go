package run

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"math"

	"github.com/tame-rlhf/tame/pkg/data"
)

// Digest is the fingerprint of a stream of items. Every value is written with its kind, and with its
// length if it has one, so two streams have the same bytes only if they are the same items. Use
// NewDigest.
type Digest struct {
	hash hash.Hash // SHA-256
	buf  []byte    // not hashed yet, of fixed capacity

	part  data.Input   // that is being written
	empty bool         // nothing is in it yet
	parts []data.Input // before it
}

// dataName is the name of what is written before the first Part.
const dataName = "data"

// digestBuffer is the number of bytes that are hashed at a time.
const digestBuffer = 8192

// NewDigest is the digest of no items.
func NewDigest() *Digest {
	return &Digest{hash: sha256.New(), buf: make([]byte, 0, digestBuffer), part: data.Input{Name: dataName}, empty: true}
}

// Part ends what was written before, and begins a part with a name, such as "held-out data". The parts of two runs are compared one
// by one, so that a difference is told by the name of its part.
func (d *Digest) Part(name string) {
	if !d.empty {
		d.end()
	}
	d.part, d.empty = data.Input{Name: name}, false
}

// end adds the part that was written to the parts.
func (d *Digest) end() {
	d.part.Fingerprint = d.Sum()
	d.parts = append(d.parts, d.part)
	d.hash.Reset()
}

// Sum is the fingerprint of all that was written since the last Part: "sha256:" and 64 hexadecimal digits.
func (d *Digest) Sum() string {
	d.flush(0)
	return data.FingerprintOf(d.hash)
}

// flush hashes what is in the buffer, unless it has room for n more bytes. 0 flushes always.
func (d *Digest) flush(n int) {
	if n == 0 || len(d.buf)+n > cap(d.buf) {
		d.hash.Write(d.buf)
		d.buf = d.buf[:0]
	}
}

// header writes the kind of a value and its length, or the value itself if it is a number.
func (d *Digest) header(kind byte, n uint64) {
	d.flush(9)
	d.empty = false
	d.buf = binary.LittleEndian.AppendUint64(append(d.buf, kind), n)
}

// Int writes an integer.
func (d *Digest) Int(n int) { d.header('i', uint64(n)) }

// Bool writes a truth value.
func (d *Digest) Bool(yes bool) {
	n := 0
	if yes {
		n = 1
	}
	d.header('b', uint64(n))
}

// Text writes a string.
func (d *Digest) Text(s string) {
	d.header('s', uint64(len(s)))
	for len(s) > 0 {
		d.flush(1)
		n := copy(d.buf[len(d.buf):cap(d.buf)], s)
		d.buf, s = d.buf[:len(d.buf)+n], s[n:]
	}
}

// Tokens writes token ids.
func (d *Digest) Tokens(ids []int32) {
	d.header('t', uint64(len(ids)))
	for _, id := range ids {
		d.flush(4)
		d.buf = binary.LittleEndian.AppendUint32(d.buf, uint32(id))
	}
}

// Numbers writes numbers by their bits.
func (d *Digest) Numbers(x []float32) {
	d.header('f', uint64(len(x)))
	for _, x := range x {
		d.flush(4)
		d.buf = binary.LittleEndian.AppendUint32(d.buf, math.Float32bits(x))
	}
}

// Items returns a function that writes a list: their number, which is told where two runs differ, and each of them.
func Items[T any](write func(*Digest, T), items []T) func(*Digest) {
	return func(d *Digest) {
		d.part.Items += len(items)
		d.Int(len(items))
		for _, item := range items {
			write(d, item)
		}
	}
}

// Example writes a sequence to train on.
func (d *Digest) Example(e data.Example) {
	d.Tokens(e.Tokens)
	d.Numbers(e.Weights)
}

// Pair writes two answers and what the annotator said.
func (d *Digest) Pair(p data.Pair) {
	d.Tokens(p.Prompt)
	d.Tokens(p.Chosen)
	d.Tokens(p.Rejected)
	d.Int(int(p.Rating))
	d.Int(int(p.ChosenSafe))
	d.Int(int(p.RejectedSafe))
	d.Int(int(p.Set))
}

// Prompt writes a prompt.
func (d *Digest) Prompt(p data.TokenPrompt) {
	d.Text(p.ID)
	d.Tokens(p.Tokens)
	d.Bool(p.Safety)
}
