package tokenizer

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
		tok.EncodeSpecial("Hello <s>[INST] \xff é世 1")
		var out bytes.Buffer
		if err := tok.WriteModel(&out); err != nil {
			if tok.hugging != nil {
				return // not every tokenizer.json is a model
			}
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
	f.Add((&Tokenizer{pieces: []Piece{{"<unk>", 0, Unknown}, {"a", -1, Unused}}, spec: sp}).encodeModel())
	f.Add(unigramModel(f, rand.New(rand.NewPCG(25, 26)), false).encodeModel())
	fuzzParser(f, parseModel)
}

func FuzzLlama2C(f *testing.F) {
	f.Add(llama2C(9, "<unk>", "\n<s>\n", "\n</s>\n", " a", " ", "a"))
	f.Add(llama2C(1<<30, "<unk>"))
	fuzzParser(f, parseLlama2C)
}

func FuzzHugging(f *testing.F) {
	f.Add(changed(f, nil))
	for _, change := range []map[string]json.RawMessage{
		parts("normalizer", `null`, "pre_tokenizer", `{"type":"Metaspace","replacement":"▁","prepend_scheme":"first"}`),
		parts("decoder", `{"type":"Sequence","decoders":[{"type":"Metaspace","replacement":"▁"},{"type":"ByteFallback"},{"type":"Fuse"}]}`),
		parts("normalizer", `{"type":"Replace","pattern":{"String":"e"},"content":"▁▁"}`, "added_tokens",
			`[{"id":600,"content":"ll","single_word":true,"lstrip":true,"rstrip":true,"normalized":true}]`),
		parts("model", `{"byte_fallback":false,"vocab":{"<unk>":0,"a":1,"b":2,"ab":3,"▁":4},"merges":[["a","b"]]}`, "added_tokens", `[]`),
	} {
		f.Add(changed(f, parts("model", `{"byte_fallback":false,"vocab":{"<unk>":0,"l":1,"o":2,"lo":3,"▁":4},"merges":["l o"]}`, "added_tokens", `[]`)))
		f.Add(changed(f, change))
	}
	for _, v := range readByteVariants(f).Variants {
		f.Add([]byte(v.File))
	}
	fuzzParser(f, func(data []byte) (*Tokenizer, error) { return parseHugging(data, nil) })
}

// Whatever the text, decoding its ids gives it back as SentencePiece normalises it: invalid bytes as U+FFFD, "▁" as a space.
func FuzzRoundTrip(f *testing.F) {
	own := tiny(f)
	hf, err := parseHugging(changed(f, nil), nil)
	if err != nil {
		f.Fatal(err)
	}
	uni := unigramModel(f, rand.New(rand.NewPCG(23, 24)), true)
	f.Add(" ab  [INST] abc\xff\n▁<s>漢")
	f.Fuzz(func(t *testing.T, text string) {
		want := strings.ReplaceAll(string([]rune(text)), space, " ")
		for _, tok := range []*Tokenizer{own, hf, uni} {
			ids := tok.Encode(text)
			got, err := tok.Decode(ids)
			if err != nil || got != want {
				t.Fatalf("%q became %q, %v", text, got, err)
			}
			if again := tok.Encode(text); !slices.Equal(ids, again) {
				t.Fatalf("%q: %v, then %v", text, ids, again)
			}
			for _, id := range ids {
				if k := tok.Type(id); k == Control || k == Unknown {
					t.Fatalf("%q gave the piece %q", text, tok.Piece(id))
				}
			}
		}
	})
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

// The files next to a tokenizer do not break what is read of it either.
func FuzzBeside(f *testing.F) {
	f.Add([]byte(`{"bos_token": "<s>", "eos_token": {"content": "</s>"}, "additional_special_tokens": ["<s>"], "added_tokens_decoder": {"0": {"content": "<unk>", "special": true}}}`), []byte(`{"<pad>": 290}`), []byte(`{{ x }}`))
	f.Add([]byte(`{"chat_template": [{"name": "default", "template": "[INST]"}]}`), []byte(`null`), []byte(``))
	dir, model, hf := f.TempDir(), tiny(f).encodeModel(), changed(f, nil)
	f.Fuzz(func(t *testing.T, config, added, template []byte) {
		for name, raw := range map[string][]byte{huggingConfig: config, huggingSpecials: config, addedTokensFile: added, chatTemplateFile: template, modelFile: model, huggingTokenizer: hf} {
			if err := os.WriteFile(filepath.Join(dir, name), raw, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range []string{modelFile, huggingTokenizer} {
			if tok, err := Load(filepath.Join(dir, name)); err == nil {
				if _, err := tok.Decode(tok.EncodeSpecial("Hello <s>[INST] é")); err != nil {
					t.Fatal(err)
				}
				_ = tok.IsLlama2Chat()
			}
		}
	})
}
