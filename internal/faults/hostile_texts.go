package main

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// repeat writes a text again and again until n bytes are written.
func repeat(w io.Writer, text string, n int64) error {
	block := strings.Repeat(text, max(1, 4096/len(text)))
	for ; n > 0; n -= int64(len(block)) {
		if _, err := io.WriteString(w, block); err != nil {
			return err
		}
	}
	return nil
}

// around is a file of a repeated text between two others.
func around(before, text, after string) func(w *bufio.Writer, n int64) error {
	return func(w *bufio.Writer, n int64) error {
		w.WriteString(before)
		if err := repeat(w, text, n); err != nil {
			return err
		}
		_, err := w.WriteString(after)
		return err
	}
}

// counted is a file of pieces that are made of their number.
func counted(before, format, after string) func(w *bufio.Writer, n int64) error {
	return func(w *bufio.Writer, n int64) error {
		written, _ := w.WriteString(before)
		for i := 0; int64(written) < n; i++ {
			more, err := fmt.Fprintf(w, format, i)
			if err != nil {
				return err
			}
			written += more
		}
		_, err := w.WriteString(after)
		return err
	}
}

// exactly is a small file.
func exactly(text string) func(w *bufio.Writer, n int64) error {
	return func(w *bufio.Writer, _ int64) error {
		_, err := w.WriteString(text)
		return err
	}
}

// zipped packs a file of so many times the size.
func zipped(times int64, write func(w *bufio.Writer, n int64) error) func(w *bufio.Writer, n int64) error {
	return func(w *bufio.Writer, n int64) error {
		z := gzip.NewWriter(w)
		inner := bufio.NewWriter(z)
		if err := write(inner, times*n); err != nil {
			return err
		}
		if err := inner.Flush(); err != nil {
			return err
		}
		return z.Close()
	}
}

// zstandard does the same with Zstandard.
func zstandard(times int64, write func(w *bufio.Writer, n int64) error) func(w *bufio.Writer, n int64) error {
	return func(w *bufio.Writer, n int64) error {
		z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
		if err != nil {
			return err
		}
		inner := bufio.NewWriter(z)
		if err := write(inner, times*n); err != nil {
			return err
		}
		if err := inner.Flush(); err != nil {
			return err
		}
		return z.Close()
	}
}

// hostileTexts are files for `tame convert data`.
func hostileTexts() map[string]hostile {
	convert := []string{"convert data FILE out.arrow"}
	packed := map[string]int64{"one-line.jsonl.gz": 64, "spaces.json.gz": 64, "rows.jsonl.gz": 4, "open-quote.csv.gz": 64, "unbroken.txt.gz": 64, "one-line.jsonl.zst": 64, "zeros.jsonl.gz": 64}
	all := map[string]hostile{}
	for name, write := range map[string]func(w *bufio.Writer, n int64) error{
		"deep.json":             around("", "[", ""),
		"deep-closed.json":      around(`[{"text": `+strings.Repeat("[", 100_000), " ", strings.Repeat("]", 100_000)+"}]"),
		"deep-objects.json":     around("", `{"a":`, ""),
		"deep-row.jsonl":        around(`{"messages": `, "[", "\n"),
		"one-line.jsonl":        around(`{"text": "`, "a", "\"}\n"),
		"one-line-open.jsonl":   around(`{"text": "`, "a", ""),
		"escapes.jsonl":         around(`{"text": "`, `\u0000\ud800`, "\"}\n"),
		"open-array.json":       around("[", `{"text": "x"},`, ""),
		"many-keys.jsonl":       counted(`{"text": "x"`, `, "k%d": 0`, "}\n"),
		"same-key.jsonl":        around(`{"text": "x"`, `, "text": "y"`, "}\n"),
		"long-number.jsonl":     around(`{"text": "x", "n": `, "1", "}\n"),
		"huge-exponent.jsonl":   exactly(`{"prompt": "a", "response": "b", "score": 1e999999999}` + "\n"),
		"many-messages.jsonl":   around(`{"messages": [{"role": "user", "content": "x"}`, `,{"role":"user","content":"x"}`, "]}\n"),
		"bad-rows.jsonl":        counted(`{"text": "x"}`+"\n", `{"texts": %d}`+"\n", ""),
		"columns.csv":           counted("text", ",c%d", "\nx\n"),
		"open-quote.csv":        around("text\n\"", "a,b\n", ""),
		"wide-rows.csv":         around("text\n", ",", "\n"),
		"columns.tsv":           counted("text", "\tc%d", "\nx\n"),
		"zeros.txt":             around("", "\x00", ""),
		"unbroken.txt":          around("", "ACGT", ""),
		"no-utf8.txt":           around("", "\xff\xfe", ""),
		"zeros.jsonl.gz":        zipped(64, around("", "\x00", "")),
		"one-line.jsonl.gz":     zipped(64, around(`{"text": "`, "a", "\"}\n")),
		"spaces.json.gz":        zipped(64, around("[", " ", "]")),
		"rows.jsonl.gz":         zipped(4, around("", `{"text": "a"}`+"\n", "")),
		"open-quote.csv.gz":     zipped(64, around("text\n\"", "a", "")),
		"unbroken.txt.gz":       zipped(64, around("", "A", "")),
		"one-line.jsonl.zst":    zstandard(64, around(`{"text": "`, "a", "\"}\n")),
		"window.jsonl.zst":      exactly("\x28\xb5\x2f\xfd\x00\xa8" + "\x03\x00\x00\x61"), // a window of 2 GiB, a run of one byte
		"members.jsonl.gz":      around("", "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00", ""),
		"empty-frames.json.zst": around("", "\x28\xb5\x2f\xfd\x20\x00\x01\x00\x00", ""),
	} {
		all[name] = hostile{file: name, write: write, unpacked: packed[name], commands: convert}
	}
	for _, name := range []string{"unbroken.txt", "unbroken.txt.gz", "zeros.txt"} {
		h := all[name]
		h.commands = append(h.commands[:1:1], "tokenizer train --vocab-size 300 FILE out.model",
			"pretrain --set model=IN:base --set data=FILE --set steps=1 --set warmup_steps=0 --set batch_tokens=64 --set output=out")
		all[name] = h
	}
	return all
}

// hostileLines are lines on standard input.
func hostileLines() map[string]hostile {
	all := map[string]hostile{}
	commands := []string{"tokenize --tokenizer IN:base/tokenizer.model <", "generate --model IN:base <", "score --model IN:safety <", "logprobs --model IN:base <", "chat --model IN:chat <"}
	for name, write := range map[string]func(w *bufio.Writer, n int64) error{
		"line-long":     around(`{"text": "`, "ACGT", "\"}\n"),
		"line-prompt":   around(`{"prompt": "`, "x ", "\"}\n"),
		"line-deep":     around(`{"text": `, "[", "\n"),
		"line-tokens":   around(`{"tokens": [1`, ",1", "]}\n"),
		"line-messages": around(`{"messages": [{"role": "user", "content": "x"}`, `,{"role":"user","content":"x"}`, "]}\n"),
		"line-zeros":    around("", "\x00", "\n"),
		"line-short":    func(w *bufio.Writer, _ int64) error { return around(`{"text": "`, "ACGT", "\"}\n")(w, 2_000_000) },
		"line-some":     func(w *bufio.Writer, _ int64) error { return around(`{"tokens": [1`, ",1", "]}\n")(w, 2_000_000) },
		"line-null":     exactly("null\n{\"ids\": null}\n{\"tokens\": null}\n{\"messages\": null}\n{}\n[]\n\"\"\n1\n"),
	} {
		all[name] = hostile{file: name, write: write, commands: commands}
	}
	one := exactly(`{"prompt": "the cat"}` + "\n")
	all["generate-n"] = hostile{file: "in", write: one, commands: []string{"generate --model IN:base --n 1000000000 --temperature 1 --max-new-tokens 4 <"}}
	all["generate-length"] = hostile{file: "in", write: one, commands: []string{"generate --model IN:base --max-new-tokens 9000000000000000000 <"}}
	all["generate-cold"] = hostile{file: "in", write: one, commands: []string{
		"generate --model IN:base --temperature 1e-38 --top-p 0.9 <", "generate --model IN:base --temperature 1e-320 <", "generate --model IN:base --temperature 1e300 --top-k 3 <",
		"generate --model IN:base --temperature NaN <", "generate --model IN:base --temperature 1 --top-p 1e-300 <", "generate --model IN:base --temperature 1 --top-k 2000000000 <",
	}}
	return all
}

// hostileSettings are configurations.
func hostileSettings() map[string]hostile {
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 10; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	all := map[string]hostile{}
	small := func(write func(w *bufio.Writer, n int64) error) func(w *bufio.Writer, n int64) error { // within the limit for settings
		return func(w *bufio.Writer, _ int64) error { return write(w, 500_000) }
	}
	for name, write := range map[string]func(w *bufio.Writer, n int64) error{
		"small-keys.yaml":    small(counted("", "k%d: 1\n", "")),
		"small-aliases.yaml": small(around("data: [&a x", ", *a", "]\n")),
		"small-list.yaml":    small(around("data: [x", ",x", "]\n")),
		"small-blocks.yaml":  small(around("data:\n ", "- ", "x\n")),
		"small-maps.yaml":    small(around("", "{a: ", "")),
		"bomb.yaml":          exactly(bomb + "model: *a9\ndata: *a9\n"),
		"merge-bomb.yaml":    exactly(strings.ReplaceAll(bomb, "x", "{k: v}") + "optim:\n  <<: *a9\n"),
		"self.yaml":          exactly("data: &a [*a]\n"),
		"deep.yaml":          around("data: ", "[", ""),
		"deep-blocks.yaml":   around("data:\n ", "- ", "x\n"),
		"deep-maps.yaml":     around("optim: ", "{a: ", ""),
		"many-keys.yaml":     counted("", "k%d: 1\n", ""),
		"many-aliases.yaml":  around("data: [&a x", ", *a", "]\n"),
		"long-scalar.yaml":   around("model: ", "a", "\n"),
		"long-list.yaml":     around("data: [x", ", x", "]\n"),
		"many-docs.yaml":     around("model: x\n", "---\n", ""),
		"zeros.yaml":         around("", "\x00", ""),
		"numbers.yaml":       exactly("epochs: 9223372036854775807\nbatch_size: 1e300\nseed: 99999999999999999999\nmicro_tokens: 9223372036854775807\noptim: {learning_rate: .inf}\n"),
		"huge-sizes.yaml":    exactly("model: M\ndata: D\noutput: out\nepochs: 1\nbatch_size: 4611686018427387904\nmicro_tokens: 4611686018427387904\nmicro_segments: 4611686018427387904\n"),
		"deep-comments.yaml": around("", "# x\n", ""),
	} {
		all[name] = hostile{file: name, write: write, commands: []string{
			"sft --config FILE --set model=IN:base --set data=IN:talks.arrow --set output=out", "data representation IN:talks.arrow --words FILE",
		}}
	}
	return all
}
