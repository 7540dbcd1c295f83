package tokenizer

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// folderOf writes a folder with a small tokenizer.model and the files.
func folderOf(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, toy(t, DefaultParts()).Save(filepath.Join(dir, modelFile)))
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}

// The files next to a tokenizer.model add special tokens, and say which ones end a text.
func TestAddedTokens(t *testing.T) {
	plain := toy(t, DefaultParts())
	n := int32(plain.VocabSize())
	for name, files := range map[string]map[string]string{
		"map":     {"added_tokens.json": `{"<fill>": 9}`, "special_tokens_map.json": `{"pad_token": "<fill>", "bos_token": {"content": "<s>"}}`},
		"further": {"added_tokens.json": `{"<fill>": 9}`, "special_tokens_map.json": `{"additional_special_tokens": ["<fill>"]}`},
		"decoder": {"tokenizer_config.json": `{"added_tokens_decoder": {"9": {"content": "<fill>", "special": true}, "1": {"content": "<s>", "special": true}}, "unk_token": null}`},
	} {
		tok, err := Load(folderOf(t, files))
		require.NoError(t, err, name)
		assert.EqualValues(t, n+1, tok.VocabSize(), name)
		assert.Equal(t, Control, tok.Type(n), name)
		assert.Equal(t, plain.Encode("a <fill> aa"), tok.Encode("a <fill> aa"), "no text has it")
		text, err := tok.Decode([]int32{n})
		require.NoError(t, err)
		assert.Empty(t, text)
		dir := t.TempDir()
		require.NoError(t, tok.SaveFolder(dir))
		again, err := Load(dir)
		require.NoError(t, err)
		assert.True(t, Same(tok, again))
	}
	tok, err := Load(folderOf(t, map[string]string{"added_tokens.json": `{"<fill>": 9}`, "special_tokens_map.json": `{"pad_token": "<fill>"}`}))
	require.NoError(t, err)
	assert.Equal(t, n, tok.PAD())
	tok, err = Load(folderOf(t, map[string]string{
		"added_tokens.json": `{"<end>": 9}`, "special_tokens_map.json": `{"eos_token": "<end>", "pad_token": "<unk>", "bos_token": null}`,
	}))
	require.NoError(t, err)
	assert.Equal(t, n, tok.EOS())
	assert.EqualValues(t, 1, tok.BOS())
	dir := t.TempDir()
	require.NoError(t, tok.SaveFolder(dir))
	again, err := Load(dir)
	require.NoError(t, err)
	assert.Equal(t, n, again.EOS(), "written with the model")
	assert.True(t, Same(plain, must(Load(folderOf(t, nil)))))

	for want, files := range map[string]map[string]string{
		`added_tokens.json adds "<tag>" (id 9), which tokenizer.model lacks and texts may have`: {"added_tokens.json": `{"<tag>": 9}`},
		`adds "<fill>" with the id 12, want 9`:                                                  {"added_tokens.json": `{"<fill>": 12}`, "special_tokens_map.json": `{"pad_token": "<fill>"}`},
		`"<s>" has the id 5, and 1 in tokenizer.model`:                                          {"added_tokens.json": `{"<s>": 5}`},
		`eos_token is "<gone>", which is no control piece`:                                      {"tokenizer_config.json": `{"eos_token": "<gone>"}`},
		`added_tokens.json: want an object of tokens`:                                           {"added_tokens.json": `[1]`},
		`tokenizer_config.json: `:                                                               {"tokenizer_config.json": `[`},
	} {
		_, err := Load(folderOf(t, files))
		assert.ErrorContains(t, err, want)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestChatTemplate(t *testing.T) {
	const zephyr = `{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}`
	for _, c := range []struct {
		files   map[string]string
		want    string
		foreign bool
	}{
		{nil, "", false},
		{map[string]string{"chat_template.jinja": zephyr}, zephyr, true},
		{map[string]string{"chat_template.jinja": Llama2Chat, "tokenizer_config.json": `{"chat_template": "<|x|>"}`}, Llama2Chat, false},
		{map[string]string{"tokenizer_config.json": `{"chat_template": "[INST] {{ x }} [/INST]"}`}, "[INST] {{ x }} [/INST]", true}, // Mistral's
		{map[string]string{"tokenizer_config.json": `{"chat_template": null}`}, "", false},
		{map[string]string{"tokenizer_config.json": `{"chat_template": [{"name": "tool", "template": "t"}, {"name": "default", "template": "d"}]}`}, "d", true},
	} {
		tok, err := Load(folderOf(t, c.files))
		require.NoError(t, err)
		assert.Equal(t, c.want, tok.ChatTemplate())
		assert.Equal(t, !c.foreign, tok.IsLlama2Chat())
		written := c.want
		if written == "" {
			written = Llama2Chat // the format of models without a template
		}
		meta, err := tok.GGUF(tok.VocabSize())
		require.NoError(t, err)
		back, err := LoadGGUF(writeMeta(t, meta))
		require.NoError(t, err)
		assert.Equal(t, written, back.ChatTemplate())
		dir := t.TempDir()
		require.NoError(t, tok.SaveFolder(dir))
		assert.Equal(t, written, must(Load(dir)).ChatTemplate())
		require.NoError(t, tok.SaveFolderChat(dir, "[INST]"))
		assert.Equal(t, "[INST]", must(Load(dir)).ChatTemplate())
	}
	_, err := Load(folderOf(t, map[string]string{"tokenizer_config.json": `{"chat_template": 7}`}))
	assert.ErrorContains(t, err, "chat_template is neither a text nor a list")
}
