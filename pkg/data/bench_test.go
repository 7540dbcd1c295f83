package data_test

import (
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/tame-rlhf/tame/pkg/data"
)

func BenchmarkPack(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	lengths := make([]int, 27540) // the paper's number of SFT examples
	for i := range lengths {
		lengths[i] = 1 + rng.IntN(2000)
	}
	for b.Loop() {
		if _, err := data.Pack(lengths, 4096, 64); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDataset(b *testing.B) {
	path := filepath.Join(b.TempDir(), "x.arrow")
	rows := make([]data.Sample, 10000)
	for i := range rows {
		rows[i] = data.Sample{PromptID: "a", Messages: dialog("Hi"), Prompt: make([]int32, 50), Tokens: make([]int32, 200),
			LogProbs: make([]float32, 200), Text: "Hello"}
	}
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			if err := data.Write(path, rows, lineage); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := data.Read[data.Sample](path); err != nil {
				b.Fatal(err)
			}
		}
	})
}
