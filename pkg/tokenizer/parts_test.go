package tokenizer

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A tokenizer taken apart and put together gives the same ids, also after it was written as a .model file.
func TestFromPieces(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	tok := tiny(t)
	again, err := FromPieces(tok.Pieces(), tok.Parts())
	require.NoError(t, err)
	var file bytes.Buffer
	require.NoError(t, again.WriteModel(&file))
	read, err := LoadModel(&file)
	require.NoError(t, err)
	for _, other := range []*Tokenizer{again, read} {
		assert.Equal(t, tok.Pieces(), other.Pieces())
		assert.Equal(t, tok.Parts(), other.Parts())
		assert.Equal(t, []int32{0, 1, 2, -1}, []int32{other.UNK(), other.BOS(), other.EOS(), other.PAD()})
		for range 100 {
			text := randomText(rng, 20)
			require.Equal(t, tok.Encode(text), other.Encode(text), "%q", text)
		}
	}
	tok.Pieces()[260].Text = "changed"
	assert.Equal(t, "ab", tok.Piece(260), "Pieces is a copy")
}

// Names and places of the special pieces are free, and a model file keeps them.
func TestFromPiecesSpecials(t *testing.T) {
	pieces := []Piece{{"<|end|>", 0, Control}, {"a", -1, Normal}, {"<|?|>", 0, Unknown}, {"<s>", 0, Control}, {"▁", -2, Normal}}
	tok, err := FromPieces(pieces, Parts{BOS: -1, EOS: 0, PAD: -1})
	require.NoError(t, err)
	var file bytes.Buffer
	require.NoError(t, tok.WriteModel(&file))
	read, err := LoadModel(&file)
	require.NoError(t, err)
	assert.Equal(t, []int32{-1, 0, 2}, []int32{tok.BOS(), tok.EOS(), tok.UNK()})
	assert.Equal(t, []int32{0, 2}, []int32{read.EOS(), read.UNK()})
	assert.Equal(t, []int32{1, 4, 1, 2}, tok.Encode("a ab"), "no dummy prefix")
	assert.Equal(t, []int32{1, 4, 1, 2}, read.Encode("a ab"))

	_, err = FromPieces(pieces, Parts{BOS: 7, EOS: 1, PAD: -1})
	assert.ErrorContains(t, err, "BOS is 7, but there are 5 pieces")
	assert.ErrorContains(t, err, `EOS is 1, the normal piece "a"; it must be a control piece`)
	_, err = FromPieces(nil, DefaultParts())
	assert.ErrorContains(t, err, "BOS is 1, but there are 0 pieces")
	_, err = FromPieces([]Piece{{"a", 0, Normal}}, Parts{BOS: -1, EOS: -1, PAD: -1})
	assert.ErrorContains(t, err, "no piece has the type unknown")
	_, err = FromPieces(append(pieces, Piece{"<0x0A>", 0, Byte}), Parts{BOS: -1, EOS: -1, PAD: -1})
	assert.ErrorContains(t, err, "byte fallback is on but the piece <0x00> is missing")
}
