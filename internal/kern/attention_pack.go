package kern

// Keys are read as a matrix (D, tokens), in the slivers that the tiles of a product read.

// packedSize is the room for packed keys.
func packedSize(tokens, d int) int { return ceilDiv(tokens, sliver) * sliver * d }

// packRotated packs the keys of a path's first tokens, columns of x, turned by the rows of the table rope. near is scratch of at least
// sliver rows.
func packRotated[T Float](dst, x []T, ldx int, rope []T, p attnPath, tokens, d int, near []T) panel[T] {
	for t := 0; t < tokens; t += sliver {
		rows := min(sliver, tokens-t)
		rotatePath(near, d, x, ldx, rope, p, t, t+rows)
		packTransposed(d, rows, near, d, dst[t*d:][:sliver*d])
	}
	return packedPanel(dst, d)
}

// packedPanel is the panel of packed keys.
func packedPanel[T Float](data []T, d int) panel[T] { return panel[T]{data, sliver, sliver * d} }

// inPlaceRows is a matrix that is not packed, for few rows of A.
func inPlaceRows[T Float](x []T, ldx int) panel[T] { return panel[T]{x, ldx, sliver} }
