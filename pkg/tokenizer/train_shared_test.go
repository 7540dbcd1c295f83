package tokenizer

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The vocabulary that SentencePiece 0.1.97 trained on the same text with Llama's settings.
func TestTrainMatchesSentencePiece(t *testing.T) {
	text, err := os.ReadFile(shared(t, "tinyshakespeare", "train.txt"))
	require.NoError(t, err)
	vocab, err := os.ReadFile(shared(t, "sentencepiece_small", "shakespeare_bpe1000.vocab"))
	require.NoError(t, err)

	cfg := DefaultTrainConfig()
	cfg.VocabSize, cfg.UserDefined = 1000, nil
	tok, err := Train(context.Background(), slices.Values([]string{string(text)}), cfg)
	require.NoError(t, err)

	lines := strings.Split(strings.TrimSuffix(string(vocab), "\n"), "\n")
	require.Len(t, lines, tok.VocabSize())
	var got []string
	for id := range int32(tok.VocabSize()) {
		score := strconv.FormatFloat(float64(tok.Score(id)), 'g', -1, 32)
		got = append(got, fmt.Sprintf("%s\t%s", tok.Piece(id), score))
	}
	assert.Equal(t, lines, got)
}
