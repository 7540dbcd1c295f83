package tokenizer

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tame-rlhf/tame/pkg/tokenizer/internal/pretoken"
)

// mergeBytesPlainly merges the bytes of a piece by the definition: the pair of lowest rank, the leftmost, until there is none.
func mergeBytesPlainly(tok *Tokenizer, ranks map[[2]string]int, piece string) (ids []int32) {
	if id, ok := tok.hugging.vocab[toByteChars(piece)]; ok && tok.hugging.ignoreMerges {
		return []int32{id}
	}
	var parts []string
	for i := range len(piece) {
		parts = append(parts, string(byteChars[piece[i]]))
	}
	for {
		at, lowest := -1, math.MaxInt
		for i := range len(parts) - 1 {
			if rank, ok := ranks[[2]string{parts[i], parts[i+1]}]; ok && rank < lowest {
				at, lowest = i, rank
			}
		}
		if at < 0 {
			break
		}
		parts[at] += parts[at+1]
		parts = slices.Delete(parts, at+1, at+2)
	}
	for _, p := range parts {
		if id, ok := tok.hugging.vocab[p]; ok {
			ids = append(ids, id)
		}
	}
	return ids
}

// Whatever the text, ids are those of the definition, no control token is among them, and they give the text back.
func FuzzByteLevel(f *testing.F) {
	type one struct {
		tok   *Tokenizer
		ranks map[[2]string]int
		split pretoken.Splitter
	}
	var all []one
	for name, split := range map[string]pretoken.Splitter{
		"gpt2":                    pretoken.Scanner(pretoken.GPT2),
		"shuffled, ignore_merges": pretoken.Scanner(pretoken.GPT2),
		"removed, inverted":       pretoken.Scanner(pretoken.Qwen2),
	} {
		o := one{byteVariant(f, name), make(map[[2]string]int), split}
		for i, line := range o.tok.mergeLines() {
			left, right, _ := strings.Cut(line, " ")
			o.ranks[[2]string{left, right}] = i
		}
		all = append(all, o)
	}
	for _, text := range readByteVariants(f).Texts[:60] {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 500 {
			return
		}
		clean := string([]rune(text))
		for _, o := range all {
			var want []int32
			o.split.Split(clean, func(piece string) { want = append(want, mergeBytesPlainly(o.tok, o.ranks, piece)...) })
			got := o.tok.Encode(text)
			if !slices.Equal(got, want) {
				t.Fatalf("%q: %v, want %v", text, got, want)
			}
			if back, err := o.tok.Decode(got); err != nil || back != clean {
				t.Fatalf("%q became %q, %v", text, back, err)
			}
			for _, id := range got {
				if o.tok.Type(id) == Control {
					t.Fatalf("%q gave the control token %q", text, o.tok.Piece(id))
				}
			}
		}
	})
}
