package tokenizer

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// unigramModel has random scores, so there are no ties.
func unigramModel(t testing.TB, rng *rand.Rand, bytes bool) *Tokenizer {
	t.Helper()
	pieces := []Piece{{"<unk>", 0, Unknown}, {"<s>", 0, Control}, {"</s>", 0, Control}, {"[X]", 0, UserDefined}, {"bb", 0, Unused}}
	if bytes {
		for b := range 256 {
			pieces = append(pieces, Piece{byteName(byte(b)), 0, Byte})
		}
	}
	for _, text := range []string{"▁", "a", "b", "c", "é", "ab", "ba", "abc", "▁a", "▁ab", "cab", "éa", "a▁b", "X", "["} {
		pieces = append(pieces, Piece{text, -10 * rng.Float32(), Normal})
	}
	parts := DefaultParts()
	parts.Unigram = true
	tok, err := FromPieces(pieces, parts)
	require.NoError(t, err)
	return tok
}

// bestCut tries every way to cut the text.
func bestCut(tok *Tokenizer, text string, known map[string]float64, unk float64) (float64, []string) {
	if text == "" {
		return 0, nil
	}
	best, cut := math.Inf(-1), []string(nil)
	_, first := utf8.DecodeRuneInString(text)
	for n := first; n <= len(text); n++ {
		score, ok := known[text[:n]]
		if !ok && n == first {
			score, ok = unk, true
		}
		if !ok || n < len(text) && !utf8.RuneStart(text[n]) {
			continue
		}
		if rest, tail := bestCut(tok, text[n:], known, unk); score+rest > best {
			best, cut = score+rest, append([]string{text[:n]}, tail...)
		}
	}
	return best, cut
}

func TestUnigramIsTheDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(19, 20))
	letters := []string{"a", "b", "c", "é", " ", "b", "a", "?", "[X]", "漢"}
	for trial := range 200 {
		tok := unigramModel(t, rng, trial%2 == 0)
		known, lowest := map[string]float64{}, 0.0
		for _, p := range tok.Pieces() {
			switch p.Type {
			case Normal:
				known[p.Text] = float64(p.Score)
				lowest = min(lowest, float64(p.Score))
			case UserDefined:
				known[p.Text] = -0.1
			}
		}
		for range 5 {
			var b strings.Builder
			for range 1 + rng.IntN(6) {
				b.WriteString(letters[rng.IntN(len(letters))])
			}
			_, cut := bestCut(tok, space+strings.ReplaceAll(b.String(), " ", space), known, lowest-10)
			var want []int32
			for _, part := range cut {
				id, ok := tok.merges[part]
				if ok && part != "bb" {
					want = append(want, id)
				} else if tok.spec.byteFallback {
					for _, c := range []byte(part) {
						want = append(want, tok.bytes[c])
					}
				} else if n := len(want); n == 0 || want[n-1] != tok.unk {
					want = append(want, tok.unk)
				}
			}
			require.Equal(t, want, tok.Encode(b.String()), "%q %v", b.String(), cut)
		}
	}
	assert.Nil(t, unigramModel(t, rng, true).Encode(""))
}

// A model of type unigram is written and read as one.
func TestUnigramSaved(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 22))
	tok := unigramModel(t, rng, true)
	path := t.TempDir() + "/u.model"
	require.NoError(t, tok.Save(path))
	again, err := Load(path)
	require.NoError(t, err)
	require.NotNil(t, again.unigram)
	text := "ab[X] cabé a?漢"
	assert.Equal(t, tok.Encode(text), again.Encode(text))
	back, err := again.Decode(again.Encode(text))
	require.NoError(t, err)
	assert.Equal(t, text, back)
	assert.Equal(t, fmt.Sprint(tok.Parts()), fmt.Sprint(again.Parts()))
}
