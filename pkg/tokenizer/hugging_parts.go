package tokenizer

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/tame-rlhf/tame/internal/jsontext"
)

// huggingPart holds the fields of all normalisers, pre-tokenisers, decoders and post-processors that are known here.
type huggingPart struct {
	Type string `json:"type"`

	Normalizers   []json.RawMessage `json:"normalizers"`   // of a Sequence
	Pretokenizers []json.RawMessage `json:"pretokenizers"` // of a Sequence
	Decoders      []json.RawMessage `json:"decoders"`      // of a Sequence
	Processors    []json.RawMessage `json:"processors"`    // of a Sequence

	Prepend string `json:"prepend"`
	Pattern struct {
		String *string `json:"String"`
		Regex  *string `json:"Regex"`
	} `json:"pattern"`
	Content          string `json:"content"`
	Behavior         string `json:"behavior"`
	Invert           bool   `json:"invert"`
	IndividualDigits bool   `json:"individual_digits"`
	UseRegex         *bool  `json:"use_regex"`

	Replacement    string `json:"replacement"`
	AddPrefixSpace *bool  `json:"add_prefix_space"`
	PrependScheme  string `json:"prepend_scheme"`
	Split          *bool  `json:"split"`

	Start int `json:"start"`
	Stop  int `json:"stop"`

	Single []map[string]struct {
		ID string `json:"id"`
	} `json:"single"`
}

// maxPart is the longest description of a part, in bytes. The rules of a normaliser, if it has them all, take half a million.
const maxPart = 1 << 20

// flatten returns the parts of a sequence, or the part itself, or nothing for null.
func flatten(name string, raw json.RawMessage, depth int) ([]huggingPart, error) {
	var p *huggingPart
	if len(raw) == 0 {
		return nil, nil
	}
	if len(raw) > maxPart {
		return nil, fmt.Errorf("the %s has %d bytes, the limit is %d", name, len(raw), maxPart)
	}
	if err := jsontext.Unmarshal(raw, &p); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if p == nil {
		return nil, nil
	}
	if p.Type != "Sequence" {
		return []huggingPart{*p}, nil
	}
	if depth > 8 {
		return nil, fmt.Errorf("%s: sequences inside each other, too deep", name)
	}
	var all []huggingPart
	for _, list := range [][]json.RawMessage{p.Normalizers, p.Pretokenizers, p.Decoders, p.Processors} {
		for _, raw := range list {
			parts, err := flatten(name, raw, depth+1)
			if err != nil {
				return nil, err
			}
			all = append(all, parts...)
		}
	}
	return all, nil
}

// maxGrowth is how much longer a normaliser may make a text: a few short rules on each other's results could fill any
// memory.
const maxGrowth = 64

// maxFormGrowth is how much longer a normal form makes a text at most.
const maxFormGrowth = 4

func (h *hugging) parseNormalizer(raw json.RawMessage) error {
	parts, err := flatten("normalizer", raw, 0)
	if err != nil {
		return err
	}
	growth := 1.0
	for _, p := range parts {
		var rule replacementRule
		switch {
		case p.Type == "Prepend":
			if rule.prepend = p.Prepend; rule.prepend == "" {
				continue
			}
		case p.Type == string(nfc) || p.Type == string(nfd):
			rule.form = unicodeForm(p.Type)
			growth *= maxFormGrowth
		case p.Type == "ByteLevel":
			rule.bytes = true
			growth *= 2
		case p.Type == "Replace" && p.Pattern.String != nil && *p.Pattern.String != "":
			rule.from, rule.to = *p.Pattern.String, p.Content
		case p.Type == "Replace" && p.Pattern.Regex != nil:
			if rule.only = parseOnlyPattern(*p.Pattern.Regex); rule.only == nil || p.Content != "" {
				return fmt.Errorf("the normalizer replaces the pattern %q%s", *p.Pattern.Regex, otherKinds)
			}
		default:
			return fmt.Errorf("the normalizer is %s%s", p.Type, otherKinds)
		}
		growth *= max(1, float64(len(rule.to))/float64(max(1, len(rule.from))))
		if growth > maxGrowth || len(rule.prepend) > maxPieceBytes {
			return fmt.Errorf("the normalizer makes texts more than %d times as long%s", maxGrowth, otherKinds)
		}
		h.normalizer = append(h.normalizer, rule)
	}
	if len(h.normalizer) > maxGrowth {
		return fmt.Errorf("the normalizer has %d steps%s", len(h.normalizer), otherKinds)
	}
	return nil
}

func (h *hugging) parsePreTokenizer(raw json.RawMessage) error {
	parts, err := flatten("pre_tokenizer", raw, 0)
	if err != nil {
		return err
	}
	mapped := slices.ContainsFunc(h.normalizer, func(r replacementRule) bool { return r.bytes })
	if mapped || isByteLevel(parts) {
		if mapped && isByteLevel(parts) {
			return errors.New("the normalizer is ByteLevel, and so is the pre_tokenizer" + otherKinds)
		}
		h.bytes = &byteLevel{mapped: mapped}
		h.bytes.split, err = splitters(parts)
		return err
	}
	if len(parts) == 0 {
		return nil
	}
	p := parts[0]
	if p.Type != "Metaspace" {
		return fmt.Errorf("the pre_tokenizer is %s%s", p.Type, otherKinds)
	}
	if len(parts) > 1 {
		return fmt.Errorf("the pre_tokenizer is %s after Metaspace%s", parts[1].Type, otherKinds)
	}
	h.metaspace, err = p.metaspace("pre_tokenizer")
	return err
}

func (p *huggingPart) metaspace(name string) (*metaspace, error) {
	m := &metaspace{cmp.Or(prefixScheme(p.PrependScheme), prefixAlways), p.Split == nil || *p.Split}
	if p.Replacement != space {
		return nil, fmt.Errorf("the %s marks spaces by %q%s", name, p.Replacement, otherKinds)
	}
	if !slices.Contains([]prefixScheme{prefixAlways, prefixFirst, prefixNever}, m.prefix) {
		return nil, fmt.Errorf("the %s has the prepend_scheme %q; always, first and never are known", name, p.PrependScheme)
	}
	if p.AddPrefixSpace != nil && !*p.AddPrefixSpace && m.prefix != prefixNever {
		return nil, fmt.Errorf("the %s has add_prefix_space false, but prepend_scheme is %q", name, p.PrependScheme)
	}
	return m, nil
}

// parseDecoder knows two forms: Replace, ByteFallback, Fuse and Strip, and Metaspace with ByteFallback and Fuse.
func (h *hugging) parseDecoder(raw json.RawMessage, byteFallback bool) error {
	parts, err := flatten("decoder", raw, 0)
	if err != nil {
		return err
	}
	if h.bytes != nil {
		if len(parts) != 1 || parts[0].Type != "ByteLevel" {
			return errors.New("the pre_tokenizer or the normalizer is ByteLevel, and the decoder is not" + otherKinds)
		}
		h.decoder.byteLevel = true
		return nil
	}
	if isByteLevel(parts) {
		return errors.New("the decoder is ByteLevel, but neither the pre_tokenizer nor the normalizer is" + otherKinds)
	}
	fused := false
	for i, p := range parts {
		switch {
		case p.Type == "Replace" && p.Pattern.String != nil && *p.Pattern.String == space && p.Content == " " && !fused:
			h.decoder.spaces = true
		case p.Type == "Metaspace" && !fused && !h.decoder.spaces && !h.decoder.bytes:
			m, err := p.metaspace("decoder")
			if err != nil {
				return err
			}
			h.decoder.spaces, h.decoder.dropFirst = true, m.prefix != prefixNever
		case p.Type == "ByteFallback" && !fused:
			h.decoder.bytes = true
		case p.Type == "Fuse":
			fused = true
		case p.Type == "Strip" && fused && p.Content == " " && p.Start >= 0 && p.Stop == 0 && i == len(parts)-1:
			h.decoder.strip = p.Start
		default:
			return fmt.Errorf("the decoder has %s in place %d%s", p.Type, i, otherKinds)
		}
	}
	if !h.decoder.spaces {
		return errors.New("the decoder does not turn \"▁\" into spaces" + otherKinds)
	}
	if byteFallback && !h.decoder.bytes {
		return errors.New("the decoder has no ByteFallback, though the model has byte_fallback")
	}
	return nil
}

// parsePostProcessor looks which pieces a template puts before and after a text: these are BOS and EOS, unless
// tokenizer_config.json says otherwise.
func (h *hugging) parsePostProcessor(raw json.RawMessage) error {
	h.names = defaultSpec().names
	parts, err := flatten("post_processor", raw, 0)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if p.Type == "ByteLevel" { // it changes offsets alone
			continue
		}
		if p.Type != "TemplateProcessing" {
			return fmt.Errorf("the post_processor is %s%s", p.Type, otherKinds)
		}
		behind := false
		for _, step := range p.Single {
			if token, ok := step["SpecialToken"]; ok && behind {
				h.names[1], h.addEOS = token.ID, true
			} else if ok {
				h.names[0], h.addBOS = token.ID, true
			}
			if _, ok := step["Sequence"]; ok {
				behind = true
			}
		}
	}
	return nil
}

// onlyPattern is the pattern by which SaveHuggingFace writes that the prefix goes away where it stands before exactly one
// of the texts. Hugging Face normalises added tokens like text: without it, "[INST]" would be found as "▁[INST]" alone.
func onlyPattern(texts []string) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = quotePattern(text)
	}
	return onlyBefore + strings.Join(quoted, "|") + onlyAfter
}

const (
	onlyBefore = `\A` + space + `(?=(?:`
	onlyAfter  = `)\z)`
)

// quotePattern escapes what has a meaning in regular expressions.
func quotePattern(text string) string {
	var b strings.Builder
	for _, r := range text {
		if strings.ContainsRune(`\.+*?()|[]{}^$#&-~ `, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

var (
	onlyText    = regexp.MustCompile(`(?s)(?:[^\\|]|\\.)*`)
	escapedRune = regexp.MustCompile(`(?s)\\(.)`)
)

// parseOnlyPattern is onlyPattern backwards, nil for all other patterns.
func parseOnlyPattern(pattern string) []string {
	body, ok := strings.CutPrefix(pattern, onlyBefore)
	body, also := strings.CutSuffix(body, onlyAfter)
	if !ok || !also {
		return nil
	}
	texts := onlyText.FindAllString(body, -1)
	for i, text := range texts {
		texts[i] = escapedRune.ReplaceAllString(text, "$1")
	}
	if onlyPattern(texts) != pattern { // something else that begins and ends like it
		return nil
	}
	return texts
}
