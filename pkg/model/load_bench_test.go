//go:build unix

package model

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/model/arch"
)

// BenchmarkLoad loads a checkpoint of 1 GiB (or the folder in TAME_BENCH_MODEL) and does, in turn with that, what bounds it from below: reading the
// same files into memory; and what was the alternative: copying out of a map. Medians, with the files in the page cache.
func BenchmarkLoad(b *testing.B) {
	if dir := os.Getenv("TAME_BENCH_MODEL"); dir != "" {
		benchmarkLoad(b, dir)
		return
	}
	for dtype, layers := range map[string]int{F32: 16, F16: 37, BF16: 37} {
		b.Run(dtype, func(b *testing.B) {
			cfg := loadConfig(layers)
			dir := filepath.Join(b.TempDir(), "m")
			require.NoError(b, SaveAs(dir, NewParams(cfg, tensor.Float32), SaveConfig{DType: dtype, MaxShardBytes: 5e9}, nil))
			benchmarkLoad(b, dir)
		})
	}
}

func benchmarkLoad(b *testing.B, dir string) {
	files, err := filepath.Glob(filepath.Join(dir, "*.safetensors"))
	require.NoError(b, err)
	ways := []struct {
		name string
		do   func() (any, error)
	}{
		{"load", func() (any, error) { return Load(dir) }},
		{"read", func() (any, error) { return readFiles(files, os.ReadFile) }},
		{"map", func() (any, error) { return readFiles(files, copyMapped) }},
	}
	times, cpu := make([][]float64, len(ways)), make([][]float64, len(ways))
	var allocated uint64
	for b.Loop() {
		for i, w := range ways {
			debug.FreeOSMemory() // the same for each: all pages are touched for the first time
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start, used := time.Now(), cpuTime(b)
			got, err := w.do()
			times[i] = append(times[i], time.Since(start).Seconds()*1e3)
			cpu[i] = append(cpu[i], (cpuTime(b)-used).Seconds()*1e3)
			require.NoError(b, err)
			runtime.ReadMemStats(&after)
			if i == 0 {
				allocated = after.TotalAlloc - before.TotalAlloc
			}
			runtime.KeepAlive(got)
		}
	}
	median := func(x []float64) float64 { slices.Sort(x); return x[len(x)/2] }
	for i, w := range ways {
		b.ReportMetric(median(times[i]), w.name+"-ms")
		b.ReportMetric(median(cpu[i]), w.name+"-cpu-ms")
	}
	b.ReportMetric(median(times[0])/median(times[1]), "load/read")
	b.ReportMetric(float64(allocated)/(1<<20), "allocated-MiB")
	b.ReportMetric(0, "ns/op")
}

// cpuTime is what the process has used of all processors, which other programs disturb less than the time that passes.
func cpuTime(b *testing.B) time.Duration {
	var u unix.Rusage
	require.NoError(b, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func readFiles(paths []string, read func(string) ([]byte, error)) (all [][]byte, err error) {
	for _, path := range paths {
		raw, err := read(path)
		if err != nil {
			return nil, err
		}
		all = append(all, raw)
	}
	return all, nil
}

// copyMapped copies a file out of a map, on all processors.
func copyMapped(path string) (_ []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	stat, err := f.Stat()
	if err != nil {
		return nil, err
	}
	mapped, err := unix.Mmap(int(f.Fd()), 0, int(stat.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	out := make([]byte, len(mapped))
	var wg sync.WaitGroup
	const step = 1 << 20
	for lo := 0; lo < len(out); lo += step {
		wg.Go(func() { copy(out[lo:min(lo+step, len(out))], mapped[lo:]) })
	}
	wg.Wait()
	return out, unix.Munmap(mapped)
}

// loadConfig is a model of that many layers of width 1024.
func loadConfig(layers int) Config {
	c := arch.Llama2_7B()
	c.Dim, c.NumLayers, c.NumHeads, c.NumKVHeads, c.HeadDim, c.HiddenDim = 1024, layers, 8, 8, 128, arch.FFNHidden(1024, 1, 256)
	return c
}
