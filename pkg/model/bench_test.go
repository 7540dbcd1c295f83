package model

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"
)

// benchConfigs are the shapes that other programs are timed with, with room for 256 tokens.
var benchConfigs = []struct {
	name string
	cfg  Config
}{
	{"260k", benchConfig(64, 5, 8, 4, 172, 512)},
	{"quickstart", benchConfig(128, 4, 4, 2, 352, 768)},
	{"15m", benchConfig(288, 6, 6, 6, 768, 32000)},
	{"110m", benchConfig(768, 12, 12, 12, 2048, 32000)},
}

func benchConfig(dim, layers, heads, kvHeads, hidden, vocab int) Config {
	return Config{
		Dim: dim, NumLayers: layers, NumHeads: heads, NumKVHeads: kvHeads, HeadDim: dim / heads, HiddenDim: hidden,
		VocabSize: vocab, MaxSeqLen: 256, NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}
}

// BenchmarkDecode is a step of decoding, one token for every sequence, from empty caches to full ones: MODEL/SEQUENCES.
func BenchmarkDecode(b *testing.B) {
	for _, m := range benchConfigs {
		for _, sequences := range []int{1, 8, 32, 64} {
			b.Run(fmt.Sprintf("%s/%d", m.name, sequences), func(b *testing.B) {
				const context = 256
				d, err := NewDecoder(randomParams(m.cfg, tensor.Float32, 1), sequences, context)
				require.NoError(b, err)
				chunks := make([]Chunk, sequences)
				for slot := range chunks {
					chunks[slot] = Chunk{slot, []int32{int32(slot)}}
				}
				b.ReportAllocs()
				for b.Loop() {
					if d.Len(0) == context {
						for slot := range sequences {
							d.Reset(slot)
						}
					}
					if _, err := d.Forward(chunks); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(sequences*b.N)/b.Elapsed().Seconds(), "tokens/s")
			})
		}
	}
}

// BenchmarkPrefill is a prompt of 256 tokens.
func BenchmarkPrefill(b *testing.B) {
	for _, m := range benchConfigs {
		b.Run(m.name, func(b *testing.B) {
			d, err := NewDecoder(randomParams(m.cfg, tensor.Float32, 1), 1, 256)
			require.NoError(b, err)
			prompt := []Chunk{{0, make([]int32, 256)}}
			for b.Loop() {
				d.Reset(0)
				if _, err := d.Forward(prompt); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(256*b.N)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}
