package blas_test

import (
	"fmt"
	"math"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	gblas "gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
	"gonum.org/v1/gonum/blas/testblas"

	"github.com/tame-rlhf/tame/pkg/blas"
)

// double gives a float32 BLAS to gonum's conformance tests, which are for float64 and want 1e-14: an element that is near gonum's
// own float64 result, as near as float32 gets, is taken for that; any other stays, and the test finds it. A call must panic if and
// only if the float64 function does, with the same words.
//
// The functions of gonum's that are not here: Srotmg, whose cases float32 cannot hold, and Sdsdot and Dsdot, which have no tests.
type double struct {
	single any // the float32 BLAS
	worst  *float64
}

// both calls function "S"+name on float32 copies of the arguments and "D"+name on the arguments.
func (d double) both(name string, args ...any) []reflect.Value {
	var in32, in64 []reflect.Value
	var narrow [][]float32
	var wide, orig [][]float64
	scale := 1.0
	for _, arg := range args {
		switch v := arg.(type) {
		case float64:
			in32, in64 = append(in32, reflect.ValueOf(float32(v))), append(in64, reflect.ValueOf(v))
			scale = max(scale, size(v))
		case []float64:
			narrow, wide, orig = append(narrow, single(v)), append(wide, append([]float64(nil), v...)), append(orig, v)
			in32, in64 = append(in32, reflect.ValueOf(narrow[len(narrow)-1])), append(in64, reflect.ValueOf(wide[len(wide)-1]))
			for _, e := range v {
				scale = max(scale, size(e))
			}
		case gblas.DrotmParams:
			s := gblas.SrotmParams{Flag: v.Flag}
			copy(s.H[:], single(v.H[:]))
			in32, in64 = append(in32, reflect.ValueOf(s)), append(in64, reflect.ValueOf(v))
		default:
			in32, in64 = append(in32, reflect.ValueOf(arg)), append(in64, reflect.ValueOf(arg))
		}
	}
	want, wantPanic := call(gonum.Implementation{}, name, "D", in64)
	got, gotPanic := call(d.single, name, "S", in32)
	if fmt.Sprint(wantPanic) != fmt.Sprint(gotPanic) {
		panic(fmt.Sprintf("S%s panics with %v, D%s with %v", name, gotPanic, name, wantPanic))
	}
	if wantPanic != nil {
		panic(wantPanic)
	}
	for i := range orig {
		for j := range orig[i] {
			orig[i][j] = d.near(float64(narrow[i][j]), wide[i][j], scale)
		}
	}
	for i, v := range got {
		if v.CanFloat() {
			want[i] = reflect.ValueOf(d.near(v.Float(), want[i].Float(), scale))
		} else {
			want[i] = v
		}
	}
	return want
}

func size(x float64) float64 {
	if x = math.Abs(x); x < math.MaxFloat32 {
		return x
	}
	return 0
}

// near returns want if got is near, got otherwise. Operands are rounded to 2^-24 of them, and so is every one of a few products and
// sums, none of them much greater than scale: 1e-6 is 17 such roundings.
func (d double) near(got, want, scale float64) float64 {
	if got == want || math.IsNaN(got) && math.IsNaN(want) {
		return want
	}
	diff := math.Abs(got-want) / max(scale, size(want))
	if diff <= 1e-6 {
		*d.worst = max(*d.worst, diff)
		return want
	}
	return got
}

func call(impl any, name, prefix string, in []reflect.Value) (out []reflect.Value, panicked any) {
	defer func() { panicked = recover() }()
	m := reflect.ValueOf(impl).MethodByName(prefix + name)
	if !m.IsValid() {
		m = reflect.ValueOf(impl).MethodByName(map[string]string{"S": "Is", "D": "Id"}[prefix] + name)
	}
	return m.Call(in), nil
}

func TestConformance(t *testing.T) {
	testConformance(t, blas.Float32{})
}

func testConformance(t *testing.T, impl gblas.Float32) {
	var worst float64
	d := double{impl, &worst}
	for name, test := range map[string]func(t *testing.T){
		"Sdot":   func(t *testing.T) { testblas.DdotTest(t, d) },
		"Snrm2":  func(t *testing.T) { testblas.Dnrm2Test(t, d) },
		"Sasum":  func(t *testing.T) { testblas.DasumTest(t, d) },
		"Isamax": func(t *testing.T) { testblas.IdamaxTest(t, d) },
		"Sswap":  func(t *testing.T) { testblas.DswapTest(t, d) },
		"Scopy":  func(t *testing.T) { testblas.DcopyTest(t, d) },
		"Saxpy":  func(t *testing.T) { testblas.DaxpyTest(t, d) },
		"Srotg":  func(t *testing.T) { testblas.DrotgTest(t, d, true) },
		"Srot":   func(t *testing.T) { testblas.DrotTest(t, d) },
		"Srotm":  func(t *testing.T) { testblas.DrotmTest(t, d) },
		"Sscal":  func(t *testing.T) { testblas.DscalTest(t, d) },
		"Sgemv":  func(t *testing.T) { testblas.DgemvTest(t, d) },
		"Sger":   func(t *testing.T) { testblas.DgerTest(t, d) },
		"Sgbmv":  func(t *testing.T) { testblas.DgbmvTest(t, d) },
		"Ssbmv":  func(t *testing.T) { testblas.DsbmvTest(t, d) },
		"Sspmv":  func(t *testing.T) { testblas.DspmvTest(t, d) },
		"Sspr":   func(t *testing.T) { testblas.DsprTest(t, d) },
		"Sspr2":  func(t *testing.T) { testblas.Dspr2Test(t, d) },
		"Ssymv":  func(t *testing.T) { testblas.DsymvTest(t, d) },
		"Ssyr":   func(t *testing.T) { testblas.DsyrTest(t, d) },
		"Ssyr2":  func(t *testing.T) { testblas.Dsyr2Test(t, d) },
		"Stbmv":  func(t *testing.T) { testblas.DtbmvTest(t, d) },
		"Stbsv":  func(t *testing.T) { testblas.DtbsvTest(t, d) },
		"Stpmv":  func(t *testing.T) { testblas.DtpmvTest(t, d) },
		"Stpsv":  func(t *testing.T) { testblas.DtpsvTest(t, d) },
		"Strmv":  func(t *testing.T) { testblas.DtrmvTest(t, d) },
		"Strsv":  func(t *testing.T) { testblas.DtrsvTest(t, d) },
		"Stxmv":  func(t *testing.T) { testblas.DtxmvTest(t, d) },
		"Sgemm":  func(t *testing.T) { testblas.TestDgemm(t, d) },
		"Ssymm":  func(t *testing.T) { testblas.DsymmTest(t, d) },
		"Ssyrk":  func(t *testing.T) { testblas.DsyrkTest(t, d) },
		"Ssyr2k": func(t *testing.T) { testblas.Dsyr2kTest(t, d) },
		"Strmm":  func(t *testing.T) { testblas.DtrmmTest(t, d) },
		"Strsm":  func(t *testing.T) { testblas.DtrsmTest(t, d) },
	} {
		t.Run(name, func(t *testing.T) {
			worst = 0
			test(t)
			t.Logf("greatest difference %.1e", worst)
		})
	}
	require.False(t, t.Failed())
}

func (d double) Ddot(n int, x []float64, incX int, y []float64, incY int) float64 {
	return d.both("dot", n, x, incX, y, incY)[0].Float()
}
func (d double) Dnrm2(n int, x []float64, incX int) float64 {
	return d.both("nrm2", n, x, incX)[0].Float()
}
func (d double) Dasum(n int, x []float64, incX int) float64 {
	return d.both("asum", n, x, incX)[0].Float()
}
func (d double) Idamax(n int, x []float64, incX int) int {
	return int(d.both("amax", n, x, incX)[0].Int())
}
func (d double) Dswap(n int, x []float64, incX int, y []float64, incY int) {
	d.both("swap", n, x, incX, y, incY)
}
func (d double) Dcopy(n int, x []float64, incX int, y []float64, incY int) {
	d.both("copy", n, x, incX, y, incY)
}
func (d double) Daxpy(n int, alpha float64, x []float64, incX int, y []float64, incY int) {
	d.both("axpy", n, alpha, x, incX, y, incY)
}
func (d double) Drotg(a, b float64) (c, s, r, z float64) {
	v := d.both("rotg", a, b)
	return v[0].Float(), v[1].Float(), v[2].Float(), v[3].Float()
}
func (d double) Drot(n int, x []float64, incX int, y []float64, incY int, c, s float64) {
	d.both("rot", n, x, incX, y, incY, c, s)
}
func (d double) Drotm(n int, x []float64, incX int, y []float64, incY int, p gblas.DrotmParams) {
	d.both("rotm", n, x, incX, y, incY, p)
}
func (d double) Dscal(n int, alpha float64, x []float64, incX int) { d.both("scal", n, alpha, x, incX) }

func (d double) Dgemv(tA gblas.Transpose, m, n int, alpha float64, a []float64, lda int, x []float64, incX int, beta float64, y []float64, incY int) {
	d.both("gemv", tA, m, n, alpha, a, lda, x, incX, beta, y, incY)
}
func (d double) Dger(m, n int, alpha float64, x []float64, incX int, y []float64, incY int, a []float64, lda int) {
	d.both("ger", m, n, alpha, x, incX, y, incY, a, lda)
}
func (d double) Dgbmv(tA gblas.Transpose, m, n, kL, kU int, alpha float64, a []float64, lda int, x []float64, incX int, beta float64, y []float64, incY int) {
	d.both("gbmv", tA, m, n, kL, kU, alpha, a, lda, x, incX, beta, y, incY)
}
func (d double) Dsbmv(ul gblas.Uplo, n, k int, alpha float64, a []float64, lda int, x []float64, incX int, beta float64, y []float64, incY int) {
	d.both("sbmv", ul, n, k, alpha, a, lda, x, incX, beta, y, incY)
}
func (d double) Dspmv(ul gblas.Uplo, n int, alpha float64, ap []float64, x []float64, incX int, beta float64, y []float64, incY int) {
	d.both("spmv", ul, n, alpha, ap, x, incX, beta, y, incY)
}
func (d double) Dspr(ul gblas.Uplo, n int, alpha float64, x []float64, incX int, ap []float64) {
	d.both("spr", ul, n, alpha, x, incX, ap)
}
func (d double) Dspr2(ul gblas.Uplo, n int, alpha float64, x []float64, incX int, y []float64, incY int, ap []float64) {
	d.both("spr2", ul, n, alpha, x, incX, y, incY, ap)
}
func (d double) Dsymv(ul gblas.Uplo, n int, alpha float64, a []float64, lda int, x []float64, incX int, beta float64, y []float64, incY int) {
	d.both("symv", ul, n, alpha, a, lda, x, incX, beta, y, incY)
}
func (d double) Dsyr(ul gblas.Uplo, n int, alpha float64, x []float64, incX int, a []float64, lda int) {
	d.both("syr", ul, n, alpha, x, incX, a, lda)
}
func (d double) Dsyr2(ul gblas.Uplo, n int, alpha float64, x []float64, incX int, y []float64, incY int, a []float64, lda int) {
	d.both("syr2", ul, n, alpha, x, incX, y, incY, a, lda)
}
func (d double) Dtbmv(ul gblas.Uplo, tA gblas.Transpose, diag gblas.Diag, n, k int, a []float64, lda int, x []float64, incX int) {
	d.both("tbmv", ul, tA, diag, n, k, a, lda, x, incX)
}
func (d double) Dtbsv(ul gblas.Uplo, tA gblas.Transpose, diag gblas.Diag, n, k int, a []float64, lda int, x []float64, incX int) {
	d.both("tbsv", ul, tA, diag, n, k, a, lda, x, incX)
}
func (d double) Dtpmv(ul gblas.Uplo, tA gblas.Transpose, diag gblas.Diag, n int, ap []float64, x []float64, incX int) {
	d.both("tpmv", ul, tA, diag, n, ap, x, incX)
}
func (d double) Dtpsv(ul gblas.Uplo, tA gblas.Transpose, diag gblas.Diag, n int, ap []float64, x []float64, incX int) {
	d.both("tpsv", ul, tA, diag, n, ap, x, incX)
}
func (d double) Dtrmv(ul gblas.Uplo, tA gblas.Transpose, diag gblas.Diag, n int, a []float64, lda int, x []float64, incX int) {
	d.both("trmv", ul, tA, diag, n, a, lda, x, incX)
}
func (d double) Dtrsv(ul gblas.Uplo, tA gblas.Transpose, diag gblas.Diag, n int, a []float64, lda int, x []float64, incX int) {
	d.both("trsv", ul, tA, diag, n, a, lda, x, incX)
}

func (d double) Dgemm(tA, tB gblas.Transpose, m, n, k int, alpha float64, a []float64, lda int, b []float64, ldb int, beta float64, c []float64, ldc int) {
	d.both("gemm", tA, tB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
}
func (d double) Dsymm(s gblas.Side, ul gblas.Uplo, m, n int, alpha float64, a []float64, lda int, b []float64, ldb int, beta float64, c []float64, ldc int) {
	d.both("symm", s, ul, m, n, alpha, a, lda, b, ldb, beta, c, ldc)
}
func (d double) Dsyrk(ul gblas.Uplo, tA gblas.Transpose, n, k int, alpha float64, a []float64, lda int, beta float64, c []float64, ldc int) {
	d.both("syrk", ul, tA, n, k, alpha, a, lda, beta, c, ldc)
}
func (d double) Dsyr2k(ul gblas.Uplo, tA gblas.Transpose, n, k int, alpha float64, a []float64, lda int, b []float64, ldb int, beta float64, c []float64, ldc int) {
	d.both("syr2k", ul, tA, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
}
func (d double) Dtrmm(s gblas.Side, ul gblas.Uplo, tA gblas.Transpose, diag gblas.Diag, m, n int, alpha float64, a []float64, lda int, b []float64, ldb int) {
	d.both("trmm", s, ul, tA, diag, m, n, alpha, a, lda, b, ldb)
}
func (d double) Dtrsm(s gblas.Side, ul gblas.Uplo, tA gblas.Transpose, diag gblas.Diag, m, n int, alpha float64, a []float64, lda int, b []float64, ldb int) {
	d.both("trsm", s, ul, tA, diag, m, n, alpha, a, lda, b, ldb)
}
