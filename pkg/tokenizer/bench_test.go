package tokenizer

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func BenchmarkEncode(b *testing.B) {
	tok := loadShared(b, "llama_tokenizer", "tokenizer.model")
	text, err := os.ReadFile(shared(b, "tinyshakespeare", "train.txt"))
	require.NoError(b, err)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		tok.Encode(string(text))
	}
}

func BenchmarkDecode(b *testing.B) {
	tok := loadShared(b, "llama_tokenizer", "tokenizer.model")
	text, err := os.ReadFile(shared(b, "tinyshakespeare", "train.txt"))
	require.NoError(b, err)
	ids := tok.Encode(string(text))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := tok.Decode(ids); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	path := shared(b, "llama_tokenizer", "tokenizer.model")
	for b.Loop() {
		if _, err := Load(path); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTrain(b *testing.B) {
	text, err := os.ReadFile(shared(b, "tinyshakespeare", "train.txt"))
	require.NoError(b, err)
	cfg := DefaultTrainConfig()
	cfg.VocabSize = 4096
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := Train(context.Background(), slices.Values([]string{string(text)}), cfg); err != nil {
			b.Fatal(err)
		}
	}
}

// Line by line, as datasets come: no text is long enough to meet many words again.
func BenchmarkEncodeLines(b *testing.B) {
	tok := loadShared(b, "llama_tokenizer", "tokenizer.model")
	text, err := os.ReadFile(shared(b, "tinyshakespeare", "train.txt"))
	require.NoError(b, err)
	lines := strings.Split(string(text), "\n")
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		for _, line := range lines {
			tok.Encode(line)
		}
	}
}

func BenchmarkNFKCRules(b *testing.B) {
	for b.Loop() {
		encodeCharsMap(nfkcRules())
	}
}
