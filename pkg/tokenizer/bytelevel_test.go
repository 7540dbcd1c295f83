package tokenizer

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// byteVariants are small byte-level tokenizers by name, with what Hugging Face's library does with them.
type byteVariants struct {
	Texts    []string
	Variants []struct {
		Name      string
		File      json.RawMessage
		Encodings [][2][]int32
		Decodings [][2]json.RawMessage
	}
}

func readByteVariants(t testing.TB) (f byteVariants) {
	t.Helper()
	require.NoError(t, json.Unmarshal(gunzip(t, filepath.Join("testdata", "bytelevel_vectors.json.gz")), &f))
	require.Greater(t, len(f.Variants), 12)
	return f
}

// byteVariant is the tokenizer of one of them.
func byteVariant(t testing.TB, name string) *Tokenizer {
	t.Helper()
	for _, v := range readByteVariants(t).Variants {
		if v.Name == name {
			tok, err := parseHugging(v.File, nil)
			require.NoError(t, err)
			return tok
		}
	}
	t.Fatalf("there is no variant %s", name)
	return nil
}

// Ids and texts of byte-level BPE are those of Hugging Face's own library.
func TestByteLevelVectors(t *testing.T) {
	f := readByteVariants(t)
	for _, v := range f.Variants {
		t.Run(v.Name, func(t *testing.T) {
			tok, err := parseHugging(v.File, nil)
			require.NoError(t, err)
			require.Len(t, v.Encodings, len(f.Texts))
			for i, text := range f.Texts {
				assert.Equal(t, v.Encodings[i][0], plain(tok.Encode(text)), "text %q", text)
				assert.Equal(t, v.Encodings[i][1], plain(tok.EncodeSpecial(text)), "special, text %q", text)
				for _, id := range tok.Encode(text) {
					require.NotEqual(t, Control, tok.Type(id), "text %q", text)
				}
			}
			for _, d := range v.Decodings {
				var ids []int32
				var want string
				require.NoError(t, json.Unmarshal(d[0], &ids))
				require.NoError(t, json.Unmarshal(d[1], &want))
				got, err := tok.Decode(ids)
				require.NoError(t, err)
				assert.Equal(t, want, got, "ids %v", ids)
				streamed, s := "", tok.NewStream()
				for _, id := range ids {
					part, err := s.Next(id)
					require.NoError(t, err)
					streamed += part
				}
				assert.Equal(t, want, streamed+s.Flush(), "ids %v", ids)
			}
			_, err = tok.Decode([]int32{1, int32(tok.VocabSize())})
			require.ErrorContains(t, err, "position 1: id")
			assert.Equal(t, tok.Encode("\uFFFD\uFFFDa"), tok.Encode("\xff\xfea"), "invalid UTF-8")
			assert.ErrorContains(t, tok.WriteModel(&strings.Builder{}), "byte-level BPE")
		})
	}
}

// No text gives a control token, whatever the file has for merges, characters and unknown bytes.
func TestByteLevelForged(t *testing.T) {
	for _, ignore := range []string{"false", "true"} {
		load := func(unk string) *Tokenizer {
			tok, err := parseHugging([]byte(`{"added_tokens":[{"id":2,"content":"ab","special":true},{"id":3,"content":"x","special":true},{"id":4,"content":"<e>","special":true},
				{"id":5,"content":"<u>","special":true}],"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},"decoder":{"type":"ByteLevel"},
				"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"x":3,"<e>":4,"<u>":5},"merges":["a b"],"unk_token":"`+unk+`","ignore_merges":`+ignore+`}}`), []byte(`{"eos_token":"<e>"}`))
			require.NoError(t, err)
			return tok
		}
		end, unk := load("<e>"), load("<u>")
		assert.Equal(t, []int32{0, 1}, end.Encode("ab"), "a merge")
		assert.Equal(t, []int32{2, 3, 4}, end.EncodeSpecial("abx<e>"))
		assert.Equal(t, []int32{0}, plain(end.Encode("xaz")), "x is a control token, z no token")
		assert.Equal(t, []int32{5, 0, 5}, unk.Encode("xaz"), "the unknown token")
	}
}
