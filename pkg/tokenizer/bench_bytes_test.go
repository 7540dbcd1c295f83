//go:build unix

package tokenizer

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// processorTime is what the process has used of all processors, which other programs disturb less than the time that passes.
func processorTime(b *testing.B) time.Duration {
	var u unix.Rusage
	require.NoError(b, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Byte-level BPE beside Hugging Face's library on one thread. TAME_BENCH_TEXT is a file that testdata/mixed_text.py wrote, TAME_BENCH_TOKENIZER a
// tokenizer. With TAME_PYTHON, a Python with tokenizers, the two run in turn, five times, and the median of the ratios is reported.
func BenchmarkByteLevel(b *testing.B) {
	path, name, python := os.Getenv("TAME_BENCH_TEXT"), os.Getenv("TAME_BENCH_TOKENIZER"), os.Getenv("TAME_PYTHON")
	if path == "" || name == "" {
		b.Skip("TAME_BENCH_TEXT and TAME_BENCH_TOKENIZER name no text and no tokenizer")
	}
	tok, err := Load(name)
	require.NoError(b, err)
	raw, err := os.ReadFile(path)
	require.NoError(b, err)
	docs := strings.Split(string(raw), "\n<|endoftext|>\n")
	ids := 0
	run := func() float64 {
		before, size := processorTime(b), 0
		ids = 0
		for _, doc := range docs {
			size += len(doc)
			ids += len(tok.Encode(doc))
		}
		return float64(size) / 1e6 / (processorTime(b) - before).Seconds()
	}
	if python == "" {
		b.SetBytes(int64(len(raw)))
		for b.Loop() {
			run()
		}
		return
	}
	dir := filepath.Join(b.TempDir(), "folder")
	require.NoError(b, tok.SaveHuggingFace(dir))
	var own, other, ratios []float64
	for b.Loop() {
		own, other, ratios = nil, nil, nil
		for range 5 {
			own = append(own, run())
			out, err := exec.Command(python, filepath.Join("testdata", "speed.py"), filepath.Join(dir, huggingTokenizer), path, "1").Output()
			require.NoError(b, err)
			var speed float64
			var count int
			_, err = fmt.Sscan(string(out), &speed, &count)
			require.NoError(b, err)
			require.Equal(b, count, ids)
			other, ratios = append(other, speed), append(ratios, own[len(own)-1]/speed)
		}
	}
	median := func(list []float64) float64 { return slices.Sorted(slices.Values(list))[len(list)/2] }
	b.ReportMetric(median(own), "MB/s")
	b.ReportMetric(median(other), "tokenizers-MB/s")
	b.ReportMetric(median(ratios), "ratio")
}
