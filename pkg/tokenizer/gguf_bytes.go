package tokenizer

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tame-rlhf/tame/internal/gguf"
	"github.com/tame-rlhf/tame/pkg/tokenizer/internal/pretoken"
)

const (
	ggufMerges = "tokenizer.ggml.merges"

	ggufGPT2 = "gpt2" // the kind of tokenizer: byte-level BPE
)

// preTokenizer is a way to cut text for byte-level BPE, under llama.cpp's name for it.
type preTokenizer struct {
	steps        []object // of tokenizer.json, without ByteLevel
	regex        bool     // ByteLevel cuts by GPT-2's pattern
	nfc          bool     // the tokenizer.json of its models has the normalizer NFC; llama.cpp leaves it out
	ignoreMerges bool     // in llama.cpp
	addBOS       bool     // where the file does not say
}

func splitBy(pattern string) object {
	return object{{"type", "Split"}, {"pattern", object{{"Regex", pattern}}}, {"behavior", string(pretoken.Isolated)}, {"invert", false}}
}

// preTokenizers are those that GGUF files name in tokenizer.ggml.pre, of all that llama.cpp knows the ones with a scanner here.
var preTokenizers = map[string]preTokenizer{
	"gpt-2":     {regex: true},
	"smollm":    {steps: []object{{{"type", "Digits"}, {"individual_digits", true}}}, regex: true},
	"llama-bpe": {steps: []object{splitBy(pretoken.Llama3)}, ignoreMerges: true, addBOS: true},
	"qwen2":     {steps: []object{splitBy(pretoken.Qwen2)}, nfc: true},
}

// ggufAliases are llama.cpp's other names of preTokenizers.
var ggufAliases = map[string]string{"llama3": "llama-bpe", "llama-v3": "llama-bpe", "starcoder": "smollm"}

// json gives the pre_tokenizer and the normalizer of a tokenizer.json.
func (p preTokenizer) json(prefixSpace bool) (pre, normalizer json.RawMessage, err error) {
	steps := append(slices.Clip(p.steps), object{{"type", "ByteLevel"}, {"add_prefix_space", prefixSpace}, {"trim_offsets", true}, {"use_regex", p.regex}})
	whole := steps[0]
	if len(steps) > 1 {
		whole = object{{"type", "Sequence"}, {"pretokenizers", steps}}
	}
	if pre, err = whole.MarshalJSON(); p.nfc {
		normalizer = json.RawMessage(`{"type":"NFC"}`)
	}
	return pre, normalizer, err
}

// byteLevelJSON is the decoder and the post-processor of a byte-level tokenizer.json.
const byteLevelJSON = `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}`

// bytesFromGGUF reads a tokenizer of kind gpt2.
func bytesFromGGUF(f *gguf.File) (*Tokenizer, error) {
	name, _ := f.Values[ggufPre].(string)
	pre, known := preTokenizers[cmp.Or(ggufAliases[name], name)]
	if !known {
		return nil, fmt.Errorf("%s is %q, which says how text is cut, want one of %q: use the tokenizer.json of the model in its place", ggufPre, name,
			slices.Sorted(maps.Keys(preTokenizers)))
	}
	if prefix, _ := f.Values[ggufSpacePrefix].(bool); prefix {
		return nil, fmt.Errorf("%s is true, which llama.cpp does not apply to tokenizers of kind %s: use the tokenizer.json of the model in its place", ggufSpacePrefix, ggufGPT2)
	}
	tokens, err1 := ggufList[string](f, ggufTokens, "texts")
	merges, err2 := ggufList[string](f, ggufMerges, "texts")
	types, err3 := ggufList[int32](f, ggufTypes, "32-bit integers")
	err := cmp.Or(err1, err2, err3)
	if err == nil && len(types) != len(tokens) {
		err = fmt.Errorf("%d tokens and %d types, want as many of each", len(tokens), len(types))
	}
	if err != nil {
		return nil, err
	}
	n := len(tokens)
	for n > 0 && types[n-1] == int32(Unused) && tokens[n-1] == padText(n-1) {
		n--
	}
	model := huggingModel{IgnoreMerges: pre.ignoreMerges, Vocab: make(map[string]int64, n)}
	file := huggingFile{Decoder: json.RawMessage(byteLevelJSON)}
	if file.PreTokenizer, file.Normalizer, err = pre.json(false); err != nil {
		return nil, err
	}
	unused := make(map[string]bool)
	for i, text := range tokens[:n] {
		if text == "" {
			text, types[i] = fmt.Sprintf("[EMPTY_%d]", i), int32(Unused) // as llama.cpp
		}
		if old, twice := model.Vocab[text]; twice {
			return nil, fmt.Errorf("the tokens %d and %d are both %q", old, i, text)
		}
		model.Vocab[text] = int64(i)
		switch kind := PieceType(types[i]); kind {
		case Normal:
		case Control, UserDefined, Unknown:
			file.AddedTokens = append(file.AddedTokens, huggingAdded{ID: int64(i), Content: text, Special: kind != UserDefined})
		case Unused:
			unused[text] = true
		default:
			return nil, fmt.Errorf("token %d has the type %d, want %d, %d, %d, %d or %d (a tokenizer of kind %s has no others)", i, types[i],
				Normal, Unknown, Control, UserDefined, Unused, ggufGPT2)
		}
	}
	if model.merges, err = parseMerges(merges); err != nil {
		return nil, fmt.Errorf("%s: %w", ggufMerges, err)
	}
	named := make(map[string]any)
	for i, key := range []string{ggufBOS, ggufEOS, ggufPAD} {
		named[specials[i].name] = nil
		if id := ggufID(f, key, none, n); id >= 0 {
			named[specials[i].name] = tokens[id]
		}
	}
	config, err := json.Marshal(named)
	if err != nil {
		return nil, err
	}
	t, err := fromHugging(&file, &model, config)
	if err != nil {
		return nil, err
	}
	for text := range unused {
		if id := t.ids[text]; t.pieces[id].Type == Normal {
			t.pieces[id].Type = Unused
		}
	}
	addBOS, said := f.Values[ggufAddBOS].(bool)
	t.hugging.addBOS = t.bos >= 0 && (addBOS || !said && pre.addBOS)
	t.hugging.addEOS, _ = f.Values[ggufAddEOS].(bool)
	t.chatTemplate, _ = f.Values[ggufTemplate].(string)
	return t, nil
}

// parseMerges reads "left right" texts, as of merges.txt.
func parseMerges(lines []string) ([]huggingMerge, error) {
	merges := make([]huggingMerge, len(lines))
	for i, line := range lines {
		left, right, ok := strings.Cut(line, " ")
		if !ok || left == "" || right == "" || strings.Contains(right, " ") {
			return nil, fmt.Errorf("merge %d: %q is not two pieces with a space between them", i, line)
		}
		merges[i] = huggingMerge{left, right}
	}
	return merges, nil
}

// bytesToGGUF is GGUF for byte-level BPE.
func (t *Tokenizer) bytesToGGUF(vocabSize int) (map[string]any, error) {
	name, err := t.ggufPreName()
	if err == nil && len(t.pieces) > vocabSize {
		err = fmt.Errorf("%d pieces for a model of %d ids, and GGUF has no place for the others: write the model in another form", len(t.pieces), vocabSize)
	}
	if err != nil {
		return nil, fmt.Errorf("tokenizer: gguf: %w", err)
	}
	tokens, types := make([]string, vocabSize), make([]int32, vocabSize)
	for i := range vocabSize {
		tokens[i], types[i] = padText(i), int32(Unused)
		if i < len(t.pieces) {
			tokens[i], types[i] = t.pieces[i].Text, int32(t.pieces[i].Type)
		}
	}
	m := map[string]any{
		ggufModel: ggufGPT2, ggufPre: name, ggufTokens: tokens, ggufTypes: types, ggufMerges: t.mergeLines(),
		ggufAddBOS: t.hugging.addBOS, ggufAddEOS: t.hugging.addEOS, ggufSpacePrefix: false,
	}
	for key, id := range map[string]int32{ggufBOS: t.bos, ggufEOS: t.eos, ggufPAD: t.pad} {
		if id >= 0 {
			m[key] = uint32(id)
		}
	}
	if template := t.writtenTemplate(); template != "" {
		m[ggufTemplate] = template
	}
	return m, nil
}

// ggufPreName finds llama.cpp's name for how the tokenizer cuts text, and says what of it a GGUF file cannot state.
func (t *Tokenizer) ggufPreName() (string, error) {
	h := t.hugging
	steps, err := flatten("pre_tokenizer", h.file.PreTokenizer, 0)
	if err != nil {
		return "", err
	}
	name := ""
	for n, p := range preTokenizers {
		raw, _, err := p.json(false)
		if err != nil {
			return "", err
		}
		if known, err := flatten("pre_tokenizer", raw, 0); err == nil && slices.Equal(signature(known), signature(steps)) {
			name = n
		}
	}
	switch p := preTokenizers[name]; {
	case h.bytes.mapped || name == "":
		return "", fmt.Errorf("its pre_tokenizer is none of %q, and llama.cpp knows no others", slices.Sorted(maps.Keys(preTokenizers)))
	case h.unk != none:
		return "", fmt.Errorf("bytes that its vocabulary lacks become %q, which llama.cpp would leave out", t.Piece(h.unk))
	case !slices.EqualFunc(h.normalizer, map[bool][]unicodeForm{true: {nfc}}[p.nfc], func(r replacementRule, f unicodeForm) bool { return r.form == f }):
		return "", fmt.Errorf("its normalizer is not the one of llama.cpp's pre-tokenizer %s", name)
	case h.ignoreMerges != p.ignoreMerges && !t.mergesReach():
		return "", fmt.Errorf("ignore_merges is %v, and llama.cpp has %v with the pre-tokenizer %s, which gives other ids", h.ignoreMerges, p.ignoreMerges, name)
	}
	for _, tokens := range []addedTokens{h.added, h.normalized} {
		for _, a := range tokens.tokens {
			if a.lstrip || a.rstrip || a.singleWord || h.shown[a.id] != "" && len(h.normalizer) > 0 {
				return "", fmt.Errorf("the added token %q has lstrip, rstrip, single_word or normalized, which GGUF cannot say", a.text)
			}
		}
	}
	return name, nil
}

// signature says what the steps of a pre-tokenizer do to a text: what gives the same pieces has the same one, as far as that is easy to see.
func signature(steps []huggingPart) (list []string) {
	for _, p := range steps {
		switch {
		case p.Type == "Split" && p.Pattern.Regex != nil && p.Behavior == string(pretoken.Removed) && p.Invert && pretoken.Scanner(*p.Pattern.Regex) != nil,
			p.Type == "Split" && p.Pattern.Regex != nil && p.Behavior == string(pretoken.Isolated):
			list = append(list, *p.Pattern.Regex)
		case p.Type == "Digits":
			list = append(list, fmt.Sprint("digits ", p.IndividualDigits))
		case p.Type == "ByteLevel":
			if p.AddPrefixSpace != nil && *p.AddPrefixSpace {
				list = append(list, "prefix")
			}
			if p.UseRegex == nil || *p.UseRegex {
				list = append(list, pretoken.GPT2)
			}
		default:
			list = append(list, "other")
		}
	}
	return list
}

// mergesReach says whether the merges make each token of its bytes, so that ignore_merges changes nothing.
func (t *Tokenizer) mergesReach() bool {
	m := t.merger()
	defer t.release(m)
	for text, id := range t.hugging.vocab {
		raw, ok := fromByteChars(text)
		if !ok || t.pieces[id].Type != Normal {
			continue
		}
		m.pieces(raw)
		if len(m.symbols) != 1 || m.symbols[0].id != id {
			return false
		}
	}
	return true
}

// mergeLines lists the merges in their order, as in merges.txt.
func (t *Tokenizer) mergeLines() []string {
	slots := t.pairs.all()
	slices.SortFunc(slots, func(a, b pairSlot) int { return cmp.Compare(a.rank, b.rank) })
	lines := make([]string, len(slots))
	for i, s := range slots {
		parts := s.parts()
		lines[i] = t.pieces[parts[0]].Text + " " + t.pieces[parts[1]].Text
	}
	return lines
}
