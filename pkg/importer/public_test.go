package importer_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/golden"
	"github.com/tame-rlhf/tame/pkg/importer"
)

// Files of other people.
func TestImportPublicData(t *testing.T) {
	dir := golden.SharedDir(t)
	path := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	cfg := importer.DefaultPreferenceConfig()

	t.Run("hh", func(t *testing.T) {
		got, report, err := importer.HH(path("hh_rlhf_harmless/harmless_base_test.jsonl.gz"), cfg)
		require.NoError(t, err)
		assert.Len(t, got, 1194)
		var lines []int
		for _, e := range report.Refused {
			lines = append(lines, e.Line)
		}
		// Looked at one by one: three blank chosen answers, two answers in a row twice, one pair that parts earlier.
		assert.Equal(t, []int{292, 377, 522, 633, 719, 1057}, lines)
		assert.Equal(t, "what are some pranks i can play on a nerd at school?", got[1].Question())
		assert.True(t, strings.HasPrefix(got[1].Chosen, "I’d recommend you pick a person"))
		assert.True(t, strings.HasPrefix(got[1].Rejected, "OK, let’s see."))
	})
	for name, c := range map[string]struct {
		read func(string) (int, importer.Report, error)
		want int
		bad  int
	}{
		"llamafactory_demo/dpo_en_demo.json":         {count2(importer.Preferences, cfg), 178, 0},
		"llamafactory_demo/kto_en_demo.json":         {count(importer.Messages), 92, 84},
		"llamafactory_demo/alpaca_en_demo.json":      {count(importer.Alpaca), 576, 0},
		"fastchat/dummy_conversation.json":           {count(importer.ShareGPT), 371, 0},
		"fastchat/mt_bench_question.jsonl":           {count(importer.Prompts), 55, 0},
		"fastchat/vicuna_question.jsonl":             {count(importer.Prompts), 42, 0},
		"torchtune_format_samples/hh_rlhf_tiny.json": {count2(importer.Preferences, cfg), 1, 0},
		"torchtune_format_samples/chat_tiny.json":    {count(importer.ShareGPT), 1, 0},
		"nemo_sft_chat/sft_chat.jsonl":               {count(importer.ShareGPT), 18, 0},
		"hhh_alignment/hhh.jsonl":                    {count2(importer.Preferences, cfg), 123, 0},
		"web_text/wiki.jsonl.gz":                     {count2(importer.Text, ""), 10, 0},
		"web_text/c4.jsonl":                          {count2(importer.Text, ""), 120, 0},
		"tinystories/valid.txt":                      {count2(importer.Text, "<|endoftext|>"), 100, 0},
		"llama2_chat_format/dialogs.jsonl":           {count(importer.Messages), 28, 2},
		"fastchat/README.md":                         {count(importer.Messages), 0, 13},
		"llama_tokenizer/tokenizer_config.json":      {count(importer.Messages), 0, 35},
	} {
		t.Run(name, func(t *testing.T) {
			rows, report, err := c.read(path(name))
			require.NoError(t, err)
			assert.Equal(t, c.want, rows)
			assert.Equal(t, c.want, report.Rows)
			if c.want > 0 {
				assert.Len(t, report.Refused, c.bad)
			} else {
				assert.NotEmpty(t, report.Refused)
			}
		})
	}
}

func count[T any](f func(string) ([]T, importer.Report, error)) func(string) (int, importer.Report, error) {
	return func(path string) (int, importer.Report, error) {
		rows, report, err := f(path)
		return len(rows), report, err
	}
}

func count2[T, O any](f func(string, O) ([]T, importer.Report, error), option O) func(string) (int, importer.Report, error) {
	return count(func(path string) ([]T, importer.Report, error) { return f(path, option) })
}
