package pretoken

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func readGolden(t testing.TB, name string, v any) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	require.NoError(t, json.NewDecoder(z).Decode(v))
}

func pieces(s Splitter, text string) []string {
	list := []string{}
	s.Split(text, func(piece string) { list = append(list, piece) })
	return list
}

// The class of every character is that of Hugging Face's tokenizers.
func TestClasses(t *testing.T) {
	var golden map[string][][2]rune
	readGolden(t, "classes.json.gz", &golden)
	sets := make(map[string][]bool)
	for name, list := range golden {
		sets[name] = make([]bool, utf8.MaxRune+1)
		for _, r := range list {
			for c := r[0]; c <= r[1]; c++ {
				sets[name][c] = true
			}
		}
	}
	require.Len(t, sets, 5)
	c := loadClasses()
	require.Less(t, len(c.blocks), 256, "numbers of blocks are bytes")
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		digit, _ := c.digit(string(r), 0)
		k := c.of(r)
		got := [5]bool{k == letter, k == number, k == space, digit, foldedContraction("'"+string(r)) > 0}
		want := [5]bool{sets["L"][r], sets["N"][r], sets["S"][r], sets["Digits"][r], sets["AfterApostrophe"][r]}
		if got != want {
			t.Fatalf("%U: letter, number, space, digit, contraction are %v, want %v", r, got, want)
		}
	}
}

type goldenPieces struct {
	Texts  []string
	Splits []struct {
		Kind, Pattern, Behavior string
		Invert                  bool
		Spans                   [][]int // of each text: start and end of each piece, in characters
	}
	Digits map[string][][]int
}

func spansOf(text string, spans []int) []string {
	chars := []rune(text)
	list := []string{}
	for i := 0; i < len(spans); i += 2 {
		list = append(list, string(chars[spans[i]:spans[i+1]]))
	}
	return list
}

// Pieces are those of Hugging Face's tokenizers, by the scanners and by the regular expression engine.
func TestPieces(t *testing.T) {
	var golden goldenPieces
	readGolden(t, "pieces.json.gz", &golden)
	require.Greater(t, len(golden.Splits), 20)
	for _, g := range golden.Splits {
		t.Run(g.Kind+" "+g.Pattern+" "+g.Behavior, func(t *testing.T) {
			s, err := NewSplit(g.Pattern, Behavior(g.Behavior), g.Invert)
			if g.Kind == "String" {
				s, err = NewLiteral(g.Pattern, Behavior(g.Behavior), g.Invert)
			}
			require.NoError(t, err)
			for i, text := range golden.Texts {
				require.Equal(t, spansOf(text, g.Spans[i]), pieces(s, text), "%q", text)
			}
		})
	}
	for i, text := range golden.Texts {
		require.Equal(t, spansOf(text, golden.Digits["individual"][i]), pieces(NewDigits(true), text), "%q", text)
		require.Equal(t, spansOf(text, golden.Digits["runs"][i]), pieces(NewDigits(false), text), "%q", text)
	}
}

// byEngine runs a pattern that has a scanner through the engine.
func byEngine(t testing.TB, pattern string) Splitter {
	t.Helper()
	translated, err := translate(pattern)
	require.NoError(t, err)
	s, err := newRegex(translated, Isolated, false)
	require.NoError(t, err)
	return s
}

// Whatever the text, a scanner finds the pieces of its pattern, and they make the text.
func FuzzScanners(f *testing.F) {
	var golden goldenPieces
	readGolden(f, "pieces.json.gz", &golden)
	for _, text := range golden.Texts[:100] {
		f.Add(text)
	}
	engines := make(map[string]Splitter)
	for _, pattern := range []string{GPT2, Llama3, Qwen2} {
		engines[pattern] = byEngine(f, pattern)
	}
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ToValidUTF8(text, "\uFFFD")
		for pattern, engine := range engines {
			got := pieces(Scanner(pattern), text)
			require.Equal(t, pieces(engine, text), got, "%q by %s", text, pattern)
			require.Equal(t, text, strings.Join(got, ""))
		}
	})
}

func TestChain(t *testing.T) {
	gpt2, digits := Scanner(GPT2), NewDigits(true)
	assert.Equal(t, []string{"a", "  ", "1", "2", " b"}, pieces(Chain{digits, gpt2}, "a  12 b"))
	assert.Equal(t, []string{" a", " b", " 1"}, pieces(Chain{Scanner(GPT2), Prefix{}}, "a b1"))
	assert.Equal(t, []string{"a b"}, pieces(Chain{}, "a b"))
	assert.Empty(t, pieces(Chain{Prefix{}}, ""))
}

// What means something else in the engine, or nothing, is refused by name.
func TestPatternsRefused(t *testing.T) {
	for pattern, want := range map[string]string{
		`a$`:                   `'$', which is not supported`,
		`^a`:                   `'^', which is not supported`,
		`\w+`:                  `\w, which is not supported`,
		`\bx`:                  `\b, which is not supported`,
		`(?m:a)`:               `the group (?m:, which is not supported`,
		`(?<name>a)`:           `the group (?<n, which is not supported`,
		`[a[bc]]`:              "a set inside a set",
		`[a&&b]`:               "a set inside a set",
		`[a`:                   "a set without an end",
		`[]`:                   "an empty set",
		`a)`:                   "a closing parenthesis too many",
		`(?i:[a-z])`:           "a range where case does not matter",
		`\p{Nonsense}`:         `\p{Nonsense}, which is not supported`,
		`\x{41`:                `a \x{ without an end`,
		`\x{110000}`:           "the character",
		`(?i:\x41)`:            "the character",
		`a{1,2}+`:              "}+, which is not supported",
		`(a`:                   "the pattern",
		`\`:                    "which is not supported",
		strings.Repeat(`(`, 9): "the pattern",
	} {
		_, err := NewSplit(pattern, Isolated, false)
		assert.ErrorContains(t, err, want, "%s", pattern)
	}
	_, err := NewSplit(strings.Repeat("a", 5000), Isolated, false)
	assert.ErrorContains(t, err, "the pattern has 5000 bytes, the limit is 4096")
	_, err = NewSplit("a", "Kept", false)
	assert.ErrorContains(t, err, `the behavior is "Kept", want one of`)
}

func BenchmarkSplit(b *testing.B) {
	var golden goldenPieces
	readGolden(b, "pieces.json.gz", &golden)
	text := strings.Repeat("The quick brown fox, 12 of them, don't jump.\n\tfor i := range n {\n", 500) + strings.Join(golden.Texts, "")
	for name, s := range map[string]Splitter{
		"gpt2": Scanner(GPT2), "smollm": Chain{NewDigits(true), Scanner(GPT2)}, "llama3": Scanner(Llama3), "regexp2": byEngine(b, GPT2),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			n := 0
			for b.Loop() {
				s.Split(text, func(piece string) { n += len(piece) })
			}
		})
	}
}
