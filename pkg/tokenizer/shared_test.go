package tokenizer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/golden"
)

// Vectors and models made by SentencePiece 0.1.97, llama.cpp, llama2.c and llama-tokenizer-js.

func shared(t testing.TB, elem ...string) string {
	t.Helper()
	path := filepath.Join(append([]string{golden.SharedDir(t)}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skip(err)
	}
	return path
}

func loadShared(t testing.TB, elem ...string) *Tokenizer {
	t.Helper()
	tok, err := Load(shared(t, elem...))
	require.NoError(t, err)
	return tok
}

type vector struct {
	Text string  `json:"text"`
	IDs  []int32 `json:"ids"`
	BOS  bool    `json:"bos"`
}

func readJSONL[T any](t testing.TB, path string) []T {
	t.Helper()
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	var out []T
	sc := bufio.NewScanner(bytes.NewReader(raw))
	sc.Buffer(nil, len(raw)+1)
	for sc.Scan() {
		var v T
		require.NoError(t, json.Unmarshal(sc.Bytes(), &v))
		out = append(out, v)
	}
	require.NoError(t, sc.Err())
	require.NotEmpty(t, out)
	return out
}

// plain keeps nil and empty from differing.
func plain(ids []int32) []int32 { return append([]int32{}, ids...) }

func TestLlamaVectors(t *testing.T) {
	var vectors []vector
	for _, name := range []string{"published_vectors.jsonl", "spm_encodings.jsonl", "spm_multiline.jsonl"} {
		vectors = append(vectors, readJSONL[vector](t, shared(t, "llama_tokenizer", name))...)
	}
	vectors = append(vectors, ggufVectors(t)...)
	require.Greater(t, len(vectors), 300)

	for _, name := range []string{"tokenizer.model", "tokenizer.bin"} {
		t.Run(name, func(t *testing.T) {
			tok := loadShared(t, "llama_tokenizer", name)
			require.Equal(t, 32000, tok.VocabSize())
			assert.Equal(t, []int32{0, 1, 2, -1}, []int32{tok.UNK(), tok.BOS(), tok.EOS(), tok.PAD()})
			for _, v := range vectors {
				ids := tok.Encode(v.Text)
				if v.BOS {
					ids = append([]int32{tok.BOS()}, ids...)
				}
				assert.Equal(t, plain(v.IDs), plain(ids), "text %q", v.Text)
				text, err := tok.Decode(v.IDs)
				require.NoError(t, err)
				assert.Equal(t, strings.ReplaceAll(v.Text, space, " "), text) // "▁" itself does not come back
			}
		})
	}
}

func ggufVectors(t *testing.T) []vector {
	in, err := os.ReadFile(shared(t, "llama_tokenizer", "ggml-vocab-llama-spm.gguf.inp"))
	require.NoError(t, err)
	out, err := os.ReadFile(shared(t, "llama_tokenizer", "ggml-vocab-llama-spm.gguf.out"))
	require.NoError(t, err)
	texts := strings.Split(string(in), "\n__ggml_vocab_test__\n")
	lines := strings.Split(string(out), "\n")
	require.Len(t, texts, len(lines))
	require.Len(t, lines, 47) // the last text is empty, and so is its line
	var vectors []vector
	for i, line := range lines {
		v := vector{Text: texts[i]}
		for _, s := range strings.Fields(line) {
			id, err := strconv.Atoi(s)
			require.NoError(t, err)
			v.IDs = append(v.IDs, int32(id))
		}
		vectors = append(vectors, v)
	}
	return vectors
}

func TestShakespeareVectors(t *testing.T) {
	tok := loadShared(t, "sentencepiece_small", "shakespeare_bpe1000.model")
	for _, v := range readJSONL[vector](t, shared(t, "sentencepiece_small", "shakespeare_bpe1000.encodings.jsonl")) {
		assert.Equal(t, plain(v.IDs), plain(tok.Encode(v.Text)), "text %q", v.Text)
	}
}

// The ids of a dialogue are BOS, the encoding of one turn's text, EOS; see the chat format of Llama 2's reference code.
func TestChatVectors(t *testing.T) {
	type dialog struct {
		Messages []struct{ Role, Content string }
		IDs      []int32
	}
	tok := loadShared(t, "llama_tokenizer", "tokenizer.model")
	for i, d := range readJSONL[dialog](t, shared(t, "llama2_chat_format", "dialogs.jsonl")) {
		var want []int32
		system, user := "", ""
		for j, m := range d.Messages {
			content := strings.TrimSpace(m.Content)
			switch m.Role {
			case "system":
				system = "<<SYS>>\n" + m.Content + "\n<</SYS>>\n\n"
			case "user":
				user = strings.TrimSpace(system + m.Content)
				system = ""
				if j == len(d.Messages)-1 {
					want = append(want, tok.BOS())
					want = append(want, tok.Encode("[INST] "+user+" [/INST]")...)
				}
			case "assistant":
				want = append(want, tok.BOS())
				want = append(want, tok.Encode("[INST] "+user+" [/INST] "+content+" ")...)
				want = append(want, tok.EOS())
			}
		}
		assert.Equal(t, d.IDs, want, "dialogue %d", i)
	}
}

func TestStoriesTokenizer(t *testing.T) {
	type row struct {
		Text   string
		Tokens []int32
	}
	tok := loadShared(t, "stories260k", "tok512.bin")
	require.Equal(t, 512, tok.VocabSize())
	for _, r := range readJSONL[row](t, shared(t, "stories260k", "golden_logprobs.jsonl")) {
		assert.Equal(t, r.Tokens, append([]int32{tok.BOS()}, tok.Encode(r.Text)...), "text %q", r.Text)
	}
}

func TestUnigramVectors(t *testing.T) {
	for _, name := range []string{"test_model_unigram1000", "torchtune_m_unigram2000"} {
		tok := loadShared(t, "sentencepiece_small", name+".model")
		again, err := FromPieces(tok.Pieces(), tok.Parts())
		require.NoError(t, err)
		for _, v := range readJSONL[vector](t, shared(t, "sentencepiece_small", name+".encodings.jsonl")) {
			assert.Equal(t, plain(v.IDs), plain(tok.Encode(v.Text)), "text %q", v.Text)
			assert.Equal(t, plain(v.IDs), plain(again.Encode(v.Text)), "from its pieces, text %q", v.Text)
		}
		require.ErrorContains(t, tok.SaveHuggingFace(t.TempDir()), "is a unigram model")
	}
}

// A model that is read and written again has the same bytes.
func TestWriteModelKeepsTheFile(t *testing.T) {
	for _, elem := range [][]string{
		{"llama_tokenizer", "tokenizer.model"}, {"sentencepiece_small", "shakespeare_bpe1000.model"},
	} {
		want, err := os.ReadFile(shared(t, elem...))
		require.NoError(t, err)
		tok, err := LoadModel(bytes.NewReader(want))
		require.NoError(t, err)
		var got bytes.Buffer
		require.NoError(t, tok.WriteModel(&got))
		assert.True(t, bytes.Equal(want, got.Bytes()), "%v has changed", elem)
	}
}

// NFKC of single characters, from the Unicode Character Database.
func TestCharsMapNFKC(t *testing.T) {
	data, err := os.ReadFile(shared(t, "sentencepiece_small", "test_model_unigram1000.model"))
	require.NoError(t, err)
	var rules charsMap
	require.NoError(t, eachField(data, func(f field) error {
		if f.num != modelNormalizer {
			return nil
		}
		sp := defaultSpec()
		require.NoError(t, sp.parseNormalizer(f.bytes))
		rules, err = parseCharsMap(sp.charsMap)
		return err
	}))
	n := normalizer{charsMap: rules, dummyPrefix: true, removeExtra: true, escape: true}
	for in, want := range map[string]string{
		"\uFF21":          "▁A",    // full-width A
		"\uFB01sh":        "▁fish", // ligature fi
		"\u2460":          "▁1",    // circled 1
		"\u00BD":          "▁1\u20442",
		"e\u0301":         "▁\u00E9", // composed
		"\uFF76\uFF9E":    "▁\u30AC", // half-width ga, two characters
		"a\u3000b":        "▁a▁b",    // ideographic space
		"  a \u00A0 b  ":  "▁a▁b",
		"plain":           "▁plain",
		"\u3000 ":         "",
		"\xff":            "▁\uFFFD",
		"\u2168 x\u00B2y": "▁IX▁x2y",
	} {
		assert.Equal(t, want, n.apply(in), "%q", in)
	}
}
