package tokenizer

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// someTexts are a few texts to train on.
var someTexts = slices.Values([]string{"The cat and the hat.\n\nThe cat's hat, don't you think? 1234", "Das ist die Katze; и это кот, 猫です。", strings.Repeat("the cat ", 20)})

func smallByteLevel(pattern string) ByteLevelConfig {
	cfg := DefaultByteLevelConfig()
	cfg.VocabSize, cfg.Pattern = 290, pattern
	return cfg
}

// Merges are those of Hugging Face's trainer, one by one.
func TestTrainByteLevelVectors(t *testing.T) {
	var golden struct {
		Texts  []string
		Merges map[string][]string
	}
	require.NoError(t, json.Unmarshal(gunzip(t, filepath.Join("testdata", "bytelevel_training.json.gz")), &golden))
	require.Len(t, golden.Merges, 4)
	for pattern, want := range golden.Merges {
		t.Run(pattern, func(t *testing.T) {
			cfg := DefaultByteLevelConfig()
			cfg.VocabSize, cfg.Pattern = 1100, pattern
			tok, err := TrainByteLevel(t.Context(), slices.Values(golden.Texts), cfg)
			require.NoError(t, err)
			assert.Equal(t, want, tok.mergeLines())
			assert.Equal(t, 1100, tok.VocabSize())
			for b, r := range byteChars {
				id, ok := tok.ID(string(r))
				require.True(t, ok)
				text, err := tok.Decode([]int32{id})
				require.NoError(t, err)
				if b < 0x80 {
					assert.Equal(t, string(rune(b)), text)
				}
			}
			meta, err := tok.GGUF(1100)
			require.NoError(t, err)
			assert.Equal(t, bytePatterns[pattern], meta[ggufPre])
		})
	}
}

// A trained tokenizer gives any text back, keeps its tags whole and its control tokens out of text, and is the same after it was written.
func TestTrainByteLevel(t *testing.T) {
	for _, pattern := range BytePatterns() {
		cfg := smallByteLevel(pattern)
		cfg.PAD, cfg.Control = "<|pad|>", []string{"<|x|>"}
		tok, err := TrainByteLevel(t.Context(), someTexts, cfg)
		require.NoError(t, err)
		dir := t.TempDir()
		require.NoError(t, tok.SaveFolder(dir))
		again, err := Load(dir)
		require.NoError(t, err)
		assert.Equal(t, tok.Pieces(), again.Pieces())
		for _, tok := range []*Tokenizer{tok, again} {
			assert.Equal(t, []int32{0, 1, 2, -1}, []int32{tok.BOS(), tok.EOS(), tok.PAD(), tok.UNK()})
			assert.True(t, tok.AddsBOS())
			for _, text := range []string{"", "The cat\x00\n\n  [INST] 猫 <|x|><|end_of_text|> 😀", "it's 12 345 \xff"} {
				ids := tok.Encode(text)
				back, err := tok.Decode(ids)
				require.NoError(t, err)
				assert.Equal(t, string([]rune(text)), back)
				for _, id := range ids {
					assert.NotEqual(t, Control, tok.Type(id), "%q", text)
				}
			}
			assert.Equal(t, []int32{3, 1}, tok.EncodeSpecial("<|x|><|end_of_text|>"))
			assert.Len(t, tok.Encode("the cat"), 2, "%q", pattern)
		}
	}
}

// The result does not depend on the number of cores, nor on control tokens and tags in the text.
func TestTrainByteLevelSame(t *testing.T) {
	var texts []string
	for i := range 3000 {
		texts = append(texts, fmt.Sprintf("word%d and the other one, %d times [INST] x<|end_of_text|>y", i%97, i%13))
	}
	want, err := TrainByteLevel(t.Context(), slices.Values(texts), smallByteLevel("gpt-2"))
	require.NoError(t, err)
	for i, text := range texts {
		texts[i] = strings.NewReplacer("[INST]", "<</SYS>>", "<|end_of_text|>", "<<SYS>>").Replace(text)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	got, err := TrainByteLevel(t.Context(), slices.Values(texts), smallByteLevel("gpt-2"))
	require.NoError(t, err)
	assert.Equal(t, want.Pieces(), got.Pieces())
	assert.Equal(t, want.mergeLines(), got.mergeLines())
	for _, line := range got.mergeLines() {
		assert.NotContains(t, line, "S Y")
	}
}

func TestTrainByteLevelRefuses(t *testing.T) {
	for want, change := range map[string]func(*ByteLevelConfig){
		`ByteLevelConfig.Pattern is x, want one of ["gpt-2" "llama3" "qwen2" "smollm"]`: func(c *ByteLevelConfig) { c.Pattern = "x" },
		"ByteLevelConfig.VocabSize is 261, want 262":                                    func(c *ByteLevelConfig) { c.VocabSize = 261 },
		"ByteLevelConfig.VocabSize is 5000, want at most":                               func(c *ByteLevelConfig) { c.VocabSize = 5000 },
		"ByteLevelConfig.MaxWords is 1, want at least 2":                                func(c *ByteLevelConfig) { c.MaxWords = 1 },
		"has an empty text":                               func(c *ByteLevelConfig) { c.EOS = "" },
		`"[INST]" is defined twice`:                       func(c *ByteLevelConfig) { c.Control = []string{"[INST]"} },
		`"Ġ" is defined twice, or is the token of a byte`: func(c *ByteLevelConfig) { c.Control = []string{"Ġ"} },
		"is not valid UTF-8":                              func(c *ByteLevelConfig) { c.UserDefined = []string{"\xff\xff"} },
	} {
		cfg := smallByteLevel("gpt-2")
		change(&cfg)
		_, err := TrainByteLevel(t.Context(), someTexts, cfg)
		assert.ErrorContains(t, err, want)
	}
	_, err := TrainByteLevel(t.Context(), slices.Values([]string{""}), smallByteLevel("gpt-2"))
	assert.ErrorContains(t, err, "the text is empty")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = TrainByteLevel(ctx, someTexts, smallByteLevel("gpt-2"))
	assert.ErrorIs(t, err, context.Canceled)
}
