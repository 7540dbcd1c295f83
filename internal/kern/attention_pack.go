package kern

// Keys are read as a matrix (D, tokens), in the slivers that the tiles of a product read.

// packedSize is the room for packed keys.
func packedSize(tokens, d int) int { return ceilDiv(tokens, sliver) * sliver * d }

// packRotated packs keys, rows of x, turned by the rows of the table rope. near is scratch of at least sliver rows.
func packRotated[T Float](dst, x []T, ldx int, rope []T, tokens, d int, near []T) panel[T] {
	for t := 0; t < tokens; t += sliver {
		rows := min(sliver, tokens-t)
		rotateRows(rows, d, near, d, x[t*ldx:], ldx, rope[t*d:])
		packTransposed(d, rows, near, d, dst[t*d:][:sliver*d])
	}
	return panel[T]{dst, sliver, sliver * d}
}

// packRows packs rows of x as they are.
func packRows[T Float](dst, x []T, ldx, tokens, d int) panel[T] {
	pack(d, tokens, view[T]{x, 1, ldx}, dst)
	return panel[T]{dst, sliver, sliver * d}
}

// inPlaceRows is a matrix that is not packed, for few rows of A.
func inPlaceRows[T Float](x []T, ldx int) panel[T] { return panel[T]{x, ldx, sliver} }
