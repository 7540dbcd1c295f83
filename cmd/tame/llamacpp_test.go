package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// llamacppEnv names a Python that has xllamacpp.
const llamacppEnv = "TAME_LLAMACPP_PYTHON"

// GGUF files that tame writes open in llama.cpp with the same ids of texts, chat template and log-probabilities (its cache of keys and
// values has 16 bits).
func TestOpensInLlamaCpp(t *testing.T) {
	python := os.Getenv(llamacppEnv)
	if python == "" {
		t.Skipf("%s names no Python with xllamacpp", llamacppEnv)
	}
	texts := []string{"the cat", " a  dog ", "Grüße, 漢字 🙂", "line\nline\t", "1234 x=y"}
	var dialogs [][]data.Message // those that wait for an answer
	for _, messages := range chatDialogs() {
		if messages[len(messages)-1].Role != data.User {
			continue
		}
		messages = slices.Clone(messages)
		for i := range messages { // its trim knows the white space of ASCII alone
			messages[i].Content = strings.NewReplacer("\u00a0", " ", "\u001c", " ").Replace(messages[i].Content)
		}
		dialogs = append(dialogs, messages)
	}
	require.Greater(t, len(dialogs), 3)
	for name, tok := range chatTokenizers(t) {
		p := model.NewParams(model.Config{
			Dim: 64, NumLayers: 2, NumHeads: 2, NumKVHeads: 1, HeadDim: 32, HiddenDim: 64, VocabSize: tok.VocabSize(),
			MaxSeqLen: 128, NormEps: 1e-5, RopeTheta: 1e4, BOS: tok.BOS(), EOS: tok.EOS(),
		}, tensor.Float32)
		p.Init(rand.New(rand.NewPCG(1, 1)))
		path := filepath.Join(t.TempDir(), "m.gguf")
		require.NoError(t, writeGGUF(path, p, tok, model.F32, data.Lineage{}))
		ids := append([]int32{tok.BOS()}, tok.Encode("the cat sat on a log")...)
		var got struct {
			Texts, Dialogs [][]int32
			Template       string
			Top            [][2]float64
		}
		runPython(t, python, "testdata/open_gguf.py", path, map[string]any{"texts": texts, "dialogs": dialogs, "ids": ids}, &got)
		for i, text := range texts {
			assert.Equal(t, tok.Encode(text), got.Texts[i], "%s: %q", name, text)
		}
		assert.Equal(t, tokenizer.Llama2Chat, got.Template, name)
		tmpl, err := data.Llama2Template(tok)
		require.NoError(t, err)
		for i, messages := range dialogs {
			if name == tagsAsPieces { // llama.cpp puts a space after each piece that was defined by the user, which SentencePiece does not
				break
			}
			want, err := tmpl.EncodePrompt(messages)
			require.NoError(t, err)
			assert.Equal(t, want, got.Dialogs[i], "%s: dialogue %d", name, i)
		}
		d, err := model.NewDecoder(p, 1, 128)
		require.NoError(t, err)
		logits, err := d.Forward([]model.Chunk{{Slot: 0, Tokens: ids}})
		require.NoError(t, err)
		require.Len(t, got.Top, 10)
		for _, top := range got.Top {
			assert.InDelta(t, top[1], logits[0][int(top[0])]-d.Backend().Float32().LogSumExp(logits[0]), 2e-3, "%s: id %v", name, top[0])
		}
	}
}
