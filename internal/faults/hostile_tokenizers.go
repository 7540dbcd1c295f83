package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"strings"
)

// field is a length-delimited field of a protocol buffer.
func field(number int, content string) string {
	return string(binary.AppendUvarint([]byte{byte(number<<3 | 2)}, uint64(len(content)))) + content
}

// hostileTokenizers are SentencePiece models and files of Hugging Face's tokenizers.
func hostileTokenizers() map[string]hostile {
	all := map[string]hostile{}
	commands := []string{"tokenizer convert FILE out", "tokenizer convert FILE out.model", "tokenize --tokenizer FILE <"}
	piece := field(1, field(1, "ab")+"\x15\x00\x00\x00\x00")
	for name, write := range map[string]func(w *bufio.Writer, n int64) error{
		"length":  exactly("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
		"varint":  exactly(strings.Repeat("\xff", 1000)),
		"pieces":  around("", piece, ""),
		"no-text": around("", field(1, ""), ""),
		"many-pieces": func(w *bufio.Writer, n int64) error {
			for i := range n / 14 {
				w.WriteString(field(1, field(1, fmt.Sprintf("%05x", i))+"\x15\x00\x00\x00\x00"))
			}
			return nil
		},
		"long-piece": func(w *bufio.Writer, n int64) error {
			_, err := w.WriteString(field(1, field(1, strings.Repeat("a", int(n/16)))))
			return err
		},
		"charsmap":   exactly(piece + field(3, field(2, "\xff\xff\xff\x7f"+strings.Repeat("\xff", 1024)))),
		"groups":     around("", "\x0b", ""),
		"vocab-size": exactly(piece + field(2, "\x20\xff\xff\xff\xff\x07")),
	} {
		all["sentencepiece-"+name] = hostile{file: "t.model", write: write, commands: commands}
	}
	all["llama2c-pieces"] = hostile{file: "t.bin", commands: commands, write: func(w *bufio.Writer, n int64) error {
		w.WriteString(bytesOf(uint32(8)))
		for i := range n / 14 {
			w.WriteString(bytesOf(float32(0), uint32(6)) + fmt.Sprintf("%06x", i))
		}
		return nil
	}}
	for name, write := range map[string]func(w *bufio.Writer, n int64) error{
		"tokenizer_config.json":   counted(`{"bos_token": "<s>", "added_tokens_decoder": {"0": {"content": "<unk>"}`, `, "%[1]d": {"content": "a%[1]d"}`, "}}"),
		"special_tokens_map.json": around(`{"additional_special_tokens": ["a"`, `,"a"`, "]}"),
		"added_tokens.json":       counted(`{"a": 1`, `, "a%[1]d": %[1]d`, "}"),
		"chat_template.jinja":     around("", "{% if x %}", ""),
	} {
		all["beside-"+name] = hostile{file: "base/" + name, write: write, commands: []string{"tokenize --tokenizer DIR <", "chat --model DIR <"}}
		all["beside-small-"+name] = hostile{file: "base/" + name, write: func(w *bufio.Writer, n int64) error { return write(w, n/5) }, commands: all["beside-"+name].commands}
	}
	begin := `{"version": "1.0", "model": {"type": "BPE", "unk_token": "<unk>", "byte_fallback": true, "vocab": {"<unk>": 0, "<s>": 1, "</s>": 2, "a": 3, "b": 4`
	for name, write := range map[string]func(w *bufio.Writer, n int64) error{
		"deep":   around(`{"model": `, "[", ""),
		"vocab":  counted(begin, `, "a%[1]d": %[1]d`, `}, "merges": []}}`),
		"ids":    exactly(begin + `, "c": 9223372036854775807, "d": -1, "e": 1e300}, "merges": []}}`),
		"id-far": exactly(begin + `, "c": 2147483647}, "merges": []}}`),
		"many-merges": func(w *bufio.Writer, n int64) error {
			w.WriteString(begin)
			for i := range n / 40 {
				fmt.Fprintf(w, `, "a%05x": %d`, i, i+5)
			}
			w.WriteString(`}, "merges": ["a b"`)
			for i := range n / 40 {
				fmt.Fprintf(w, `, "a a%05x"`, i)
			}
			_, err := w.WriteString("]}}")
			return err
		},
		"merges":       around(begin+`}, "merges": ["a b"`, `, "a b"`, "]}}"),
		"merge-long":   around(begin+`}, "merges": ["`, "a", ` b"]}}`),
		"added":        around(begin+`}, "merges": []}, "added_tokens": [{"id": 3, "content": "a"}`, `,{"id": 3, "content": "a"}`, "]}"),
		"added-long":   around(begin+`}, "merges": []}, "added_tokens": [{"id": 5, "content": "`, "a", `"}]}`),
		"regex":        exactly(begin + `}, "merges": []}, "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated"}}`),
		"regex-repeat": exactly(begin + `}, "merges": []}, "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "((a{1,1000}){1,1000}){1,1000}"}, "behavior": "Isolated"}}`),
		"replace":      exactly(begin + `}, "merges": []}, "normalizer": {"type": "Replace", "pattern": {"String": ""}, "content": "aaaaaaaa"}}`),
		"sequence":     around(begin+`}, "merges": []}, "normalizer": `, `{"type": "Sequence", "normalizers": [`, ""),
		"prepends":     around(begin+`}, "merges": []}, "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}`, `, {"type": "Prepend", "prepend": "aaaa"}`, "]}}"),
	} {
		all["tokenizer-json-"+name] = hostile{file: "tokenizer.json", write: write, commands: commands}
	}
	return all
}
