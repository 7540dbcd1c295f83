package gguf

import (
	"bytes"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// python is a file that gguf 0.19.0, llama.cpp's own Python package, has written, with numpy 2.4.6. A tensor x.TYPE is x in that type, and
// x.TYPE.want what that package makes of it again.
const python = "testdata/python.gguf"

func open(t testing.TB, path string) *File {
	t.Helper()
	f, err := Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, f.Close()) })
	return f
}

// numbers decodes a whole tensor.
func numbers(t testing.TB, f *File, name string) []float32 {
	t.Helper()
	info, ok := f.Tensor(name)
	require.True(t, ok, name)
	rows, cols := rowsAndCols(info.Shape)
	out := make([]float32, rows*cols)
	require.NoError(t, f.Decode(info, 0, rows, func(r int) []float32 { return out[r*cols:] }))
	return out
}

func bitsOf(x []float32) []uint32 {
	out := make([]uint32, len(x))
	for i, v := range x {
		out[i] = math.Float32bits(v)
	}
	return out
}

func TestMetadataOfOthers(t *testing.T) {
	f := open(t, python)
	want := []KeyValue{
		{"general.architecture", "test"},
		{"k.u8", uint8(200)}, {"k.i8", int8(-100)}, {"k.u16", uint16(60000)}, {"k.i16", int16(-30000)}, {"k.u32", uint32(4000000000)},
		{"k.i32", int32(-2000000000)}, {"k.f32", float32(1e-5)}, {"k.yes", true}, {"k.no", false}, {"k.text", "Grüße, 世界"},
		{"k.u64", uint64(1<<63 + 1)}, {"k.i64", int64(-1 << 62)}, {"k.f64", 1.0 / 3},
		{"k.texts", []string{"", "a", "▁bc"}}, {"k.floats", []float32{0.5, -1.25}}, {"k.ints", []int32{1, -2, 3}}, {"k.bools", []bool{true, false}},
	}
	assert.Equal(t, want, f.Metadata)
	v, ok := f.Values["k.u16"]
	assert.True(t, ok)
	assert.Equal(t, uint16(60000), v)
	_, ok = f.Values["none"]
	assert.False(t, ok)
	assert.True(t, Sniff(python))
	assert.False(t, Sniff("gguf_test.go"))
	assert.False(t, Sniff("testdata/none"))
}

func TestTensorsOfOthers(t *testing.T) {
	f := open(t, python)
	for _, typ := range []string{"f16", "q8", "bf16"} {
		assert.Equal(t, bitsOf(numbers(t, f, "x."+typ+".want")), bitsOf(numbers(t, f, "x."+typ)), typ)
	}
	assert.Equal(t, []float32{0, 1, 2, 3, 4}, numbers(t, f, "v"))
	cube, _ := f.Tensor("cube")
	assert.Equal(t, []int{2, 3, 4}, cube.Shape)
	for i, v := range numbers(t, f, "cube") {
		assert.Equal(t, float32(i), v)
	}
	other := cube
	other.Name, other.Type = "x", 10
	assert.ErrorContains(t, f.Decode(other, 0, 1, nil), `testdata/python.gguf: tensor "x" is Q2_K, want one of F32, F16, BF16, Q4_0`)
	assert.Error(t, f.Decode(cube, 0, 7, nil), "there are 6 rows")
}

// The same numbers give the same bytes as in llama.cpp's package: rounding to F16, and scales and integers of Q8_0.
func TestEncodeAsOthers(t *testing.T) {
	f := open(t, python)
	x := numbers(t, f, "x")
	for name, typ := range map[string]Type{"x.f16": F16, "x.q8": Q8_0, "x": F32} {
		info, _ := f.Tensor(name)
		var got []byte
		for r := range 6 {
			var err error
			got, err = typ.AppendRow(got, x[r*64:][:64])
			require.NoError(t, err)
		}
		want := make([]byte, info.End()-info.Begin())
		_, err := f.r.ReadAt(want, info.Begin())
		require.NoError(t, err)
		assert.Equal(t, want, got, name)
	}
}

// The bound of doc.go, on numbers of many sizes.
func TestQ8Error(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	worst := 0.0
	for range 20000 {
		x, y := make([]float32, q8Block), make([]float32, q8Block)
		scale, amax := math.Exp(min(rng.NormFloat64()*4, 12)), 0.0
		for i := range x {
			x[i] = float32(scale * rng.NormFloat64())
			amax = max(amax, math.Abs(float64(x[i])))
		}
		raw, err := Q8_0.AppendRow(nil, x)
		require.NoError(t, err)
		Q8_0.DecodeRow(y, raw)
		bound := amax / 226
		if amax/127 < 0x1p-14 {
			bound = amax/254 + 127*0x1p-25
		}
		for i := range x {
			e := math.Abs(float64(x[i]) - float64(y[i]))
			if e > bound*(1+1e-5) {
				t.Fatalf("%v of a block up to %v is off by %v", x[i], amax, e)
			}
			worst = max(worst, e/bound)
		}
	}
	assert.Greater(t, worst, 0.9, "the bound is not a loose one")
}

// Every half number survives, and numbers between two go to the nearest one, of two to the even one.
func TestHalf(t *testing.T) {
	is := func(want uint16, x float32) { // quicker than testify, and there are many
		if got := FloatToHalf(x); got != want {
			t.Fatalf("%v becomes %#x, want %#x", x, got, want)
		}
	}
	for i := range 1 << 16 {
		h := uint16(i)
		x := halfToFloat(h)
		if x != x {
			h := FloatToHalf(x)
			require.True(t, h&halfInf == halfInf && h&0x3ff != 0, "NaN stays NaN")
			continue
		}
		is(h, x)
		if h&0x7fff >= 0x7bff { // the last finite number and infinity
			continue
		}
		up := halfToFloat(h + 1)
		middle := (x + up) / 2
		is(h+h&1, middle)
		is(h, math.Nextafter32(middle, x))
		is(h+1, math.Nextafter32(middle, up))
	}
	assert.Equal(t, uint16(0x7bff), FloatToHalf(65519.996))
	assert.Equal(t, uint16(halfInf), FloatToHalf(65520))
}

func TestTooLargeNumbers(t *testing.T) {
	row := make([]float32, q8Block)
	row[3] = 70000
	_, err := F16.AppendRow(nil, row)
	assert.ErrorContains(t, err, "number 3 is 70000, F16 ends at 65504")
	row[3] = 1e7
	_, err = Q8_0.AppendRow(nil, row)
	assert.ErrorContains(t, err, "Q8_0 ends at")
	row[3] = float32(math.NaN())
	_, err = Q8_0.AppendRow(nil, row)
	assert.ErrorContains(t, err, "NaN")
	_, err = BF16.AppendRow(nil, row)
	assert.ErrorContains(t, err, "not written")
}

func write(t testing.TB, meta []KeyValue, tensors ...Source) []byte {
	t.Helper()
	var buf bytes.Buffer
	require.NoError(t, Write(&buf, meta, tensors))
	return buf.Bytes()
}

func source(name string, typ Type, shape []int, x []float32) Source {
	_, cols := rowsAndCols(shape)
	return Source{Name: name, Type: typ, Shape: shape, Row: func(i int) []float32 { return x[i*cols:][:cols] }}
}

func TestRoundTrip(t *testing.T) {
	x := make([]float32, 3*64)
	for i := range x {
		x[i] = float32(i-90) / 8
	}
	meta := open(t, python).Metadata
	meta = append(meta, KeyValue{"more", []uint8{1, 2}}, KeyValue{"i8", []int8{-1}}, KeyValue{"u16", []uint16{9}}, KeyValue{"i16", []int16{-9}},
		KeyValue{"u32", []uint32{7}}, KeyValue{"u64", []uint64{1 << 60}}, KeyValue{"i64", []int64{-1 << 60}}, KeyValue{"f64", []float64{0.1}})
	raw := write(t, meta, source("a", F32, []int{3, 64}, x), source("b", F16, []int{3, 64}, x), source("c", F32, []int{5}, x), source("d", Q8_0, []int{192}, x))
	path := filepath.Join(t.TempDir(), "x.gguf")
	require.NoError(t, os.WriteFile(path, raw, 0o600))
	f := open(t, path)
	assert.Equal(t, path, f.path)
	assert.Equal(t, meta, f.Metadata)
	assert.Equal(t, x, numbers(t, f, "a"))
	assert.Equal(t, x, numbers(t, f, "b"), "eighths fit")
	assert.Equal(t, x[:5], numbers(t, f, "c"))
	assert.InDeltaSlice(t, x, numbers(t, f, "d"), 12.75/226)
	for _, info := range f.Tensors {
		assert.Zero(t, info.begin%defaultAlignment)
	}
	assert.Zero(t, len(raw)%defaultAlignment)
	// Only the version tells a file of version 2.
	raw[4] = 2
	f2, err := parseBytes(raw)
	require.NoError(t, err)
	assert.Equal(t, f.Metadata, f2.Metadata)
}

// Rows longer than what is read at once, many short ones, and rows that are to lie in another order.
func TestDecodePlaces(t *testing.T) {
	for _, typ := range []Type{F32, F16} {
		for _, shape := range [][]int{{2, decodeBytes}, {5000, 64}, {8, 3}} {
			rows, cols := rowsAndCols(shape)
			x := make([]float32, rows*cols)
			for i := range x {
				x[i] = float32(i % 2039)
			}
			f, err := parseBytes(write(t, nil, source("a", typ, shape, x)))
			require.NoError(t, err)
			a, _ := f.Tensor("a")
			for name, order := range map[string]func(r int) int{
				"same": func(r int) int { return r }, "reversed": func(r int) int { return rows - 1 - r }, "pairs": func(r int) int { return r ^ 1 },
			} {
				got := make([]float32, rows*cols)
				place := func(r int) []float32 { return got[order(r)*cols:][:cols] }
				for lo := 0; lo < rows; lo += 3000 {
					require.NoError(t, f.Decode(a, lo, min(lo+3000, rows), place))
				}
				for r := range rows {
					if !slices.Equal(x[r*cols:][:cols], got[order(r)*cols:][:cols]) {
						t.Fatalf("%v %v %s: row %d", typ, shape, name, r)
					}
				}
			}
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	x := make([]float32, 64)
	for want, s := range map[string]Source{
		"cannot be written as Q8_0": source("w", Q8_0, []int{1, 48}, x),
		"cannot be written as Q4_K": source("w", 12, []int{32}, x),
		"has shape []":              source("w", F32, nil, x),
		"row 0 has 4 numbers":       {Name: "w", Type: F32, Shape: []int{2, 5}, Row: func(int) []float32 { return x[:4] }},
	} {
		assert.ErrorContains(t, Write(io.Discard, nil, []Source{s}), want)
	}
	two := source("w", F32, []int{4}, x)
	assert.ErrorContains(t, Write(io.Discard, nil, []Source{two, two}), "is there twice")
	assert.ErrorContains(t, Write(io.Discard, []KeyValue{{"a", 1}}, nil), "not one of GGUF")
	assert.ErrorContains(t, Write(io.Discard, []KeyValue{{"a", "b"}, {"a", "b"}}, nil), "is there twice")
	full := errors.New("no space left on device")
	for _, room := range []int{10, 70} {
		assert.ErrorIs(t, Write(&disk{room, full}, nil, []Source{two}), full)
	}
}

// disk takes some bytes and then fails.
type disk struct {
	room int
	err  error
}

func (d *disk) Write(p []byte) (int, error) {
	if d.room -= len(p); d.room < 0 {
		return 0, d.err
	}
	return len(p), nil
}

func BenchmarkDecode(b *testing.B) {
	for _, typ := range []Type{F32, F16, BF16, Q8_0} {
		b.Run(typ.String(), func(b *testing.B) {
			dst := make([]float32, 1<<12)
			raw := make([]byte, typ.rowBytes(len(dst)))
			for i := range raw {
				raw[i] = byte(i * 7)
			}
			b.SetBytes(int64(4 * len(dst)))
			for b.Loop() {
				typ.DecodeRow(dst, raw)
			}
		})
	}
}
