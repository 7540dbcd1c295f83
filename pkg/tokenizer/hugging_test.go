package tokenizer

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func gunzip(t testing.TB, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	data, err := io.ReadAll(z)
	require.NoError(t, err)
	return data
}

// changed is the file of testdata with other parts in it; those of the model one by one.
func changed(t testing.TB, change map[string]json.RawMessage) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "hugging_base.json"))
	require.NoError(t, err)
	var file, model map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(raw, &file))
	for name, part := range change {
		if name == "model" {
			require.NoError(t, json.Unmarshal(file["model"], &model))
			require.NoError(t, json.Unmarshal(part, &model))
			part, err = json.Marshal(model)
			require.NoError(t, err)
		}
		file[name] = part
	}
	out, err := json.Marshal(file)
	require.NoError(t, err)
	return out
}

func parts(nameValue ...string) map[string]json.RawMessage {
	out := make(map[string]json.RawMessage)
	for i := 0; i < len(nameValue); i += 2 {
		out[nameValue[i]] = json.RawMessage(nameValue[i+1])
	}
	return out
}

// Ids and texts of Hugging Face's own library, for many forms of the file.
func TestHuggingVectors(t *testing.T) {
	var f struct {
		Texts    []string
		Variants []struct {
			Name      string
			Change    map[string]json.RawMessage
			Encodings [][2][]int32
			Decodings [][2]json.RawMessage
		}
	}
	require.NoError(t, json.Unmarshal(gunzip(t, filepath.Join("testdata", "hugging_vectors.json.gz")), &f))
	require.Greater(t, len(f.Variants), 15)
	for _, v := range f.Variants {
		t.Run(v.Name, func(t *testing.T) {
			tok, err := parseHugging(changed(t, v.Change), nil)
			require.NoError(t, err)
			require.Len(t, v.Encodings, len(f.Texts))
			for i, text := range f.Texts {
				assert.Equal(t, v.Encodings[i][0], plain(tok.Encode(text)), "text %q", text)
				assert.Equal(t, v.Encodings[i][1], plain(tok.EncodeSpecial(text)), "special, text %q", text)
			}
			for _, d := range v.Decodings {
				var ids []int32
				var want string
				require.NoError(t, json.Unmarshal(d[0], &ids))
				require.NoError(t, json.Unmarshal(d[1], &want))
				got, err := tok.Decode(ids)
				require.NoError(t, err)
				assert.Equal(t, want, got, "ids %v", ids)
			}
			_, err = tok.Decode([]int32{1, int32(tok.VocabSize())})
			require.ErrorContains(t, err, "position 1: id")
			assert.Equal(t, tok.Encode("\uFFFD\uFFFDa"), tok.Encode("\xff\xfea"), "invalid UTF-8")

			// If it can be written as a .model, that gives the same ids.
			var file bytes.Buffer
			if err := tok.WriteModel(&file); err != nil {
				return
			}
			model, err := LoadModel(&file)
			require.NoError(t, err)
			for _, text := range f.Texts {
				if !slices.Contains(ChatMarkers(), text) { // see SaveHuggingFace
					assert.Equal(t, tok.Encode(text), model.Encode(text), "as model, text %q", text)
				}
			}
		})
	}
}

// Which forms of the file a SentencePiece model can hold.
func TestHuggingAsModel(t *testing.T) {
	var base struct{ Model struct{ Merges []string } }
	require.NoError(t, json.Unmarshal(changed(t, nil), &base))
	merges := base.Model.Merges
	merges[0], merges[len(merges)-1] = merges[len(merges)-1], merges[0]
	swapped, err := json.Marshal(map[string][]string{"merges": merges})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		change map[string]json.RawMessage
		err    string
	}{
		"as written":   {nil, ""},
		"no prefix":    {parts("normalizer", `{"type":"Replace","pattern":{"String":" "},"content":"▁"}`, "added_tokens", `[]`), ""},
		"metaspace":    {parts("normalizer", `null`, "pre_tokenizer", `{"type":"Metaspace","replacement":"▁"}`, "added_tokens", `[]`), "marks spaces in another way"},
		"more":         {parts("normalizer", `{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"x"}]}`), "its normalizer does more"},
		"cut first":    {parts("added_tokens", `[{"id":3,"content":"[INST]"}]`), `the added token "[INST]" is cut out of the text before`},
		"many unknown": {parts("model", `{"byte_fallback":false,"fuse_unk":false}`), "each unknown character"},
		"few merges":   {parts("model", `{"merges":["▁ t"]}`), "it has 1 merges, but there are"},
		"upside down":  {parts("model", string(swapped)), "at another place"},
	} {
		t.Run(name, func(t *testing.T) {
			tok, err := parseHugging(changed(t, c.change), nil)
			require.NoError(t, err)
			dir := t.TempDir()
			require.NoError(t, tok.SaveFolder(dir))
			again, err := Load(dir)
			require.NoError(t, err)
			text := " Hello,  the\nworld [INST] <s> 漢 "
			assert.Equal(t, tok.Encode(text), again.Encode(text))
			assert.Equal(t, tok.Pieces(), again.Pieces())

			err = tok.Save(filepath.Join(dir, "other.model"))
			if c.err == "" {
				require.NoError(t, err)
				assert.FileExists(t, filepath.Join(dir, "tokenizer.model"))
				return
			}
			require.ErrorContains(t, err, c.err)
			require.ErrorContains(t, tok.WriteModel(io.Discard), c.err)
			assert.NoFileExists(t, filepath.Join(dir, "other.model"))
			assert.NoFileExists(t, filepath.Join(dir, "tokenizer.model"))
			raw, err := os.ReadFile(filepath.Join(dir, "tokenizer.json"))
			require.NoError(t, err)
			assert.Equal(t, changed(t, c.change), raw, "the file is written back as it was")
		})
	}
}

// What is trained here is the same tokenizer after it was written as tokenizer.json and read again.
func TestSaveHuggingFace(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	tok := tiny(t)
	dir := filepath.Join(t.TempDir(), "new")
	require.NoError(t, tok.SaveHuggingFace(dir))
	for _, path := range []string{dir, filepath.Join(dir, "tokenizer.json")} {
		again, err := Load(path)
		require.NoError(t, err)
		require.NotNil(t, again.hugging)
		assert.Equal(t, tok.Pieces(), again.Pieces())
		assert.Equal(t, []int32{0, 1, 2, -1}, []int32{again.UNK(), again.BOS(), again.EOS(), again.PAD()})
		for range 300 {
			text := randomText(rng, 20)
			if text == "[INST]" {
				continue // the one text that differs, see below
			}
			require.Equal(t, tok.Encode(text), again.Encode(text), "%q", text)
			special := "." + strings.ReplaceAll(strings.ReplaceAll(text, "<", "<."), "[", ".[") + "<s>.</s> [INST]."
			require.Equal(t, tok.EncodeSpecial(special), again.EncodeSpecial(special), "%q", special)
			back, err := again.Decode(again.Encode(text))
			require.NoError(t, err)
			require.Equal(t, strings.ReplaceAll(string([]rune(text)), space, " "), back)
		}
		assert.Equal(t, []int32{265, 3}, tok.Encode("[INST]"))
		assert.Equal(t, []int32{3}, again.Encode("[INST]"))
	}
	config, err := os.ReadFile(filepath.Join(dir, "tokenizer_config.json"))
	require.NoError(t, err)
	assert.NotContains(t, string(config), "chat_template", "it has one tag of four")
	assert.Contains(t, string(config), `"eos_token": "</s>"`)

	sp := newSpec(0, false, nil)
	for want, pieces := range map[string][]Piece{
		"unused pieces":                  {{"<unk>", 0, Unknown}, {"ab", 0, Unused}},
		`the piece "ab" has a character`: {{"<unk>", 0, Unknown}, {"ab", 0, Normal}, {"a", 0, Normal}},
		"the same text":                  {{"<unk>", 0, Unknown}, {"<s>", 0, Control}, {"<s>", 0, Normal}},
		"has a space in it":              {{"<unk>", 0, Unknown}, {"a", 0, Normal}, {" b", 0, Normal}, {"a b", 0, Normal}, {" ", 0, Normal}, {"b", 0, Normal}},
	} {
		tok, err := newTokenizer(pieces, sp)
		require.NoError(t, err)
		require.ErrorContains(t, tok.SaveHuggingFace(t.TempDir()), want)
	}
	sp.removeExtra = true
	bare, err := newTokenizer([]Piece{{"<unk>", 0, Unknown}}, sp)
	require.NoError(t, err)
	require.ErrorContains(t, bare.SaveHuggingFace(t.TempDir()), "rules of normalisation")
	file := filepath.Join(dir, "tokenizer.json")
	require.ErrorContains(t, tok.SaveHuggingFace(file), file, "a file is no folder")
}

// tokenizer_config.json names the special pieces, or special_tokens_map.json, or the template of the post-processor.
func TestHuggingSpecials(t *testing.T) {
	load := func(t *testing.T, files map[string]string) *Tokenizer {
		dir := t.TempDir()
		for name, text := range files {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
		}
		tok, err := Load(filepath.Join(dir, "tokenizer.json"))
		require.NoError(t, err)
		return tok
	}
	ids := func(tok *Tokenizer) []int32 { return []int32{tok.BOS(), tok.EOS(), tok.PAD(), tok.UNK()} }
	base := string(changed(t, nil))
	assert.Equal(t, []int32{1, 2, -1, 0}, ids(load(t, map[string]string{"tokenizer.json": base})))
	assert.Equal(t, []int32{2, 1, 3, 0}, ids(load(t, map[string]string{
		"tokenizer.json":        base,
		"tokenizer_config.json": `{"bos_token": "</s>", "eos_token": {"content": "<s>"}, "pad_token": "[INST]"}`,
	})))
	assert.Equal(t, []int32{-1, 2, -1, 0}, ids(load(t, map[string]string{
		"tokenizer.json": base, "special_tokens_map.json": `{"bos_token": null, "eos_token": "</s>", "pad_token": "no such piece"}`,
	})))
	assert.Equal(t, []int32{1, 2, -1, 0}, ids(load(t, map[string]string{
		"tokenizer.json": base, "tokenizer_config.json": `{"model_max_length": 4096}`,
	})), "what the config does not mention is as without it")
	tok := load(t, map[string]string{
		"tokenizer.json": string(changed(t, parts("added_tokens", `[{"id":600,"content":"<|end|>","special":true}]`,
			"post_processor", `{"type":"TemplateProcessing","single":[{"Sequence":{"id":"A"}},{"SpecialToken":{"id":"<|end|>"}}]}`))),
	})
	assert.Equal(t, []int32{-1, 600, -1, 0}, ids(tok), "<s> is no special piece of this file")
	assert.Equal(t, 601, tok.VocabSize())
	tok = load(t, map[string]string{
		"tokenizer.json": string(changed(t, parts("added_tokens", `[]`))), "tokenizer_config.json": `{"bos_token":"<s>","eos_token":"</s>"}`,
	})
	assert.Equal(t, []int32{1, 2, -1, 0}, ids(tok), "the config makes them special")
	assert.Equal(t, int32(1), tok.EncodeSpecial("<s>")[0])
}

// Files of other kinds are refused by name, broken ones by place.
func TestHuggingRefused(t *testing.T) {
	ps := func(kind string) map[string]json.RawMessage { return parts("pre_tokenizer", kind) }
	for want, change := range map[string]map[string]json.RawMessage{
		"the model is Unigram; only BPE is read":          parts("model", `{"type":"Unigram"}`),
		"the model is WordPiece;":                         parts("model", `{"type":"WordPiece"}`),
		"ByteLevel, and the decoder is not":               ps(`{"type":"ByteLevel","add_prefix_space":false}`),
		"Split: the pattern is missing":                   ps(`{"type":"Sequence","pretokenizers":[{"type":"Split"},{"type":"ByteLevel"}]}`),
		`the pattern "\\w" has \w, which is not`:          ps(`{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"\\w"},"behavior":"Isolated"},{"type":"ByteLevel"}]}`),
		"the pre_tokenizer is Digits after ByteLevel":     ps(`{"type":"Sequence","pretokenizers":[{"type":"ByteLevel"},{"type":"Digits"}]}`),
		"the pre_tokenizer is Whitespace with ByteLevel":  ps(`{"type":"Sequence","pretokenizers":[{"type":"Whitespace"},{"type":"ByteLevel"}]}`),
		"the normalizer is ByteLevel, and so is the":      parts("normalizer", `{"type":"ByteLevel"}`, "pre_tokenizer", `{"type":"ByteLevel"}`),
		"lacks the byte 0x00 of ByteLevel":                parts("pre_tokenizer", `{"type":"ByteLevel"}`, "decoder", `{"type":"ByteLevel"}`),
		"the pre_tokenizer is Digits after Metaspace":     ps(`{"type":"Sequence","pretokenizers":[{"type":"Metaspace","replacement":"▁"},{"type":"Digits"}]}`),
		"the pre_tokenizer has 66 steps, the limit is 64": ps(`{"type":"Sequence","pretokenizers":[` + strings.Repeat(`{"type":"Digits"},`, 65) + `{"type":"ByteLevel"}]}`),
		`marks spaces by "_"`:                             ps(`{"type":"Metaspace","replacement":"_"}`),
		`the prepend_scheme "last"`:                       ps(`{"type":"Metaspace","replacement":"▁","prepend_scheme":"last"}`),
		"add_prefix_space false, but":                     ps(`{"type":"Metaspace","replacement":"▁","add_prefix_space":false}`),
		"pre_tokenizer: it is a list, want an object":     ps(`[]`),
		"sequences inside each other":                     ps(strings.Repeat(`{"type":"Sequence","pretokenizers":[`, 20) + strings.Repeat("]}", 20)),
		"the normalizer is NFKC;":                         parts("normalizer", `{"type":"NFKC"}`),
		`replaces the pattern " +"`:                       parts("normalizer", `{"type":"Replace","pattern":{"Regex":" +"},"content":""}`),
		"more than 64 times as long": parts("normalizer", `{"type":"Sequence","normalizers":[`+strings.Repeat(
			`{"type":"Replace","pattern":{"String":"a"},"content":"aaaaaaaaaaaaaaaa"},`, 2)+`{"type":"Prepend","prepend":"aaa"}]}`),
		"has 65 steps": parts("normalizer", `{"type":"Sequence","normalizers":[`+strings.TrimSuffix(strings.Repeat(
			`{"type":"Prepend","prepend":"a"},`, 65), ",")+`]}`),
		"the decoder is ByteLevel, but neither":          parts("decoder", `{"type":"ByteLevel"}`),
		`the decoder does not turn "▁" into spaces`:      parts("decoder", `null`),
		"the decoder has no ByteFallback":                parts("decoder", `{"type":"Metaspace","replacement":"▁"}`),
		"the post_processor is BertProcessing":           parts("post_processor", `{"type":"BertProcessing"}`),
		"dropout is 0.1":                                 parts("model", `{"dropout":0.1}`),
		`continuing_subword_prefix is "##"`:              parts("model", `{"continuing_subword_prefix":"##"}`),
		`end_of_word_suffix is "</w>"`:                   parts("model", `{"end_of_word_suffix":"</w>"}`),
		"ignore_merges is true":                          parts("model", `{"ignore_merges":true}`),
		"unk_token is missing":                           parts("model", `{"unk_token":null,"vocab":{"<unk>":0,"a":1},"merges":[]}`, "added_tokens", `[]`),
		`unk_token is "<x>", which is not`:               parts("model", `{"unk_token":"<x>"}`),
		"the vocabulary is empty":                        parts("model", `{"vocab":{}}`),
		`merges[0]: "▁q~" is not in the vocabulary`:      parts("model", `{"merges":["▁q~ a"]}`),
		`merges[1]: "~~" is not`:                         parts("model", `{"merges":["▁ t","t ~~"]}`),
		`merges[0]: "h▁" is not`:                         parts("model", `{"merges":["h ▁"]}`),
		`the merge "a b c" is not two pieces`:            parts("model", `{"merges":["a b c"]}`),
		"a merge of 3 pieces":                            parts("model", `{"merges":[["a","b","c"]]}`),
		"ids must be 0 to 600 without gaps":              parts("added_tokens", `[{"id":700,"content":"<x>"}]`),
		`both have the id 5`:                             parts("added_tokens", `[{"id":5,"content":"<x>"}]`),
		`"<s>" has the id 4, in the vocabulary it has 1`: parts("added_tokens", `[{"id":4,"content":"<s>"}]`),
		"added_tokens[0]: the text is empty":             parts("added_tokens", `[{"id":600,"content":""}]`),
		"byte fallback is on but the piece <0x00>":       parts("model", `{"vocab":{"<unk>":0,"a":1},"merges":[]}`, "added_tokens", `[]`),
		`"added_tokens" is a number, want a list`:        parts("added_tokens", `7`),
	} {
		_, err := parseHugging(changed(t, change), nil)
		assert.ErrorContains(t, err, want)
	}
	for _, text := range []string{"", "{", "[]", "null", "{}"} {
		_, err := loadJSON(t, text, "")
		assert.ErrorContains(t, err, "tokenizer.json: ", text)
	}
	_, err := loadJSON(t, string(changed(t, nil)), "{")
	assert.ErrorContains(t, err, "tokenizer_config.json")
	_, err = Load(t.TempDir())
	assert.ErrorIs(t, err, ErrNone)
}

// loadJSON loads a folder with such a tokenizer.json, and tokenizer_config.json if it is not empty.
func loadJSON(t *testing.T, file, config string) (*Tokenizer, error) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, huggingTokenizer), []byte(file), 0o600))
	if config != "" {
		require.NoError(t, os.WriteFile(filepath.Join(dir, huggingConfig), []byte(config), 0o600))
	}
	return Load(dir)
}

// The file of Hugging Face's library for a vocabulary of 32,000 pieces.
func TestHuggingReal(t *testing.T) {
	tok, err := parseHugging(gunzip(t, shared(t, "llama_tokenizer", "tokenizer.json.gz")), nil)
	require.NoError(t, err)
	var texts []string
	for _, name := range []string{"spm_encodings.jsonl", "spm_multiline.jsonl"} {
		for _, v := range readJSONL[vector](t, shared(t, "llama_tokenizer", name)) {
			texts = append(texts, v.Text)
		}
	}
	for _, v := range ggufVectors(t) {
		texts = append(texts, v.Text)
	}
	lines := bytes.Split(bytes.TrimSpace(gunzip(t, filepath.Join("testdata", "hugging_real.jsonl.gz"))), []byte("\n"))
	require.Len(t, lines, len(texts))
	var model bytes.Buffer
	require.NoError(t, tok.WriteModel(&model))
	spm, err := LoadModel(&model)
	require.NoError(t, err)
	for i, text := range texts {
		var want vector
		require.NoError(t, json.Unmarshal(lines[i], &want))
		require.Equal(t, want.IDs, plain(tok.EncodeSpecial(text)), "text %q", text)
		require.Equal(t, want.IDs, plain(spm.EncodeSpecial(text)), "as model, text %q", text)
		require.Equal(t, tok.Encode(text), spm.Encode(text), "text %q", text)
		back, err := tok.Decode(tok.Encode(text))
		require.NoError(t, err)
		require.Equal(t, strings.ReplaceAll(text, space, " "), back)
	}
}

// Llama's own model gives the same ids after it was written as tokenizer.json.
func TestSaveHuggingFaceLlama(t *testing.T) {
	tok := loadShared(t, "llama_tokenizer", "tokenizer.model")
	dir := t.TempDir()
	require.NoError(t, tok.SaveHuggingFace(dir))
	again, err := Load(dir)
	require.NoError(t, err)
	for _, v := range readJSONL[vector](t, shared(t, "llama_tokenizer", "spm_multiline.jsonl")) {
		require.Equal(t, plain(v.IDs), plain(again.Encode(v.Text)))
	}
}

func TestOnlyPattern(t *testing.T) {
	texts := []string{"[INST]", "a|b", `\.`, "<<SYS>>", "漢 (x)", "^$*+?{}-&~#"}
	pattern := onlyPattern(texts)
	assert.Equal(t, texts, parseOnlyPattern(pattern))
	for _, other := range []string{"", "x", onlyBefore, onlyBefore + "a+" + onlyAfter, onlyBefore + `a\` + onlyAfter, " " + pattern} {
		assert.Nil(t, parseOnlyPattern(other), "%q", other)
	}
	rule := replacementRule{only: texts}
	assert.Equal(t, "[INST]", rule.apply("▁[INST]"))
	assert.Equal(t, "▁[INST]x", rule.apply("▁[INST]x"))
}

func TestStreamIsDecode(t *testing.T) {
	tok, err := parseHugging(changed(t, nil), nil)
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(13, 14))
	for range 200 {
		ids := make([]int32, rng.IntN(12))
		for i := range ids {
			ids[i] = int32(rng.IntN(tok.VocabSize()))
			if rng.IntN(2) == 0 {
				ids[i] = int32(rng.IntN(263))
			}
		}
		want, err := tok.Decode(ids)
		require.NoError(t, err)
		var b strings.Builder
		s := tok.NewStream()
		for _, id := range ids {
			text, err := s.Next(id)
			require.NoError(t, err)
			b.WriteString(text)
		}
		b.WriteString(s.Flush())
		require.Equal(t, want, b.String(), "%v", ids)
	}
}
