//go:build unix

package model

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/parallel"
	"github.com/tame-rlhf/tame/pkg/model/internal/meta"
)

// A checkpoint is loaded and, in turn, read by os.ReadFile, and as many float32 are written into new memory. The medians are compared, of
// the time that passes and of the time of the processors. TAME_SMOLLM2_GGUF names SmolLM2-135M-Instruct.Q4_1.gguf, see internal/gguf.
func BenchmarkLoadGGUF(b *testing.B) {
	if path := os.Getenv("TAME_SMOLLM2_GGUF"); path != "" {
		b.Run("SmolLM2", func(b *testing.B) { compareWithRead(b, path, path) })
	}
	for dtype, layers := range map[string]int{F32: 6, F16: 13, Q8_0: 26} {
		b.Run(dtype, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "m.gguf")
			require.NoError(b, SaveGGUF(path, NewParams(loadConfig(layers), tensor.Float32), dtype, nil))
			compareWithRead(b, path, path)
		})
	}
}

func BenchmarkLoadMeta(b *testing.B) {
	for dtype, layers := range map[string]int{F32: 6, BF16: 13} {
		b.Run(dtype, func(b *testing.B) {
			dir := filepath.Join(b.TempDir(), "m")
			require.NoError(b, SaveMeta(dir, NewParams(loadConfig(layers), tensor.Float32), dtype, nil))
			compareWithRead(b, dir, filepath.Join(dir, meta.FirstFile))
		})
	}
}

func compareWithRead(b *testing.B, model, file string) {
	var times, cpu [3][]float64
	p, err := Load(model)
	require.NoError(b, err)
	n := int(p.NumParams())
	for b.Loop() {
		for i, do := range []func() (any, error){
			func() (any, error) { return Load(model) },
			func() (any, error) { return os.ReadFile(file) },
			func() (any, error) {
				x := make([]float32, n)
				parallel.For(n, 1<<18, func(lo, hi int) { fill32(x[lo:hi], 1) })
				return x, nil
			},
		} {
			debug.FreeOSMemory() // the same for each: all pages are touched for the first time
			start, used := time.Now(), cpuTime(b)
			got, err := do()
			times[i] = append(times[i], time.Since(start).Seconds()*1e3)
			cpu[i] = append(cpu[i], (cpuTime(b)-used).Seconds()*1e3)
			require.NoError(b, err)
			runtime.KeepAlive(got)
		}
	}
	median := func(x []float64) float64 { slices.Sort(x); return x[len(x)/2] }
	for _, m := range []struct {
		name  string
		value float64
	}{
		{"load-ms", median(times[0])}, {"read-ms", median(times[1])}, {"load-cpu-ms", median(cpu[0])}, {"read-cpu-ms", median(cpu[1])},
		{"write-ms", median(times[2])}, {"write-cpu-ms", median(cpu[2])}, {"ns/op", 0},
	} {
		b.ReportMetric(m.value, m.name)
	}
	stat, err := os.Stat(file)
	require.NoError(b, err)
	b.ReportMetric(float64(stat.Size())/(1<<20), "file-MiB")
}
