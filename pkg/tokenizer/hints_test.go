package tokenizer

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/setting"
)

// The call of transformers that errors name writes a folder that is read.
func TestSavePretrainedHintsWork(t *testing.T) {
	python := os.Getenv("TAME_PYTHON")
	if python == "" {
		t.Skip("TAME_PYTHON does not name a Python with transformers")
	}
	neox := writeFiles(t, neoxFiles(t))
	hugging := t.TempDir()
	small := DefaultTrainConfig()
	small.VocabSize = 270
	trained, err := Train(t.Context(), slices.Values([]string{"aa ab ba"}), small)
	require.NoError(t, err)
	require.NoError(t, trained.SaveHuggingFace(hugging))
	llama := writeFiles(t, map[string]string{"added_tokens.json": `{"<tag>": 270}`, "tokenizer_config.json": `{"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}`})
	require.NoError(t, trained.Save(filepath.Join(llama, modelFile)))
	require.NoError(t, os.WriteFile(filepath.Join(hugging, "added_tokens.json"), []byte(`{"<tag>": 270}`), 0o600))
	const sample = "aa ba\u00e9 \u6f22 ab"
	for name, dir := range map[string]string{"another class": neox, "added to SentencePiece": llama, "added to tokenizer.json": hugging} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(dir)
			require.Error(t, err)
			call := regexp.MustCompile(`AutoTokenizer\S*save_pretrained\(NEW\)`).FindString(err.Error())
			require.NotEmpty(t, call, err)
			made := filepath.Join(t.TempDir(), "new")
			cmd := exec.CommandContext(t.Context(), python, "-c", "import json, sys; from transformers import AutoTokenizer; DIR, NEW, TEXT = sys.argv[1:]; "+call+
				"; print(json.dumps(AutoTokenizer.from_pretrained(NEW)(TEXT, add_special_tokens=False)['input_ids']))", dir, made, sample)
			cmd.Env = append(os.Environ(), "HF_HUB_OFFLINE=1")
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			require.NoError(t, err)
			tok, err := Load(made)
			require.NoError(t, err)
			var want []int32
			require.NoError(t, json.Unmarshal(out, &want), "%s", out)
			assert.Equal(t, want, tok.Encode(sample))
		})
	}
}

func neoxFiles(t *testing.T) map[string]string {
	_, files := oldFiles(t, "gpt2")
	files = maps.Clone(files)
	var vocab map[string]int32
	require.NoError(t, json.Unmarshal([]byte(files[vocabFile]), &vocab))
	for _, special := range []string{"<s>", "<pad>", "</s>", "<unk>", "<mask>"} { // which that class wants
		if _, there := vocab[special]; !there {
			vocab[special] = int32(len(vocab))
		}
	}
	raw, err := json.Marshal(vocab)
	require.NoError(t, err)
	files[vocabFile], files[huggingConfig] = string(raw), `{"tokenizer_class":"GPTNeoXTokenizer"}`
	return files
}

// A vocabulary that is too small for its characters is refused with a setting that makes it fit.
func TestCoverageHintWorks(t *testing.T) {
	texts := func(yield func(string) bool) {
		for range 500 {
			if !yield("aaaa abab baba") {
				return
			}
		}
		yield("bcdefghijklmnopqrstuvwxyz")
	}
	cfg := DefaultTrainConfig()
	cfg.VocabSize, cfg.CharacterCoverage = 270, 1
	_, err := Train(t.Context(), texts, cfg)
	var refused *setting.FieldError
	require.True(t, errors.As(err, &refused), "%v", err)
	require.Contains(t, err.Error(), "or a lower CharacterCoverage")
	cfg.CharacterCoverage = 0.99
	_, err = Train(t.Context(), texts, cfg)
	assert.NoError(t, err)
}
