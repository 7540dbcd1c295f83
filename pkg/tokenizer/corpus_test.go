package tokenizer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func readLines(t *testing.T, r io.Reader) []string {
	t.Helper()
	var out []string
	for text, err := range Lines(r) {
		require.NoError(t, err)
		require.LessOrEqual(t, len(text), maxPieceOfLine)
		out = append(out, strings.Clone(text))
	}
	return out
}

func TestLines(t *testing.T) {
	assert.Empty(t, readLines(t, strings.NewReader("")))
	assert.Equal(t, []string{"a\n\nb"}, readLines(t, strings.NewReader("a\n\nb\n")))

	// Whole lines, whatever the reader gives at a time.
	var text strings.Builder
	for i := range 300_000 {
		fmt.Fprintf(&text, "line %d\n", i)
	}
	got := readLines(t, iotest.HalfReader(strings.NewReader(text.String())))
	require.Greater(t, len(got), 3)
	assert.Equal(t, text.String(), strings.Join(got, "\n")+"\n")

	// A line without end is cut at a space, which every text begins with anyway.
	words := strings.Repeat("word ", 500_000)
	got = readLines(t, strings.NewReader(words))
	assert.Equal(t, words, strings.Join(got, " ")+" ")
	// Without spaces it is cut between characters.
	signs := strings.Repeat("漢", 800_000)
	got = readLines(t, strings.NewReader(signs))
	assert.Equal(t, signs, strings.Join(got, ""))
	for _, part := range got {
		assert.Zero(t, len(part)%3, "no character is cut")
	}
	assert.Equal(t, 2_000_000, len(strings.Join(readLines(t, strings.NewReader(strings.Repeat("\x80", 2_000_000))), "")))

	for _, r := range []io.Reader{iotest.ErrReader(assert.AnError), io.MultiReader(strings.NewReader("a"), iotest.ErrReader(assert.AnError))} {
		var last error
		for _, err := range Lines(r) {
			last = err
		}
		assert.ErrorIs(t, last, assert.AnError)
	}
	for range Lines(strings.NewReader(words)) {
		break
	}
}

// manyWords are n texts, each of the size of a block, of common and of rare words.
func manyWords(n int) []string {
	rng := rand.New(rand.NewPCG(15, 16))
	texts := make([]string, n)
	for i := range texts {
		var b strings.Builder
		for b.Len() < blockSize {
			if rng.IntN(4) > 0 {
				fmt.Fprintf(&b, "common%c%c ", 'a'+rng.IntN(20), 'a'+rng.IntN(20))
			} else {
				fmt.Fprintf(&b, "rare%x ", rng.IntN(1<<20))
			}
		}
		texts[i] = b.String()
	}
	return texts
}

// Words are forgotten as documented: the plain rule on whole blocks gives the same counts.
func TestForget(t *testing.T) {
	const limit = 20_000
	texts := manyWords(3)
	want := map[string]int64{}
	for _, text := range texts {
		for _, w := range strings.Fields(text) {
			want[space+w]++
		}
		want[space]++ // the space at the end of the line
		for least := int64(1); len(want) > limit/2 && (least > 1 || len(want) > limit); least++ {
			for w, n := range want {
				if n <= least {
					delete(want, w)
				}
			}
		}
	}
	got, err := countWords(context.Background(), slices.Values(texts), nil, newSpec(0, true, nil), limit)
	require.NoError(t, err)
	counts := map[string]int64{}
	for _, w := range got.words {
		counts[w.text] = w.count
	}
	assert.Equal(t, want, counts)
	assert.Equal(t, int64(strings.Count(strings.Join(texts, ""), "x")), got.chars['x'], "characters are never forgotten")

	_, err = countWords(context.Background(), slices.Values([]string{strings.Repeat("x", 1000)}), nil, newSpec(0, true, nil), 2)
	assert.ErrorContains(t, err, "the text is empty", "one word of 1000 bytes where there is room for 64")
}

// The number of cores changes nothing, also where words are forgotten.
func TestTrainOnAnyNumberOfCores(t *testing.T) {
	texts := manyWords(4)
	cfg := DefaultTrainConfig()
	cfg.VocabSize, cfg.MaxWords = 600, 20_000
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	var files [3]bytes.Buffer
	for i, cores := range []int{1, 2, 7} {
		runtime.GOMAXPROCS(cores)
		tok, err := Train(context.Background(), slices.Values(texts), cfg)
		require.NoError(t, err)
		require.NoError(t, tok.WriteModel(&files[i]))
	}
	assert.Equal(t, files[0].Bytes(), files[1].Bytes())
	assert.Equal(t, files[0].Bytes(), files[2].Bytes())
}

func TestCountWordsStops(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	read := 0
	endless := func(yield func(string) bool) {
		for ; yield(strings.Repeat("word\n", blockSize/5+1)); read++ {
			if read == 2 {
				cancel(errors.New("enough"))
			}
		}
	}
	_, err := countWords(ctx, endless, nil, newSpec(0, true, nil), 100)
	require.ErrorContains(t, err, "enough")
}

// requireSpmEncode compares the ids of lines with those of the real SentencePiece.
func requireSpmEncode(t *testing.T, tok *Tokenizer, lines []string) {
	t.Helper()
	program, err := exec.LookPath("spm_encode")
	if err != nil {
		t.Skip("spm_encode of SentencePiece is not installed")
	}
	file := filepath.Join(t.TempDir(), "own.model")
	require.NoError(t, tok.Save(file))
	cmd := exec.Command(program, "--model="+file, "--output_format=id")
	cmd.Stdin, cmd.Stderr = strings.NewReader(strings.Join(lines, "\n")+"\n"), os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	rows := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	require.Len(t, rows, len(lines))
	for i, line := range lines {
		want := strings.Fields(rows[i])
		got := strings.Fields(strings.Trim(fmt.Sprint(tok.Encode(line)), "[]"))
		require.Equal(t, want, got, "%q", line)
	}
}

// Few different scores make many ties, which fall as in the real SentencePiece.
func TestSpmEncodeUnigramTies(t *testing.T) {
	rng := rand.New(rand.NewPCG(29, 30))
	for _, bytes := range []bool{true, false} {
		tok := unigramModel(t, rng, bytes)
		pieces := tok.Pieces()
		for i := range pieces {
			if pieces[i].Type == Normal {
				pieces[i].Score = -1 - float32(rng.IntN(2))
			}
		}
		tok, err := FromPieces(pieces, tok.Parts())
		require.NoError(t, err)
		var lines []string
		for range 2000 {
			line := make([]byte, rng.IntN(12))
			for i := range line {
				line[i] = "abcab [X]"[rng.IntN(9)]
			}
			lines = append(lines, string(line))
		}
		requireSpmEncode(t, tok, lines)
	}
}

// What is trained here is read by the real SentencePiece, which gives the same ids.
func TestSpmEncode(t *testing.T) {
	rng := rand.New(rand.NewPCG(17, 18))
	var lines []string
	for range 2000 {
		// A line is what spm_encode takes for a text, and it cuts null characters off.
		lines = append(lines, strings.NewReplacer("\n", " ", "\x00", "", "\r", "").Replace(randomText(rng, 40)))
	}
	for name, edit := range map[string]func(*TrainConfig){
		"default":       func(*TrainConfig) {},
		"no fallback":   func(c *TrainConfig) { c.ByteFallback = false },
		"mixed scripts": func(c *TrainConfig) { c.SplitByScript, c.SplitDigits, c.Pad = false, false, true },
		"normalised":    func(c *TrainConfig) { c.NFKC, c.RemoveExtraSpaces = true, true },
		"coverage":      func(c *TrainConfig) { c.CharacterCoverage, c.UserDefined = 0.98, nil },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := DefaultTrainConfig()
			edit(&cfg)
			cfg.VocabSize = min(largestVocab(t, strings.Join(lines[:500], "\n"), cfg), 700)
			tok, err := Train(context.Background(), slices.Values(lines[:500]), cfg)
			require.NoError(t, err)
			requireSpmEncode(t, tok, lines)
		})
	}
}
