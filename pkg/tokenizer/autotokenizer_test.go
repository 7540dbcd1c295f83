package tokenizer

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// AutoTokenizer of transformers opens the folders that are written, with the same ids, BOS and EOS. It runs where TAME_PYTHON names a Python
// with transformers.
func TestAutoTokenizer(t *testing.T) {
	python := os.Getenv("TAME_PYTHON")
	if python == "" {
		t.Skip("TAME_PYTHON does not name a Python with transformers")
	}
	f := readByteVariants(t)
	toks := map[string]*Tokenizer{}
	for _, v := range f.Variants {
		tok, err := parseHugging(v.File, []byte(`{"bos_token":"<|begin|>","eos_token":"<|end|>","pad_token":null}`))
		require.NoError(t, err)
		toks[v.Name] = tok
	}
	for _, name := range []string{"gpt2", "smollm", "llama3", "qwen2"} {
		meta, err := withoutAdded(t, name, nil).GGUF(700)
		require.NoError(t, err)
		meta[ggufAddBOS] = true
		toks[name+" of GGUF"], err = LoadGGUF(writeMeta(t, meta))
		require.NoError(t, err)
	}
	trained, err := TrainByteLevel(t.Context(), someTexts, smallByteLevel("llama3"))
	require.NoError(t, err)
	toks["trained"] = trained
	var names, dirs []string
	for name, tok := range toks {
		dir := filepath.Join(t.TempDir(), "folder")
		require.NoError(t, tok.SaveHuggingFace(dir))
		names, dirs = append(names, name), append(dirs, dir)
	}
	texts := append([]string{"[INST] a <|begin_of_text|>[/INST] b<|end_of_text|>"}, f.Texts...)
	in, err := json.Marshal(texts)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), python, append([]string{filepath.Join("testdata", "autotokenizer.py")}, dirs...)...)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	var results []struct {
		Class      string
		Size       int
		BOS, EOS   *int32
		IDs, Whole [][]int32
		Decoded    []string
	}
	require.NoError(t, json.Unmarshal(out, &results))
	require.Len(t, results, len(dirs))
	for i, r := range results {
		t.Run(names[i], func(t *testing.T) {
			tok := toks[names[i]]
			assert.Equal(t, tok.VocabSize(), r.Size)
			assert.Equal(t, "TokenizersBackend", r.Class)
			require.NotNil(t, r.EOS)
			assert.Equal(t, []int32{tok.BOS(), tok.EOS()}, []int32{*r.BOS, *r.EOS})
			for k, text := range texts {
				ids := plain(tok.EncodeSpecial(text))
				require.Equal(t, ids, r.IDs[k], "%q", text)
				if tok.AddsBOS() {
					ids = append([]int32{tok.BOS()}, ids...)
				}
				if tok.AddsEOS() {
					ids = append(ids, tok.EOS())
				}
				require.Equal(t, ids, r.Whole[k], "%q", text)
			}
		})
	}
}
