package kern

import "sync"

// Embed looks rows up: out[r] = w[tokens[r]].
//
// out (rows, c), w (V, c), tokens (rows), each in [0, V). Parallel over rows.
func Embed[T Float](out, w []T, tokens []int32, rows, c int) {
	run(&embedLoops, rows, rowGrain(c), embedLoop[T]{out, w, tokens, c})
}

var embedLoops, embedBackLoops, clearLoops sync.Pool

type embedLoop[T Float] struct {
	out, w []T
	tokens []int32
	c      int
}

func (l *embedLoop[T]) Piece(lo, hi int) {
	c := l.c
	for r := lo; r < hi; r++ {
		t := int(l.tokens[r])
		copy(l.out[r*c:(r+1)*c], l.w[t*c:(t+1)*c])
	}
}

// EmbedBackward is the derivative of Embed: dw[t] is the sum of dout[r] over the rows r that looked t up, in row order.
//
// dw (v, c), dout (rows, c), tokens (rows). add adds to dw instead of overwriting it. Parallel over columns.
func EmbedBackward[T Float](dw, dout []T, tokens []int32, rows, c, v int, add bool) {
	if !add {
		clearAll(dw[:v*c])
	}
	run(&embedBackLoops, c, columnGrain, embedBackLoop[T]{dw, dout, tokens[:rows], c})
}

type embedBackLoop[T Float] struct {
	dw, dout []T
	tokens   []int32
	c        int
}

func (l *embedBackLoop[T]) Piece(lo, hi int) {
	c := l.c
	for r, t := range l.tokens {
		row := l.dw[int(t)*c : (int(t)+1)*c]
		addTo(row[lo:hi], l.dout[r*c+lo:r*c+hi])
	}
}

// clearAll sets x to 0, in parallel.
func clearAll[T Float](x []T) {
	run(&clearLoops, len(x), vecGrain, clearLoop[T]{x})
}

type clearLoop[T Float] struct{ x []T }

func (l *clearLoop[T]) Piece(lo, hi int) { clear(l.x[lo:hi]) }

func addTo[T Float](dst, x []T) { add(dst, dst, x) }
