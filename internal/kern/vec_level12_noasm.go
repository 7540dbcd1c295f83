//go:build !amd64 || purego

package kern

func dots4(out *[4]float32, a []float32, lda int, x []float32) { dots4Go(out, a, lda, x) }
func axpys4(y []float32, t *[4]float32, a []float32, lda int)  { axpys4Go(y, t, a, lda) }
func axpys1(y []float32, t float32, a []float32)               { axpys1Go(y, t, a) }

// Never called: inAsm is false in this build.

func sumAbsAsm(n int, x *float32) float32       { panic(noAsm) }
func maxAbsAsm(n int, x *float32) float32       { panic(noAsm) }
func swapAsm(n int, x, y *float32)              { panic(noAsm) }
func rotAsm(n int, x, y *float32, c, s float32) { panic(noAsm) }
