package kern

const stripGoRows = 2

// stripGo is strip in Go: tiles of two rows by four columns held in registers, and single
// elements at the edges. The conversions keep compilers from fusing multiplication and addition.
func stripGo[T Float](rows, cols, kc int, alpha T, a []T, rs, cs int, b []T, bs, ss int, acc bool, c []T, ldc int) {
	for j := 0; j < cols; {
		at := j/sliver*ss + j%sliver
		if rows == 2 && cols-j >= 4 {
			s := tileGo(kc, a, rs, cs, b[at:], bs)
			for i := range 2 {
				for l := range 4 {
					store(&c[i*ldc+j+l], alpha, s[4*i+l], acc)
				}
			}
			j += 4
			continue
		}
		for i := range rows {
			var s T
			for p := range kc {
				s += T(a[i*rs+p*cs] * b[at+p*bs])
			}
			store(&c[i*ldc+j], alpha, s, acc)
		}
		j++
	}
}

func tileGo[T Float](kc int, a []T, rs, cs int, b []T, bs int) [8]T {
	var s00, s01, s02, s03, s10, s11, s12, s13 T
	a1 := a[rs:]
	for p := range kc {
		x, y := a[p*cs], a1[p*cs]
		r := b[p*bs : p*bs+4 : p*bs+4]
		s00 += T(x * r[0])
		s01 += T(x * r[1])
		s02 += T(x * r[2])
		s03 += T(x * r[3])
		s10 += T(y * r[0])
		s11 += T(y * r[1])
		s12 += T(y * r[2])
		s13 += T(y * r[3])
	}
	return [8]T{s00, s01, s02, s03, s10, s11, s12, s13}
}

func store[T Float](c *T, alpha, s T, acc bool) {
	if acc {
		*c += T(alpha * s)
	} else {
		*c = alpha * s
	}
}
