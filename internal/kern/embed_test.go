package kern_test

import (
	"math"
	"testing"

	"github.com/tame-rlhf/tame/internal/kern"
)

func TestEmbed(t *testing.T) {
	rng := newRand(40)
	const rows, c, v = 50, 150, 11
	w, dout := normals[float32](rng, v*c), normals[float32](rng, rows*c)
	tokens := make([]int32, rows)
	for i := range tokens {
		tokens[i] = int32(rng.IntN(v - 1)) // the last token never occurs
	}
	want, sums := make([]float32, rows*c), make([]float32, v*c)
	for r, tok := range tokens {
		for i := range c {
			want[r*c+i] = w[int(tok)*c+i]
			sums[int(tok)*c+i] += dout[r*c+i]
		}
	}
	got := filled[float32]((rows+1)*c, 7)
	kern.Embed(got, w, tokens, rows, c)
	requireBits(t, append(want, filled[float32](c, 7)...), got, "out")
	one, two := onThreads(func() []float32 {
		dw := filled(v*c, float32(math.NaN()))
		kern.EmbedBackward(dw, dout, tokens, rows, c, v, false)
		return dw
	})
	requireBits(t, sums, one, "dw in slot order")
	requireBits(t, sums, two, "dw on two threads")
}
