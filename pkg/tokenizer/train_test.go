package tokenizer

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mergePlainly is the trainer without any bookkeeping: count all pairs of all words, merge the best, start again.
// Pairs of the same symbol are marked where they can be merged when they first appear, left to right.
func mergePlainly(words []word, n int, allow func(string) bool) []string {
	type symbol struct {
		text string
		id   int
	}
	type key struct{ left, right int }
	type place struct{ word, left int } // left counts the characters before the pair
	var lines [][]symbol
	ids := map[string]int{}
	for _, w := range words {
		var line []symbol
		for _, r := range w.text {
			if _, ok := ids[string(r)]; !ok {
				ids[string(r)] = len(ids)
			}
			line = append(line, symbol{string(r), ids[string(r)]})
		}
		lines = append(lines, line)
	}
	numSymbols := len(ids)
	var merged []string
	seen := map[string]bool{}
	dead := map[key]bool{}
	lost := map[key]map[place]bool{}
	order := map[key]int{}
	for len(merged) < n {
		counts, texts, fresh := map[key]int64{}, map[key]string{}, map[key]bool{}
		for wi, line := range lines {
			chars, end := 0, -1
			for i := range max(0, len(line)-1) {
				k := key{line[i].id, line[i+1].id}
				at := place{wi, chars}
				chars += utf8.RuneCountInString(line[i].text)
				text := line[i].text + line[i+1].text
				if dead[k] || !allow(text) {
					end = -1
					continue
				}
				if _, ok := order[k]; !ok {
					order[k], fresh[k] = len(order), true
				}
				if k.left == k.right {
					if fresh[k] && i == end {
						if lost[k] == nil {
							lost[k] = map[place]bool{}
						}
						lost[k][at], end = true, -1
						continue
					}
					end = i + 1
					if lost[k][at] {
						continue
					}
				} else {
					end = -1
				}
				counts[k] += words[wi].count
				texts[k] = text
			}
		}
		var best key
		found := false
		for k, c := range counts {
			less := func() bool {
				a, b := texts[k], texts[best]
				if na, nb := utf8.RuneCountInString(a), utf8.RuneCountInString(b); na != nb {
					return na < nb
				}
				return a < b || a == b && order[k] < order[best]
			}
			if !found || c > counts[best] || c == counts[best] && less() {
				best, found = k, true
			}
		}
		if !found {
			break
		}
		dead[best] = true
		if seen[texts[best]] {
			continue
		}
		seen[texts[best]] = true
		merged = append(merged, texts[best])
		for wi, line := range lines {
			chars := 0
			for i := 0; i+1 < len(line); i++ {
				at := place{wi, chars}
				chars += utf8.RuneCountInString(line[i].text)
				if line[i].id == best.left && line[i+1].id == best.right && !lost[best][at] {
					line[i] = symbol{texts[best], numSymbols}
					chars = at.left + utf8.RuneCountInString(texts[best])
					line = slices.Delete(line, i+1, i+2)
				}
			}
			lines[wi] = line
		}
		numSymbols++
	}
	return merged
}

func TestTrainIsTheDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	cfg := DefaultTrainConfig()
	cfg.UserDefined, cfg.ByteFallback = nil, false
	rules := newPieceRules(cfg)
	for trial := range 300 {
		// Few letters in a few words that come again: ties, repeats, and texts that are made in two ways.
		letters := []rune([]string{"ab", "a", "aab", "abγδ漢.1"}[trial%4])
		var text strings.Builder
		for range 3 + rng.IntN(4) {
			var w []rune
			for range 2 + rng.IntN(9) {
				w = append(w, letters[rng.IntN(len(letters))])
			}
			text.WriteString(strings.Repeat(string(w)+" ", 1+rng.IntN(3)))
		}
		corpus, err := countWords(context.Background(), slices.Values([]string{text.String()}), cfg.metaPieces(), newSpec(0, false, nil), 1000)
		require.NoError(t, err)
		got, err := findMerges(context.Background(), corpus.words, corpus.alphabet(1), 150, cfg)
		require.NoError(t, err)
		require.Equal(t, mergePlainly(corpus.words, 150, rules.allow), got, "%q", text.String())
	}
}

func TestOverlapsByHand(t *testing.T) {
	// "aaa" once and "bc" twice in each word; the dots keep the runs apart and are no letters.
	text := "aaa.bc.bc"
	cfg := DefaultTrainConfig()
	cfg.UserDefined, cfg.ByteFallback = nil, false
	first := func() string {
		cfg.VocabSize = 3 + 5 + 1 // <unk> <s> </s>, "a", "b", "c", ".", "▁" and one merge
		tok, err := Train(context.Background(), slices.Values([]string{text}), cfg)
		require.NoError(t, err)
		return tok.Piece(3)
	}
	assert.Equal(t, "bc", first(), "aa can be merged once, bc twice")
	cfg.CountOverlaps = true
	assert.Equal(t, "aa", first(), "both twice, aa sorts first")
}

// largestVocab is the size that Train names when it is asked for too much.
func largestVocab(t *testing.T, text string, cfg TrainConfig) int {
	t.Helper()
	cfg.VocabSize = 32000
	_, err := Train(context.Background(), slices.Values([]string{text}), cfg)
	require.Error(t, err)
	var n int
	_, scanErr := fmt.Sscanf(err.Error(), "tokenizer: TrainConfig.VocabSize is 32000, want at most %d, the pieces that the text gives", &n)
	require.NoError(t, scanErr, err)
	return n
}

func TestTrainSettings(t *testing.T) {
	train := func(text string, edit func(*TrainConfig)) []string {
		cfg := DefaultTrainConfig()
		cfg.UserDefined, cfg.ByteFallback = nil, false
		if edit != nil {
			edit(&cfg)
		}
		cfg.VocabSize = largestVocab(t, text, cfg)
		tok, err := Train(context.Background(), slices.Values([]string{text}), cfg)
		require.NoError(t, err)
		var out []string
		for _, p := range tok.pieces {
			if p.Type == Normal {
				out = append(out, p.Text)
			}
		}
		return out
	}
	assert.Equal(t, []string{"1", "2", "▁"}, train("12 12", nil), "digits never merge")
	assert.Equal(t, []string{"12", "▁12", "1", "2", "▁"}, train("12 12", func(c *TrainConfig) { c.SplitDigits = false }))
	assert.Equal(t, []string{"４", "▁"}, train("４４", nil), "full-width ones neither")
	assert.NotContains(t, train("ab, ab,", nil), "b,", "letters and punctuation are different scripts")
	assert.Contains(t, train("ab, ab,", func(c *TrainConfig) { c.SplitByScript = false }), "▁ab,")
	assert.Contains(t, train("カな漢 カな漢", nil), "▁カな漢", "Japanese counts as one script")
	assert.Contains(t, train("e\u0301a e\u0301a", nil), "▁e\u0301a", "combining marks take the script before them")
	assert.Contains(t, train("a    b    c", nil), "▁▁▁▁", "spaces alone may be a piece")
	assert.NotContains(t, train("a    b    b", nil), "▁▁b", "but not in front of a word")
	for _, p := range train("abcdefghijklmnopqrstuvwxyz", func(c *TrainConfig) { c.MaxPieceLength = 4 }) {
		assert.LessOrEqual(t, utf8.RuneCountInString(p), 4)
	}
	assert.Equal(t, []string{"▁a", "a", "b", "▁"}, train("a\tb", nil), "tabs get no piece")
	assert.Equal(t, []string{"▁a", "a", "b", "▁"}, train("a\x00b", nil), "nor does null")
	markers := train("ab<x>ab <s>", func(c *TrainConfig) { c.UserDefined = []string{"<x>"} })
	assert.NotContains(t, markers, "x", "markers are no text")
	assert.NotContains(t, markers, "s", "nor are control pieces")
	assert.Contains(t, markers, "ab")

	rare := strings.Repeat("a", 999) + "z"
	assert.NotContains(t, train(rare, func(c *TrainConfig) { c.CharacterCoverage = 0.99 }), "z")
	assert.Contains(t, train(rare, nil), "z")
}

func TestTrainIsDeterministic(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	var texts []string
	for range 200 {
		texts = append(texts, randomText(rng, 30))
	}
	cfg := DefaultTrainConfig()
	cfg.VocabSize, cfg.Pad, cfg.Control = 340, true, []string{"<extra>"}
	var files [2]bytes.Buffer
	for i := range files {
		if i == 1 { // where lines are cut into texts does not matter
			texts = []string{strings.Join(texts, "\n")}
		}
		tok, err := Train(context.Background(), slices.Values(texts), cfg)
		require.NoError(t, err)
		require.Equal(t, 340, tok.VocabSize())
		require.Equal(t, int32(3), tok.PAD())
		require.NotEqual(t, tok.EOS(), tok.PAD())
		id, _ := tok.ID("<extra>")
		require.Equal(t, Control, tok.Type(id))
		require.NoError(t, tok.WriteModel(&files[i]))
	}
	assert.Equal(t, files[0].Bytes(), files[1].Bytes())
}

func TestTrainErrors(t *testing.T) {
	const words = "some words to train on"
	text := slices.Values([]string{words})
	cfg := DefaultTrainConfig()
	cfg.VocabSize = 265
	_, err := Train(context.Background(), text, cfg)
	require.ErrorContains(t, err, "VocabSize is 265, want at least 275 for 263 special, user-defined and byte pieces and 12 characters")

	cfg.VocabSize = largestVocab(t, words, cfg)
	tok, err := Train(context.Background(), text, cfg)
	require.NoError(t, err)
	assert.Equal(t, cfg.VocabSize, tok.VocabSize())
	cfg.VocabSize++
	_, err = Train(context.Background(), text, cfg)
	require.ErrorContains(t, err, fmt.Sprintf("want at most %d", cfg.VocabSize-1))

	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(assert.AnError)
	_, err = Train(ctx, text, cfg)
	require.ErrorIs(t, err, assert.AnError)
}

// Where lines are long and have no spaces, the space is a rare character, but without it no text would come back.
func TestSpaceIsAlwaysAPiece(t *testing.T) {
	cfg := DefaultTrainConfig()
	cfg.VocabSize, cfg.CharacterCoverage = 3+4+256+3, 0.98
	tok, err := Train(context.Background(), slices.Values([]string{strings.Repeat("漢", 300) + "字"}), cfg)
	require.NoError(t, err)
	_, ok := tok.ID("字")
	assert.False(t, ok, "one in 302")
	text, err := tok.Decode(tok.Encode("any text"))
	require.NoError(t, err)
	assert.Equal(t, "any text", text)

	_, err = Train(context.Background(), slices.Values([]string{"", "\n"}), cfg)
	require.ErrorContains(t, err, "the text is empty")
}

func TestValidate(t *testing.T) {
	require.NoError(t, DefaultTrainConfig().Validate())
	cfg := TrainConfig{
		CharacterCoverage: math.NaN(), Pad: true,
		UserDefined: []string{"", "x", "a b", "<pad>", "\xff", "a\x00", strings.Repeat("y", 8000)}, Control: []string{"x"},
	}
	err := cfg.Validate()
	for _, want := range []string{
		"CharacterCoverage is NaN", "MaxPieceLength is 0", "MaxWords is 0", "empty text", `"x" is defined twice`, `"<pad>" is defined twice`,
		`"a b" contains a space`, `"\xff" is not valid UTF-8`, `"a\x00" is not valid`, "is 8000 bytes long",
		"VocabSize is 0, want at least 12, the special, user-defined and byte pieces",
	} {
		assert.ErrorContains(t, err, want)
	}
	_, err = Train(context.Background(), slices.Values([]string{"a"}), cfg)
	require.Error(t, err)
	cfg = DefaultTrainConfig()
	cfg.VocabSize = math.MaxInt32 + 1
	require.ErrorContains(t, cfg.Validate(), "VocabSize is 2147483648, want at most 2147483647")
}
