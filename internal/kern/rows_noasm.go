//go:build !amd64 || purego

package kern

func detect() level { return portable }

func exp32(dst, src []float32) { exp32Go(dst, src) }

const noAsm = "kern: no assembly in this build"

// Never called: inAsm is false in this build.

func addAsm(n int, dst, a, b *float32)                              { panic(noAsm) }
func addConstAsm(n int, dst, x *float32, c float32)                 { panic(noAsm) }
func mulConstAsm(n int, dst, x *float32, c float32)                 { panic(noAsm) }
func axpyAsm(n int, dst, x *float32, alpha float32)                 { panic(noAsm) }
func mulAxpyAsm(n int, dst, a, b *float32, alpha float32)           { panic(noAsm) }
func scaleMulAsm(n int, dst, x, w *float32, alpha float32)          { panic(noAsm) }
func entropyBackwardAsm(n int, z, p *float32, a, b, h float32)      { panic(noAsm) }
func gateAsm(n int, out, gate, up, e *float32)                      { panic(noAsm) }
func gateBackwardAsm(n int, dgate, dup, gate, up, e, dout *float32) { panic(noAsm) }
func rotateAsm(n int, dst0, dst1, x0, x1, cos, sin *float32)        { panic(noAsm) }
func rotateBackAsm(n int, dst0, dst1, x0, x1, cos, sin *float32)    { panic(noAsm) }
func sumAsm(n int, x *float32) float32                              { panic(noAsm) }
func dotAsm(n int, a, b *float32) float32                           { panic(noAsm) }
func sumSquaresAsm(n int, x *float32) float64                       { panic(noAsm) }
func maxAsm(n int, x *float32) float32                              { panic(noAsm) }
func adamWAsm(n int, p, grad, m, v *float32, scale, b1, c1, b2, c2, keep, step, root, eps float32) {
	panic(noAsm)
}
