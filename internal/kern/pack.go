package kern

import (
	"runtime"
	"unsafe"

	"github.com/tame-rlhf/tame/internal/parallel"
)

const packWork = 1 << 15 // elements that are worth a goroutine

// Packed is a matrix B of k by n stored the way the tiles of Gemm read it, for products of many
// small A with the same B. It does not change after Pack and may be used by many goroutines.
type Packed[T Float] struct {
	k, n int
	data []T // slivers of 32 columns, each k rows; the last may have columns that are not used
}

// Pack stores op(B), k by n; see Gemm for b and ldb.
func Pack[T Float](transB bool, k, n int, b []T, ldb int) *Packed[T] {
	if k < 0 || n < 0 {
		panic(badSize)
	}
	y := op(transB, k, n, b, ldb, shortB)
	slivers := ceilDiv(n, sliver)
	size := k * slivers * sliver
	p := &Packed[T]{k, n, align(make([]T, size+line[T]()), size)}
	if size > 0 {
		parallel.For(slivers, ceilDiv(packWork, k*sliver), func(lo, hi int) {
			j := lo * sliver
			pack(k, min(hi*sliver, n)-j, view[T]{y.from(0, j), y.rs, y.cs}, p.data[j*k:])
		})
	}
	return p
}

// GemmPacked computes C = A B + beta C with the bits of Gemm; A is m by k.
func GemmPacked[T Float](m int, a []T, lda int, b *Packed[T], beta T, c []T, ldc int) {
	if !prepare(m, b.n, b.k, 1, beta, c, ldc) {
		return
	}
	p := product[T]{m: m, n: b.n, k: b.k, alpha: 1, a: op(false, m, b.k, a, lda, shortA),
		b: panel[T]{b.data, sliver, b.k * sliver}, acc: beta != 0, c: c, ldc: ldc}
	p.run(runtime.GOMAXPROCS(0))
}

// pack stores B, k by n, in slivers. Columns past n are left alone: tiles mask them off.
func pack[T Float](k, n int, b view[T], dst []T) {
	for j := 0; j < n; j += sliver {
		d := dst[j*k : (j+sliver)*k]
		cols := min(sliver, n-j)
		if b.rs == 1 {
			packTransposed(k, cols, b.from(0, j), b.cs, d)
			continue
		}
		for p := range k {
			copy(d[p*sliver:], b.from(p, j)[:cols])
		}
	}
}

// packTransposed fills a sliver whose columns are rows of b, a block of k at a time so that the
// sliver's cache lines stay near until all their columns are there.
func packTransposed[T Float](k, cols int, b []T, ldb int, dst []T) {
	const block = 128
	for p := 0; p < k; p += block {
		kb := min(block, k-p)
		d := dst[p*sliver : (p+kb)*sliver]
		j := 0
		for ; j+8 <= cols; j += 8 {
			src := b[j*ldb+p:]
			if src32, ok := any(src).([]float32); ok {
				transpose8(kb, any(d).([]float32)[j:], src32, ldb)
			} else {
				transpose8Go(kb, d[j:], src, ldb)
			}
		}
		for ; j < cols; j++ {
			for q, v := range b[j*ldb+p : j*ldb+p+kb] {
				d[q*sliver+j] = v
			}
		}
	}
}

func transpose8Go[T Float](k int, dst, src []T, ld int) {
	for j := range 8 {
		for p, v := range src[j*ld : j*ld+k] {
			dst[sliver*p+j] = v
		}
	}
}

// line is how many elements more than it needs a buffer must have for align.
func line[T Float]() int { return cacheLine / int(unsafe.Sizeof(T(0))) }

const cacheLine = 64 // bytes

// align cuts buf to n elements that start a cache line: a vector across two lines takes two loads.
func align[T Float](buf []T, n int) []T {
	past := int(uintptr(unsafe.Pointer(unsafe.SliceData(buf))) % cacheLine)
	skip := (cacheLine - past) % cacheLine / int(unsafe.Sizeof(T(0)))
	return buf[skip : skip+n : skip+n]
}
