package file

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/gguf"
)

// plainFloat is the value of a binary floating-point number by the definition of IEEE 754.
func plainFloat(bits uint64, expBits, fracBits int) float64 {
	frac := bits & (1<<fracBits - 1)
	exp := int(bits >> fracBits & (1<<expBits - 1))
	bias := 1<<(expBits-1) - 1
	var v float64
	switch {
	case exp == 1<<expBits-1 && frac != 0:
		v = math.NaN()
	case exp == 1<<expBits-1:
		v = math.Inf(1)
	case exp == 0:
		v = math.Ldexp(float64(frac), 1-bias-fracBits)
	default:
		v = math.Ldexp(float64(frac|1<<fracBits), exp-bias-fracBits)
	}
	if bits>>(expBits+fracBits)&1 != 0 {
		v = math.Copysign(v, -1)
	}
	return v
}

// All numbers of both types, and what lies around the middle between each and the next.
func TestHalfTypes(t *testing.T) {
	for _, c := range []struct {
		name      string
		exp, frac int
		round     func(float32) uint16
		inf       uint16
		dtype     string
		beyond    float32 // the first number that rounds to infinity
		largest   float32
	}{
		{"F16", 5, 10, gguf.FloatToHalf, 0x7c00, F16, 65520, 65519.996},
		{"BF16", 8, 7, floatToBF16, 0x7f80, BF16, math.Float32frombits(0x7f7f8000), math.Float32frombits(0x7f7f7fff)},
	} {
		decode := func(h uint16) float32 {
			var out [1]float32
			require.Equal(t, 1, Decode(out[:], []byte{byte(h), byte(h >> 8)}, c.dtype))
			return out[0]
		}
		for i := range 1 << 16 {
			h := uint16(i)
			want, v := plainFloat(uint64(h), c.exp, c.frac), decode(h)
			if math.IsNaN(want) {
				require.True(t, math.IsNaN(float64(v)))
				require.True(t, math.IsNaN(float64(decode(c.round(v)))), "%s %#x", c.name, h)
				continue
			}
			require.Equal(t, math.Float64bits(want), math.Float64bits(float64(v)), "%s %#x", c.name, h)
			require.Equal(t, h, c.round(v), "%s %#x", c.name, h)
			if h&0x7fff >= c.inf-1 {
				continue // no finite number above
			}
			middle := float32((want + plainFloat(uint64(h+1), c.exp, c.frac)) / 2)
			require.Equal(t, h+h&1, c.round(middle), "%s: the even one of %#x and the next", c.name, h)
			require.Equal(t, h, c.round(math.Nextafter32(middle, 0)), "%s %#x", c.name, h)
			require.Equal(t, h+1, c.round(math.Nextafter32(middle, float32(math.Copysign(math.Inf(1), want)))), "%s %#x", c.name, h)
		}
		for n := range 10 { // numbers in fours, and what is left of them
			var raw []byte
			var want []float32
			for i := range n {
				h := uint16(0x3c00 + 0x0123*i)
				raw = binary.LittleEndian.AppendUint16(raw, h)
				want = append(want, float32(plainFloat(uint64(h), c.exp, c.frac)))
			}
			got := make([]float32, n, n+1)
			require.Equal(t, n, Decode(got, raw, c.dtype))
			require.Equal(t, append([]float32{}, want...), got)
		}
		inf := float32(math.Inf(-1))
		raw, err := Encode(nil, []float32{c.largest, inf}, c.dtype)
		require.NoError(t, err)
		var got [2]float32
		Decode(got[:], raw, c.dtype)
		assert.Equal(t, [2]float32{decode(c.inf - 1), inf}, got)
		for _, v := range []float32{c.beyond, -c.beyond, math.MaxFloat32} {
			_, err = Encode(nil, []float32{1, v}, c.dtype)
			assert.ErrorContains(t, err, "would become infinite", c.name)
		}
	}
	// A NaN whose upper bits are those of infinity.
	nan := math.Float32frombits(0x7f800001)
	assert.Equal(t, uint16(0x7e00), gguf.FloatToHalf(nan))
	assert.Equal(t, uint16(0x7fc0), floatToBF16(nan))
	assert.Equal(t, uint16(0x8001), gguf.FloatToHalf(float32(-math.Ldexp(1.000001, -25))), "above the middle of 0 and the smallest")
}
