package tokenizer

import (
	"path/filepath"

	"github.com/google/renameio/v2"
)

// Llama2Chat is Llama 2's chat format in the template language of transformers (Jinja): BOS and EOS around each pair of a user's message and
// an answer, the system prompt inside the first message. transformers' apply_chat_template gives the ids that pkg/data's Llama2Template
// gives, and an assistant mask with its weights.
const Llama2Chat = `{%- set ns = namespace(system='', user=true) -%}` +
	`{%- for m in messages -%}` +
	`{%- if m['role'] == 'system' and loop.first -%}` +
	`{%- set ns.system = '<<SYS>>\n' + m['content'] + '\n<</SYS>>\n\n' -%}` +
	`{%- elif m['role'] == 'user' and ns.user -%}` +
	`{{- bos_token + '[INST] ' + (ns.system + m['content']) | trim + ' [/INST]' -}}` +
	`{%- set ns.system = '' -%}{%- set ns.user = false -%}` +
	`{%- elif m['role'] == 'assistant' and not ns.user -%}` +
	`{%- generation -%}{{- ' ' + m['content'] | trim + ' ' + eos_token -}}{%- endgeneration -%}` +
	`{%- set ns.user = true -%}` +
	`{%- else -%}` +
	`{{- raise_exception('want a system prompt or nothing, then messages of user and assistant in turn') -}}` +
	`{%- endif -%}` +
	`{%- endfor -%}`

// writtenTemplate is the chat template that is written with the tokenizer: the one that it came with, or Llama 2's, which is the
// format of models without one; "" without BOS and EOS, which that needs.
func (t *Tokenizer) writtenTemplate() string {
	if t.chatTemplate == "" && t.bos >= 0 && t.eos >= 0 {
		return Llama2Chat
	}
	return t.chatTemplate
}

// SaveFolder writes the tokenizer into a model's folder in both forms that hold it: as tokenizer.model (see [Tokenizer.WriteModel]), and as
// tokenizer.json with tokenizer_config.json, which transformers opens without further packages (see [Tokenizer.SaveHuggingFace]); and
// its chat template, or Llama 2's if it has none, as chat_template.jinja. [Load] of the folder reads it again. An error says that neither form
// holds it.
func (t *Tokenizer) SaveFolder(dir string) error { return t.SaveFolderChat(dir, t.writtenTemplate()) }

// SaveFolderChat is SaveFolder with that chat template, for a model that follows another one than the tokenizer came with; "" for none.
func (t *Tokenizer) SaveFolderChat(dir, template string) error {
	_, notModel := t.sentencePiece()
	if notModel == nil {
		if err := t.Save(filepath.Join(dir, modelFile)); err != nil {
			return err
		}
	}
	if _, err := t.huggingFiles(); err != nil && notModel == nil {
		return writeTemplate(dir, template) // tokenizer.json cannot hold it
	}
	return t.saveHuggingFace(dir, template)
}

// writeTemplate writes a chat template into a folder, if there is one.
func writeTemplate(dir, template string) error {
	if template == "" {
		return nil
	}
	return renameio.WriteFile(filepath.Join(dir, chatTemplateFile), []byte(template), 0o644)
}
