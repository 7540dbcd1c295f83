package main

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/golden"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// pythonEnv names a Python that has torch and transformers 5, and best nothing else.
const pythonEnv = "TAME_TRANSFORMERS_PYTHON"

// chatDialogs are dialogues of many forms: with system prompts, several turns, white space at the ends, other scripts.
func chatDialogs() [][]data.Message {
	user := func(text string) data.Message { return data.Message{Role: data.User, Content: text} }
	system := func(text string) data.Message { return data.Message{Role: data.System, Content: text} }
	answer := func(text string) data.Message { return data.Message{Role: data.Assistant, Content: text} }
	return [][]data.Message{
		{user("the cat")},
		{system("Be brief."), user("the dog sat on the log?")},
		{user("a"), answer("a cat and a dog")},
		{system("  Two\nlines \u00a0"), user("\t the mat \n"), answer(" on  it \u001c"), user("and now?")},
		{system("Grüße"), user("漢字 🙂"), answer("ok."), user("x"), answer("y {{ z }}"), user("<b> 'q' \"r\" & s")},
	}
}

// opened is what testdata/open_folder.py prints.
type opened struct {
	Loaded, Decoded []string
	Class, Model    string
	BOS, EOS        int32
	Texts, Dialogs  [][]int32
	WithBOS         []int32 `json:"with_bos"`
	Masks           [][]float32
	LogProbs, Score []float64
	Ends            []int32
	Generation      map[string]any
}

func openInTransformers(t *testing.T, python, dir string, texts []string, ids []int32) opened {
	t.Helper()
	var got opened
	runPython(t, python, "testdata/open_folder.py", dir, map[string]any{"texts": texts, "dialogs": chatDialogs(), "ids": ids}, &got)
	return got
}

// runPython runs a script on a path, with a request as its input and the answer as its output, both JSON.
func runPython(t *testing.T, python, script, path string, request, answer any) {
	t.Helper()
	raw, err := json.Marshal(request)
	require.NoError(t, err)
	cmd := exec.Command(python, script, path)
	cmd.Env = append(os.Environ(), "HF_HUB_OFFLINE=1")
	cmd.Stdin = bytes.NewReader(raw)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	require.NoError(t, err, complaints.String())
	require.NoError(t, json.Unmarshal(out, answer))
}

const tagsAsPieces = "tags as pieces"

// chatTokenizers are one with Llama 2's tags as text, one with them as pieces, and if it is there Llama 2's own.
func chatTokenizers(t *testing.T) map[string]*tokenizer.Tokenizer {
	t.Helper()
	train := func(tags []string) *tokenizer.Tokenizer {
		cfg := tokenizer.DefaultTrainConfig()
		cfg.VocabSize, cfg.UserDefined = 290, tags
		tok, err := tokenizer.Train(t.Context(), slices.Values([]string{"the cat sat on the mat [INST]", "the dog sat on the log", "a cat and a dog"}), cfg)
		require.NoError(t, err)
		return tok
	}
	toks := map[string]*tokenizer.Tokenizer{"tags as text": train(nil), tagsAsPieces: train(data.Tags())}
	shared := filepath.Join(golden.Dir(t), "..", "..", "..", "..", "shared", "data", "llama_tokenizer", "tokenizer.model")
	if _, err := os.Stat(shared); err == nil {
		if toks["Llama 2"], err = tokenizer.Load(shared); err != nil {
			t.Fatal(err)
		}
	}
	return toks
}

// Folders that tame writes open in the Auto classes of transformers without sentencepiece and tiktoken, with the same ids, chat template
// (id by id, and the same tokens count), ends of answers and log-probabilities.
func TestOpensInTransformers(t *testing.T) {
	python := os.Getenv(pythonEnv)
	if python == "" {
		t.Skipf("%s names no Python with transformers", pythonEnv)
	}
	texts := []string{"the cat", " a  dog ", "Grüße, 漢字 🙂", "line\nline\t", "1234 x=y", ""}
	for name, tok := range chatTokenizers(t) {
		for _, head := range []bool{false, true} {
			p := model.NewParams(model.Config{
				Dim: 16, NumLayers: 1, NumHeads: 2, NumKVHeads: 1, HeadDim: 8, HiddenDim: 32, VocabSize: tok.VocabSize(),
				MaxSeqLen: 64, NormEps: 1e-5, RopeTheta: 1e4, BOS: tok.BOS(), EOS: tok.EOS(),
			}, tensor.Float32)
			rng := rand.New(rand.NewPCG(1, 1))
			p.Init(rng)
			require.NoError(t, p.SetEnds(tok.EOS(), 5))
			if head {
				p.AddHead(rng)
				p.DropOutput()
			}
			dir := filepath.Join(t.TempDir(), "m")
			require.NoError(t, model.Save(dir, p, folderExtras(tok, data.Lineage{Stage: "test"})))
			ids := append([]int32{tok.BOS()}, tok.Encode("the cat sat on a log")...)
			got := openInTransformers(t, python, dir, texts, ids)
			assert.Empty(t, got.Loaded, name)
			assert.Equal(t, []int32{tok.BOS(), tok.EOS()}, []int32{got.BOS, got.EOS}, name)
			assert.Equal(t, tok.BOS(), got.WithBOS[0], "%s: BOS in front", name)
			for i, text := range texts {
				assert.Equal(t, append([]int32{}, tok.Encode(text)...), got.Texts[i], "%s: %q", name, text)
				assert.Equal(t, text, got.Decoded[i], name)
			}
			tmpl, err := data.Llama2Template(tok)
			require.NoError(t, err)
			for i, messages := range chatDialogs() {
				want, err := tmpl.EncodeDialog(messages, data.AllTurns)
				require.NoError(t, err)
				assert.Equal(t, want.Tokens, got.Dialogs[i], "%s: dialogue %d", name, i)
				assert.Equal(t, want.Weights, got.Masks[i], "%s: dialogue %d: the tokens that count", name, i)
			}
			if head {
				assert.Equal(t, "LlamaForSequenceClassification", got.Model)
				continue
			}
			assert.Equal(t, "LlamaForCausalLM", got.Model)
			assert.Equal(t, p.Ends(), got.Ends)
			assert.EqualValues(t, tok.BOS(), got.Generation["bos_token_id"])
			line, err := json.Marshal(map[string]any{"tokens": ids})
			require.NoError(t, err)
			text, err := tame(t, string(line), "logprobs", "--model", dir)
			require.NoError(t, err)
			var here struct{ LogProbs []float64 }
			require.NoError(t, json.Unmarshal([]byte(text[0]), &here), text)
			assert.InDeltaSlice(t, got.LogProbs, here.LogProbs, 1e-5, name)
		}
	}
}
