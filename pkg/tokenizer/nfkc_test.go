package tokenizer

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/text/unicode/norm"
)

// What the table holds is found, and nothing else.
func TestEncodeCharsMap(t *testing.T) {
	rng := rand.New(rand.NewPCG(27, 28))
	for range 8 {
		rules := map[string]string{"a": "", "ab": "x", "\xff\xfe": "y"}
		for range rng.IntN(3000) {
			text := make([]byte, 1+rng.IntN(5))
			for i := range text {
				text[i] = byte(1 + rng.IntN(255))
			}
			rules[string(text)] = fmt.Sprint(rng.IntN(100))
		}
		m, err := parseCharsMap(encodeCharsMap(rules))
		require.NoError(t, err)
		for text, by := range rules {
			got, n := m.match(text)
			require.Equal(t, len(text), n)
			require.Equal(t, by, got)
		}
		for range 1000 {
			text := make([]byte, rng.IntN(6))
			for i := range text {
				text[i] = byte(rng.IntN(256))
			}
			longest := 0
			for n := range text {
				if _, ok := rules[string(text[:n+1])]; ok {
					longest = n + 1
				}
			}
			got, n := m.match(string(text))
			require.Equal(t, longest, n)
			require.Equal(t, rules[string(text[:n])], got)
		}
	}
}

// Every character, whole or decomposed, is normalised as Go's own tables say.
func TestNFKC(t *testing.T) {
	n, err := newNormalizer(spec{charsMap: nfkcCharsMap()})
	require.NoError(t, err)
	for r := endNFKC; r <= utf8.MaxRune; r++ {
		require.True(t, norm.NFKC.IsNormalString(string(r)), "%U", r)
	}
	for r := rune(1); r < endNFKC; r++ {
		if text := string(r); utf8.ValidRune(r) {
			if got := n.apply(text); got != norm.NFKC.String(text) {
				require.Equal(t, norm.NFKC.String(text), got, "%U", r)
			}
			if got := n.apply(norm.NFD.String(text)); got != norm.NFKC.String(text) {
				require.Equal(t, norm.NFKC.String(text), got, "%U decomposed", r)
			}
		}
	}
	for in, want := range map[string]string{"ｶﾞｷﾞ": "ガギ", "e\u0301t\u00e9 ①½": "été 11⁄2", "plain": "plain", "Ａ\u0301": "Á"} {
		assert.Equal(t, want, n.apply(in), in)
		assert.Equal(t, norm.NFKC.String(in), n.apply(in), in)
	}
	assert.Equal(t, strings.Repeat("fi", 1000), n.apply(strings.Repeat("ﬁ", 1000)))
}
