package kern

// Embed looks rows up: out[r] = w[tokens[r]].
//
// out (rows, c), w (V, c), tokens (rows), each in [0, V). Parallel over rows.
func Embed[T Float](out, w []T, tokens []int32, rows, c int) {
	For(rows, rowGrain(c), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			t := int(tokens[r])
			copy(out[r*c:(r+1)*c], w[t*c:(t+1)*c])
		}
	})
}

// EmbedBackward is the derivative of Embed: dw[t] is the sum of dout[r] over the rows r that looked t up, in row order.
//
// dw (v, c), dout (rows, c), tokens (rows). Parallel over columns.
func EmbedBackward[T Float](dw, dout []T, tokens []int32, rows, c, v int) {
	For(v, rowGrain(c), func(lo, hi int) { clear(dw[lo*c : hi*c]) })
	For(c, columnGrain, func(lo, hi int) {
		for r, t := range tokens[:rows] {
			row := dw[int(t)*c : (int(t)+1)*c]
			addTo(row[lo:hi], dout[r*c+lo:r*c+hi])
		}
	})
}

func addTo[T Float](dst, x []T) { add(dst, dst, x) }
