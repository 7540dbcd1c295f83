package tokenizer

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/unicode/norm"
)

// With few marks the definition is what x/text does.
func TestFormIsTheDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(41, 42))
	alphabet := []rune("aAeoOuz가각각漢Åǖộ\u0301\u0302\u0308\u0323\u0327\u030A\u0344\u0345\u0958\u09C7\u09BE\u0E38\u1E9B\u212B\U0001D15E\u3099か")
	for range 3000 {
		text := make([]rune, rng.IntN(12))
		for i := range text {
			text[i] = alphabet[rng.IntN(len(alphabet))]
		}
		require.Equal(t, norm.NFC.String(string(text)), nfc.byDefinition(string(text)), "%+q", string(text))
		require.Equal(t, norm.NFD.String(string(text)), nfd.byDefinition(string(text)), "%+q", string(text))
	}
}
