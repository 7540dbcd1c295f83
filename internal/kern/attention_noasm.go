//go:build !amd64 || purego

package kern

// Never called: inAsm is false in this build.

func softmaxRowsAsm(rows, seen, step, width int, p *float32, ldp int, most, sum, decay *float32) {
	panic(noAsm)
}

func scoreRowsAsm(rows, seen, step, width int, p, ds *float32, ld int, lse, delta *float32, alpha float32) {
	panic(noAsm)
}

func scaleRowsAsm(rows, n int, dst *float32, ldd int, x *float32, ldx int, c *float32) { panic(noAsm) }
func rotateRowsAsm(rows, n int, dst *float32, ldd int, x *float32, ldx int, rope *float32) {
	panic(noAsm)
}
func rotateRowsBackAsm(rows, n int, dst *float32, ldd int, x *float32, ldx int, rope *float32) {
	panic(noAsm)
}

func copyRowsAsm(rows, n int, dst *float32, ldd int, x *float32, ldx int) { panic(noAsm) }
func copyDotRowsAsm(rows, n int, dst *float32, ldd int, x *float32, ldx int, y *float32, ldy int, dot *float32) {
	panic(noAsm)
}

func lseRowsAsm(n int, dst, most, sum *float32) { panic(noAsm) }
