package kern

import "math"

// Passes over a strip of rows of scores. A row has room for whole rounds of a sum's lanes (padded); what it holds past its last
// score counts for nothing and is set to 0.

// padded is the room that a row of scores needs: whole rounds of a sum's lanes.
func padded(keys int) int { return (keys + lanes - 1) &^ (lanes - 1) }

// softmaxRows takes scores into a running softmax. Row r counts min(seen + r*step, width) keys, at least 1; with m the greatest
// score of the row so far:
//
//	p = exp(p - m), decay = exp(most - m), sum = sum*decay + the sum of p, most = m
//
// p rows of ldp numbers, set to 0 from the last key counted to padded(width); most, sum, decay one number per row. A NaN or +Inf
// among the scores, or nothing but -Inf, makes the row's sum NaN.
func softmaxRows[T Float](rows, seen, step, width int, p []T, ldp int, most, sum, decay []T) {
	if inAsm[T]() {
		softmaxRowsAsm(rows, seen, step, width, ptr(p), 4*ldp, ptr(most), ptr(sum), ptr(decay))
		return
	}
	for r := range rows {
		row := p[r*ldp:][:padded(width)]
		n := min(seen+r*step, width)
		clear(row[n:])
		m := max(most[r], Max(row[:n]))
		decay[r], most[r] = most[r]-m, m
		addConst(row[:n], row[:n], -m)
		Exp(row[:n], row[:n])
		Exp(decay[r:r+1], decay[r:r+1])
		sum[r] = T(sum[r]*decay[r]) + Sum(row)
	}
}

// scoreRows turns scores p into softmax weights, and the weights' gradients ds into those of the scores; row r counts
// min(seen + r*step, width) keys, at least 1:
//
//	p = exp(p - lse), ds = p * (ds - delta) * alpha
//
// p and ds rows of ld numbers, set to 0 from the last key counted to padded(width); lse and delta one number per row.
func scoreRows[T Float](rows, seen, step, width int, p, ds []T, ld int, lse, delta []T, alpha T) {
	if inAsm[T]() {
		scoreRowsAsm(rows, seen, step, width, ptr(p), ptr(ds), 4*ld, ptr(lse), ptr(delta), float32(alpha))
		return
	}
	for r := range rows {
		p, ds := p[r*ld:][:padded(width)], ds[r*ld:][:padded(width)]
		n := min(seen+r*step, width)
		addConst(p[:n], p[:n], -lse[r])
		Exp(p[:n], p[:n])
		for i := range n {
			ds[i] = p[i] * (ds[i] - delta[r]) * alpha
		}
		clear(p[n:])
		clear(ds[n:])
	}
}

// scaleRows sets each of rows of n numbers to dst = x * c, with a factor of its own. dst may be x.
func scaleRows[T Float](rows, n int, dst []T, ldd int, x []T, ldx int, c []T) {
	if vectorPart[T](n) == n {
		scaleRowsAsm(rows, n, ptr(dst), 4*ldd, ptr(x), 4*ldx, ptr(c))
		return
	}
	for r := range rows {
		mulConst(dst[r*ldd:][:n], x[r*ldx:][:n], c[r])
	}
}

// rotateRows sets rows of d numbers to those of x, turned by the rows of the table rope. dst may be x.
func rotateRows[T Float](rows, d int, dst []T, ldd int, x []T, ldx int, rope []T) {
	if half := d / 2; vectorPart[T](half) == half {
		rotateRowsAsm(rows, half, ptr(dst), 4*ldd, ptr(x), 4*ldx, ptr(rope))
		return
	}
	for r := range rows {
		rotate(dst[r*ldd:][:d], x[r*ldx:][:d], rope[r*d:][:d], false)
	}
}

// rotateRowsBack sets rows of d numbers to those of x, turned back by the rows of the table rope. dst may be x.
func rotateRowsBack[T Float](rows, d int, dst []T, ldd int, x []T, ldx int, rope []T) {
	if half := d / 2; vectorPart[T](half) == half {
		rotateRowsBackAsm(rows, half, ptr(dst), 4*ldd, ptr(x), 4*ldx, ptr(rope))
		return
	}
	for r := range rows {
		rotate(dst[r*ldd:][:d], x[r*ldx:][:d], rope[r*d:][:d], true)
	}
}

// copyRows copies rows of n numbers.
func copyRows[T Float](rows, n int, dst []T, ldd int, x []T, ldx int) {
	if n > 0 && vectorPart[T](n) == n {
		copyRowsAsm(rows, n, ptr(dst), 4*ldd, ptr(x), 4*ldx)
		return
	}
	for r := range rows {
		copy(dst[r*ldd:][:n], x[r*ldx:][:n])
	}
}

// copyDotRows copies rows of n numbers from x to dst, and sets dot to the inner product of each with its row of y.
func copyDotRows[T Float](rows, n int, dst []T, ldd int, x []T, ldx int, y []T, ldy int, dot []T) {
	if inAsm[T]() && n%lanes == 0 {
		copyDotRowsAsm(rows, n, ptr(dst), 4*ldd, ptr(x), 4*ldx, ptr(y), 4*ldy, ptr(dot))
		return
	}
	for r := range rows {
		row := dst[r*ldd:][:n]
		copy(row, x[r*ldx:])
		dot[r] = Dot(row, y[r*ldy:])
	}
}

// lseRows sets dst = most + log(sum), one number per row with room for padded(rows); sum is at least 1, or NaN.
func lseRows[T Float](rows int, dst, most, sum []T) {
	if inAsm[T]() {
		lseRowsAsm(padded(rows), ptr(dst), ptr(most), ptr(sum))
		return
	}
	for r := range rows {
		dst[r] = most[r] + T(math.Log(float64(sum[r])))
	}
}
