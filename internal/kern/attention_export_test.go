package kern

// The passes over rows of attention, for their tests.
var (
	SoftmaxRows    = softmaxRows[float32]
	ScoreRows      = scoreRows[float32]
	ScaleRows      = scaleRows[float32]
	CopyRows       = copyRows[float32]
	CopyDotRows    = copyDotRows[float32]
	RotateRows     = rotateRows[float32]
	RotateRowsBack = rotateRowsBack[float32]
)

// LSERows is lseRows.
func LSERows(rows int, dst, most, sum []float32) { lseRows(rows, dst, most, sum) }
