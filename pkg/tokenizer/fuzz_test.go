package tokenizer

import (
	"bytes"
	"testing"
	"unicode/utf8"
)

// A broken file is an error, never a panic, and takes memory in proportion to its size. What loads can be used, and
// loads again after it was written.
func fuzzParser(f *testing.F, parse func([]byte) (*Tokenizer, error)) {
	f.Fuzz(func(t *testing.T, data []byte) {
		tok, err := parse(data)
		if err != nil {
			return
		}
		text, err := tok.Decode(tok.Encode("Hello <s>[INST] \xff é世 1"))
		if err != nil || !utf8.ValidString(text) && len(tok.spec.charsMap) == 0 && utf8.ValidString(tok.spec.unkSurface) {
			t.Fatalf("%q, %v", text, err)
		}
		var out bytes.Buffer
		if err := tok.WriteModel(&out); err != nil {
			t.Fatal(err)
		}
		again, err := LoadModel(&out)
		if err != nil || again.VocabSize() != tok.VocabSize() {
			t.Fatalf("written model does not load: %v", err)
		}
	})
}

func FuzzModel(f *testing.F) {
	f.Add(tiny(f).encodeModel())
	sp := newSpec(0, false, nil)
	sp.normalizer = appendBytes(sp.normalizer, normCharsMap, []byte{4, 0, 0, 0, 0, 4, 0, 0, 'x', 0})
	f.Add((&Tokenizer{pieces: []piece{{"<unk>", 0, Unknown}, {"a", -1, Unused}}, spec: sp}).encodeModel())
	fuzzParser(f, parseModel)
}

func FuzzLlama2C(f *testing.F) {
	f.Add(llama2C(9, "<unk>", "\n<s>\n", "\n</s>\n", " a", " ", "a"))
	f.Add(llama2C(1<<30, "<unk>"))
	fuzzParser(f, parseLlama2C)
}

func FuzzEncode(f *testing.F) {
	tok := tiny(f)
	f.Add("ab [INST] abc\xff\n")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 200 {
			return
		}
		got, want := tok.Encode(text), encodePlainly(tok, text)
		if len(got) != len(want) {
			t.Fatalf("%q: %v, want %v", text, got, want)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("%q: %v, want %v", text, got, want)
			}
		}
	})
}
