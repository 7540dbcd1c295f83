package data

import (
	"slices"
	"strings"
)

// specialTokens are the marks of chat formats that trainers and their templates write as text. A tokenizer may know some of them; the
// stages here do not: BOS, EOS and the tags of the chat format are put in by Template, and these texts are learned as letters.
var specialTokens = []string{
	"<s>", "</s>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", // Llama 2
	"<|im_start|>", "<|im_end|>", // ChatML
	"<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", // Llama 3
	"<|endoftext|>", "<start_of_turn>", "<end_of_turn>", "<|user|>", "<|assistant|>", "<|system|>",
}

// SpecialTokens are the special tokens of chat formats that the texts of a row have as letters, each once.
func SpecialTokens(row interface{ Parts() []Part }) (found []string) {
	for _, p := range row.Parts() {
		if strings.IndexByte(p.Text, '<') < 0 && strings.IndexByte(p.Text, '[') < 0 {
			continue
		}
		for _, token := range specialTokens {
			if strings.Contains(p.Text, token) && !slices.Contains(found, token) {
				found = append(found, token)
			}
		}
	}
	return found
}
