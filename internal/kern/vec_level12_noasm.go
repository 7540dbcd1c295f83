//go:build !amd64 || purego

package kern

func rowsTimes(y []float32, alpha float32, a []float32, lda int, x []float32) {
	rowsTimesGo(y, alpha, a, lda, x)
}
func addRows(y []float32, alpha float32, a []float32, lda int, x []float32) {
	addRowsGo(y, alpha, a, lda, x)
}
func saxpy(y []float32, alpha float32, x []float32) { axpy(y, alpha, x) }

// Never called: inAsm is false in this build.

func sumAbsAsm(n int, x *float32) float32       { panic(noAsm) }
func maxAbsAsm(n int, x *float32) float32       { panic(noAsm) }
func swapAsm(n int, x, y *float32)              { panic(noAsm) }
func rotAsm(n int, x, y *float32, c, s float32) { panic(noAsm) }
