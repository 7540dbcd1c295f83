package tokenizer

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
)

// AddsBOS says whether a text begins with BOS for programs that encode it as the tokenizer's files say: the template of tokenizer.json,
// add_bos_token of tokenizer_config.json or of a GGUF file, and with SentencePiece always. [Tokenizer.Encode] never adds it.
func (t *Tokenizer) AddsBOS() bool { return t.bos >= 0 && (t.hugging == nil || t.hugging.addBOS) }

// AddsEOS is AddsBOS for EOS after a text.
func (t *Tokenizer) AddsEOS() bool { return t.eos >= 0 && t.hugging != nil && t.hugging.addEOS }

// byteLevelFile is the tokenizer.json of byte-level BPE that came from other files.
func (t *Tokenizer) byteLevelFile() ([]byte, error) {
	h := t.hugging
	vocab := make(object, 0, len(h.vocab))
	for id, p := range t.pieces {
		if _, ok := h.vocab[p.Text]; ok {
			vocab = append(vocab, member{p.Text, id})
		}
	}
	var merges [][]string
	for _, line := range t.mergeLines() {
		merges = append(merges, strings.Split(line, " "))
	}
	raw := func(part json.RawMessage) any {
		if len(part) == 0 {
			return nil
		}
		return part
	}
	var unk any
	if h.unk != none {
		unk = t.pieces[h.unk].Text
	}
	added := slices.SortedFunc(slices.Values(h.file.AddedTokens), func(a, b huggingAdded) int { return cmp.Compare(a.ID, b.ID) })
	file, err := object{
		{"version", "1.0"}, {"truncation", nil}, {"padding", nil},
		{"added_tokens", added},
		{"normalizer", raw(h.file.Normalizer)},
		{"pre_tokenizer", raw(h.file.PreTokenizer)},
		{"post_processor", t.huggingTemplate()},
		{"decoder", raw(h.file.Decoder)},
		{"model", object{
			{"type", "BPE"}, {"dropout", nil}, {"unk_token", unk},
			{"continuing_subword_prefix", nil}, {"end_of_word_suffix", nil},
			{"fuse_unk", h.fuseUnk}, {"byte_fallback", false}, {"ignore_merges", h.ignoreMerges},
			{"vocab", vocab}, {"merges", merges},
		}},
	}.MarshalJSON()
	return append(file, '\n'), err
}
