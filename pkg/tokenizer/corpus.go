package tokenizer

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"runtime"
	"slices"
	"strings"
	"unicode/utf8"
)

// boundary stands in a word where no piece may be. A tab never becomes part of a piece, so it can serve.
const boundary = "\t"

// word is a word of the text, with its leading "▁", and how often it occurs.
type word struct {
	text  string
	count int64
}

// corpus is what is known of a text: its words, the most frequent first, and its characters.
type corpus struct {
	words []word
	chars map[rune]int64
}

// blockSize is how much text is counted at a time. Blocks are cut by size alone and added up in order, so which words are
// forgotten does not depend on the number of cores.
const blockSize = 1 << 20

// maxPieceOfLine is where [Lines] cuts lines without end.
const maxPieceOfLine = 1 << 20

// Lines reads text for [Train], some lines at a time, and takes no more memory than these. A line of more than 1 MiB is
// cut at a space, or between two characters. After an error it ends.
func Lines(r io.Reader) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		in := bufio.NewReaderSize(r, 2*maxPieceOfLine)
		for {
			head, err := in.Peek(maxPieceOfLine)
			if len(head) > 0 {
				n := len(head)
				if err == nil { // there may be more
					n = cutLine(head)
				}
				text := string(head[:n])
				_, _ = in.Discard(n) // they are in the buffer
				if last := text[n-1]; last == '\n' || last == ' ' {
					text = text[:n-1] // every text begins with a space of its own
				}
				if !yield(text, nil) {
					return
				}
				continue
			}
			if err != io.EOF {
				yield("", fmt.Errorf("tokenizer: read text: %w", err))
			}
			return
		}
	}
}

// cutLine returns where the last line of a text ends, or its last word, or its last character.
func cutLine(text []byte) int {
	for _, end := range []byte{'\n', ' '} {
		if n := bytes.LastIndexByte(text, end); n >= 0 {
			return n + 1
		}
	}
	for n := len(text); n > len(text)-utf8.UTFMax; n-- {
		if utf8.RuneStart(text[n-1]) {
			if utf8.FullRune(text[n-1:]) {
				return len(text)
			}
			return n - 1
		}
	}
	return len(text)
}

// counter counts the words of a text, block by block.
type counter struct {
	cut   func(text string, emit func(word string)) // called on several cores
	limit int

	words map[string]int64
	bytes int // of their texts
	chars map[rune]int64
}

// countWords cuts the text into lines, normalises these and counts their words and characters, on all cores.
func countWords(ctx context.Context, text iter.Seq[string], meta []Piece, sp spec, maxWords int) (*corpus, error) {
	norm, err := newNormalizer(sp)
	if err != nil {
		return nil, err
	}
	var names []string     // of pieces that are there already, and must not be learnt again, by boundary
	var user prefixMatcher // of user-defined pieces, which the rules leave as they are
	for _, p := range slices.SortedFunc(slices.Values(meta), func(a, b Piece) int { return len(b.Text) - len(a.Text) }) {
		names = append(names, p.Text, boundary) // the longest first
		if p.Type == UserDefined {
			user.add(p.Text)
		}
	}
	replacer := strings.NewReplacer(names...)
	norm.user = &user
	return count(ctx, linesOf(text), maxWords, func(line string, emit func(word string)) {
		line = replacer.Replace(norm.apply(line))
		for line != "" {
			end := wordEnd(line)
			emit(line[:end])
			line = line[end:]
		}
	})
}

// linesOf goes through the lines of texts.
func linesOf(text iter.Seq[string]) iter.Seq[string] {
	return func(yield func(string) bool) {
		for t := range text {
			for line := range strings.SplitSeq(t, "\n") {
				if !yield(line) {
					return
				}
			}
		}
	}
}

// count counts the words of texts, which cut finds, on all cores.
func count(ctx context.Context, texts iter.Seq[string], maxWords int, cut func(text string, emit func(word string))) (*corpus, error) {
	c := &counter{cut: cut, limit: maxWords, words: make(map[string]int64), chars: make(map[rune]int64)}
	// Blocks are counted side by side and added up in the order of the text.
	counted := make(chan chan map[string]*int64, runtime.GOMAXPROCS(0)-1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for block := range counted {
			c.add(<-block)
		}
	}()
	block := make([]string, 0, 1024)
	size := 0
	flush := func() {
		lines, result := block, make(chan map[string]*int64, 1)
		counted <- result // waits while all cores are busy
		go func() { result <- c.count(lines) }()
		block, size = make([]string, 0, len(lines)), 0
	}
	for t := range texts {
		block = append(block, t)
		if size += len(t) + 1; size >= blockSize {
			if flush(); ctx.Err() != nil {
				break
			}
		}
	}
	flush()
	close(counted)
	<-done
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if len(c.words) == 0 {
		return nil, errors.New("the text is empty")
	}
	return &corpus{words: c.sorted(), chars: c.chars}, nil
}

// count returns how often each word of the texts occurs.
func (c *counter) count(texts []string) map[string]*int64 {
	counts := make(map[string]*int64) // pointers save a second look-up
	for _, text := range texts {
		c.cut(text, func(word string) {
			if n := counts[word]; n != nil {
				*n++
				return
			}
			one := int64(1)
			counts[strings.Clone(word)] = &one
		})
	}
	return counts
}

// add adds the words of a block. Their characters are counted before any word is forgotten.
func (c *counter) add(block map[string]*int64) {
	for text, n := range block {
		if _, ok := c.words[text]; !ok {
			c.bytes += len(text)
		}
		c.words[text] += *n
		for _, r := range text {
			c.chars[r] += *n
		}
	}
	c.forget()
}

// forget drops the rarest words where there are too many: those that occur least often, then those that occur once more,
// until half of the room is free. A word that comes again begins at 0.
func (c *counter) forget() {
	if len(c.words) <= c.limit && c.bytes/meanWordBytes <= c.limit {
		return
	}
	byCount := make(map[int64][2]int) // words and bytes
	for text, n := range c.words {
		b := byCount[n]
		byCount[n] = [2]int{b[0] + 1, b[1] + len(text)}
	}
	words, size, least := len(c.words), c.bytes, int64(0)
	for _, n := range slices.Sorted(maps.Keys(byCount)) {
		if words <= c.limit/2 && size/meanWordBytes <= c.limit/2 {
			break
		}
		words, size, least = words-byCount[n][0], size-byCount[n][1], n
	}
	kept := make(map[string]int64, words)
	for text, n := range c.words {
		if n > least {
			kept[text] = n
		}
	}
	c.words, c.bytes = kept, size
}

// meanWordBytes times the limit of words is the limit of their bytes: text without spaces has long words.
const meanWordBytes = 32

func (c *counter) sorted() []word {
	words := make([]word, 0, len(c.words))
	for text, n := range c.words {
		words = append(words, word{text, n})
	}
	slices.SortFunc(words, func(a, b word) int {
		return cmp.Or(cmp.Compare(b.count, a.count), strings.Compare(a.text, b.text))
	})
	return words
}

// alphabet returns the most frequent characters until their share of the text reaches coverage, and "▁" in any case:
// without it no text could be decoded to what it was.
func (c *corpus) alphabet(coverage float64) []rune {
	total := int64(0)
	all := make([]rune, 0, len(c.chars))
	for r, n := range c.chars {
		if r != 0 {
			all = append(all, r)
			total += n
		}
	}
	slices.SortFunc(all, func(a, b rune) int {
		return cmp.Or(cmp.Compare(c.chars[b], c.chars[a]), cmp.Compare(a, b))
	})
	var chars []rune
	covered := int64(0)
	for _, r := range all {
		enough := float64(covered)/float64(total) >= coverage
		covered += c.chars[r]
		if string(r) != boundary && (!enough || string(r) == space) {
			chars = append(chars, r)
		}
	}
	return chars
}
