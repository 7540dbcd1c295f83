package gguf

import "encoding/binary"

// quantDecoders convert one block of the quantised types: dst has the block's numbers, raw its bytes. The layouts are in doc.go. Products
// are rounded before something is added to them (a conversion to float32 keeps a compiler from fusing the two), as in gguf-py.
var quantDecoders = map[Type]func(dst []float32, raw []byte){
	Q4_0: decodeQ4_0, Q4_1: decodeQ4_1, Q5_0: decodeQ5_0, Q5_1: decodeQ5_1, Q8_0: decodeQ8_0,
	Q4_K: decodeQ4_K, Q5_K: decodeQ5_K, Q6_K: decodeQ6_K,
}

// decodeBlocks converts a row of a quantised type.
func (t Type) decodeBlocks(dst []float32, raw []byte) {
	elems, bytes := t.block()
	decode := quantDecoders[t]
	for ; len(dst) > 0; dst, raw = dst[elems:], raw[bytes:] {
		decode(dst[:elems], raw[:bytes])
	}
}

// half reads a binary16 number.
func half(raw []byte) float32 { return halfToFloat(binary.LittleEndian.Uint16(raw)) }

func decodeQ4_0(dst []float32, raw []byte) {
	d := half(raw)
	to, from := (*[32]float32)(dst), (*[16]byte)(raw[2:])
	for i := range 16 {
		b := from[i]
		to[i], to[16+i] = d*(lowers[b]-8), d*(uppers[b]-8)
	}
}

func decodeQ4_1(dst []float32, raw []byte) {
	d, m := half(raw), half(raw[2:])
	to, from := (*[32]float32)(dst), (*[16]byte)(raw[4:])
	for i := range 16 {
		b := from[i]
		to[i], to[16+i] = float32(d*lowers[b])+m, float32(d*uppers[b])+m
	}
}

// Integers as numbers, by a byte of a file: looking one up takes less time than converting it.
var (
	lowers = integers(func(q uint8) int { return int(q & 15) })
	uppers = integers(func(q uint8) int { return int(q >> 4) })
	ints   = integers(func(q uint8) int { return int(q) })
	ints5  = integers(func(q uint8) int { return int(q) - 16 }) // of Q5_0
	ints6  = integers(func(q uint8) int { return int(q) - 32 }) // of Q6_K
	int8s  = integers(func(q uint8) int { return int(int8(q)) })
)

func integers(integer func(q uint8) int) (table [256]float32) {
	for q := range table {
		table[q] = float32(integer(uint8(q)))
	}
	return table
}

// bit is the upper bit, 16 or 0, of the i-th integer of 5 bits.
func bit(high uint32, i int) uint8 { return uint8(high>>i) & 1 << 4 }

func decodeQ5_0(dst []float32, raw []byte) {
	d, high := half(raw), binary.LittleEndian.Uint32(raw[2:])
	to, from := (*[32]float32)(dst), (*[16]byte)(raw[6:])
	for i := range 16 {
		b := from[i]
		to[i], to[16+i] = d*ints5[b&15|bit(high, i)], d*ints5[b>>4|bit(high, 16+i)]
	}
}

func decodeQ5_1(dst []float32, raw []byte) {
	d, m, high := half(raw), half(raw[2:]), binary.LittleEndian.Uint32(raw[4:])
	to, from := (*[32]float32)(dst), (*[16]byte)(raw[8:])
	for i := range 16 {
		b := from[i]
		to[i], to[16+i] = float32(d*ints[b&15|bit(high, i)])+m, float32(d*ints[b>>4|bit(high, 16+i)])+m
	}
}

func decodeQ8_0(dst []float32, raw []byte) {
	d := half(raw)
	to, from := (*[q8Block]float32)(dst), (*[q8Block]byte)(raw[2:])
	for i := 0; i < q8Block; i += 4 {
		to[i], to[i+1], to[i+2], to[i+3] = d*int8s[from[i]], d*int8s[from[i+1]], d*int8s[from[i+2]], d*int8s[from[i+3]]
	}
}

// kScales unpacks the scale and the minimum of part i (0 to 7) of a block of Q4_K and Q5_K. They have 6 bits each. Those of the first four
// parts are the lower bits of bytes 0 to 3 and 4 to 7; those of the others are the halves of bytes 8 to 11, with two upper bits from there.
func kScales(packed []byte, i int) (scale, minimum float32) {
	if i < 4 {
		return ints[packed[i]&63], ints[packed[4+i]&63]
	}
	low := packed[4+i]
	return ints[low&15|packed[i-4]>>6<<4], ints[low>>4|packed[i]>>6<<4]
}

func decodeQ4_K(dst []float32, raw []byte) {
	d, m, scales, qs := half(raw), half(raw[2:]), raw[4:16], raw[16:]
	for i := 0; i < 8; i += 2 {
		s0, low0 := kScales(scales, i)
		s1, low1 := kScales(scales, i+1)
		d0, m0, d1, m1 := d*s0, m*low0, d*s1, m*low1
		to, from := (*[64]float32)(dst[32*i:]), (*[32]byte)(qs[16*i:])
		for j := range 32 {
			b := from[j]
			to[j], to[32+j] = float32(d0*lowers[b])-m0, float32(d1*uppers[b])-m1
		}
	}
}

func decodeQ5_K(dst []float32, raw []byte) {
	d, m, scales, high, qs := half(raw), half(raw[2:]), raw[4:16], (*[32]byte)(raw[16:]), raw[48:]
	for i := 0; i < 8; i += 2 {
		s0, low0 := kScales(scales, i)
		s1, low1 := kScales(scales, i+1)
		d0, m0, d1, m1 := d*s0, m*low0, d*s1, m*low1
		to, from := (*[64]float32)(dst[32*i:]), (*[32]byte)(qs[16*i:])
		for j := range 32 {
			b := from[j]
			h := high[j] >> i
			to[j] = float32(d0*ints[b&15|h&1<<4]) - m0
			to[32+j] = float32(d1*ints[b>>4|h>>1&1<<4]) - m1
		}
	}
}

func decodeQ6_K(dst []float32, raw []byte) {
	d := half(raw[208:])
	for i := range 2 { // 128 numbers each
		low, high, scales := (*[64]byte)(raw[64*i:]), (*[32]byte)(raw[128+32*i:]), (*[8]byte)(raw[192+8*i:])
		var of [8]float32 // scales of 16 numbers each
		for k := range of {
			of[k] = d * int8s[scales[k]]
		}
		to := (*[128]float32)(dst[128*i:])
		for j := range 32 {
			h := high[j]
			k := j / 16
			to[j] = of[k] * ints6[low[j]&15|h&3<<4]
			to[32+j] = of[2+k] * ints6[low[32+j]&15|h>>2&3<<4]
			to[64+j] = of[4+k] * ints6[low[j]>>4|h>>4&3<<4]
			to[96+j] = of[6+k] * ints6[low[32+j]>>4|h>>6<<4]
		}
	}
}
