package kern

// attnPath says where the tokens lie that a segment's queries see, by their positions: those that a branch shares with its root from
// slot root on, then its own from slot own on.
type attnPath struct{ root, own, shared, length int }

func (p attnPath) slot(pos int) int {
	if pos < p.shared {
		return p.root + pos
	}
	return p.own + pos - p.shared
}

// run is how many of the positions [from, to) lie side by side, from the first on.
func (p attnPath) run(from, to int) int {
	if from < p.shared {
		return min(to, p.shared) - from
	}
	return to - from
}

// copyPath gathers d columns of x, rows of ldx, at the positions [from, to).
func copyPath[T Float](dst []T, d int, x []T, ldx int, p attnPath, from, to int) {
	for pos := from; pos < to; {
		n := p.run(pos, to)
		copyRows(n, d, dst[(pos-from)*d:], d, x[p.slot(pos)*ldx:], ldx)
		pos += n
	}
}

// rotatePath is copyPath, turned by the rows of the table rope.
func rotatePath[T Float](dst []T, d int, x []T, ldx int, rope []T, p attnPath, from, to int) {
	for pos := from; pos < to; {
		n := p.run(pos, to)
		rotateRows(n, d, dst[(pos-from)*d:], d, x[p.slot(pos)*ldx:], ldx, rope[pos*d:])
		pos += n
	}
}

// blockRows is the number of queries from position pos on that go together: to the end of their block, counted from position 0.
func blockRows(pos, end int) int { return min(queryBlock-pos%queryBlock, end-pos) }
