package main

import (
	"archive/zip"
	"bufio"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
)

// bytesOf is the little-endian form of numbers and texts, one after the other. A text is written as it is.
func bytesOf(values ...any) string {
	var b []byte
	for _, v := range values {
		if text, ok := v.(string); ok {
			b = append(b, text...)
			continue
		}
		b, _ = binary.Append(b, binary.LittleEndian, v)
	}
	return string(b)
}

// readModel are the commands that read a model from a file or its folder.
func readModel(place string) []string {
	return []string{"convert model " + place + " out", "generate --model " + place + " --tokenizer IN:base/tokenizer.model --max-new-tokens 2 <"}
}

// hostileModels are weights and configurations of models.
func hostileModels() map[string]hostile {
	all := map[string]hostile{}
	add := func(name, file, place string, write func(w *bufio.Writer, n int64) error) {
		all[name] = hostile{file: file, write: write, commands: readModel(place)}
	}
	config := `{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2,
"num_key_value_heads": 1, "num_hidden_layers": 1, "head_dim": 8, "vocab_size": 300, "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10000`
	for _, key := range []string{"hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads", "num_hidden_layers", "head_dim", "vocab_size",
		"max_position_embeddings", "rope_theta", "eos_token_id"} {
		for _, value := range []string{"1000000000", "1e18", "9223372036854775807", "-1", "0", "1e400", "[1]", "null", strings.Repeat("1", 1000)} {
			name := fmt.Sprintf("config-%s=%.12s", key, value)
			add(strings.Trim(name, "[]"), "base/config.json", "DIR", exactly(config+`, "`+key+`": `+value+"}"))
		}
	}
	add("config-deep", "base/config.json", "DIR", around(config+`, "x": `, "[", ""))
	add("config-many-keys", "base/config.json", "DIR", counted(config, `, "k%d": 1`, "}"))
	add("config-factors", "base/config.json", "DIR", around(config+`, "rope_scaling": {"rope_type": "longrope", "long_factor": [1`, ", 1", "]}}"))

	tensors := func(header string) func(w *bufio.Writer, n int64) error {
		return exactly(bytesOf(uint64(len(header)), header))
	}
	shape := func(shape, offsets string) string {
		return fmt.Sprintf(`{"model.embed_tokens.weight": {"dtype": "F32", "shape": %s, "data_offsets": %s}}`, shape, offsets)
	}
	for name, write := range map[string]func(w *bufio.Writer, n int64) error{
		"header-length":   exactly(bytesOf(uint64(1<<62), "{}")),
		"header-negative": exactly(bytesOf(int64(-8), "{}")),
		"shape-overflow":  tensors(shape("[4294967296, 4294967296]", "[0, 0]")),
		"shape-huge":      tensors(shape("[9223372036854775807]", "[0, 9223372036854775807]")),
		"shape-many":      tensors(shape("["+strings.Repeat("1,", 100_000)+"1]", "[0, 4]")),
		"offsets-back":    tensors(shape("[1]", "[8, 4]")),
		"offsets-beyond":  tensors(shape("[300, 16]", "[0, 19200]")),
		"numbers":         tensors(shape("[1e18, 1e18]", "[0, 1e300]")),
		"deep":            func(w *bufio.Writer, n int64) error { w.WriteString(bytesOf(uint64(n))); return repeat(w, "[", n) },
		"long-header": func(w *bufio.Writer, n int64) error {
			w.WriteString(bytesOf(uint64(7 * n)))
			return repeat(w, " ", 7*n)
		},
		"many-tensors": func(w *bufio.Writer, n int64) error {
			w.WriteString(bytesOf(uint64(n)))
			return counted("{", `"t%d":{"dtype":"F32","shape":[],"data_offsets":[0,4]},`, "")(w, n)
		},
	} {
		add("safetensors-"+name, "base/model.safetensors", "DIR", write)
	}
	for name, text := range map[string]string{
		"outside":  `{"weight_map": {"model.embed_tokens.weight": "../../../../etc/passwd"}}`,
		"absolute": `{"weight_map": {"model.embed_tokens.weight": "/dev/zero"}}`,
		"itself":   `{"weight_map": {"model.embed_tokens.weight": "model.safetensors.index.json"}}`,
	} {
		add("index-"+name, "base/model.safetensors.index.json", "DIR", exactly(text))
	}
	add("index-many", "base/model.safetensors.index.json", "DIR", counted(`{"weight_map": {"a": "a"`, `, "t%[1]d": "f%[1]d"`, "}}"))
	all["sums-many"] = hostile{file: "base/SHA256SUMS", write: counted("", "0  f%d\n", ""), commands: []string{"verify DIR"}}
	all["generation-long"] = hostile{file: "base/generation_config.json", write: around(`{"eos_token_id": [1`, ",1", "]}"), commands: readModel("DIR")}
	for name, write := range map[string]func(w *bufio.Writer, n int64) error{
		"deep": around(`{"format": 3, "step": 1, "position": `, "[", ""), "many-rands": counted(`{"format": 3, "step": 1, "rand": {"a": ""`, `, "k%d": ""`, "}}"),
		"long": around(`{"format": 3, "step": 1, "position": "`, "a", `"}`), "step": exactly(`{"format": 3, "step": 9223372036854775807, "optim_steps": {"model": -1}}`),
	} {
		all["state-"+name] = hostile{file: "out.checkpoint/trainer/state.json", write: write, commands: []string{
			"sft --resume --set model=IN:base --set data=IN:talks.arrow --set output=out", "verify DIR/.."}}
	}
	all["lineage-deep"] = hostile{file: "base/lineage.json", write: around(`{"stage": "x", "config": `, "[", ""), commands: []string{"lineage DIR"}}
	all["lineage-long"] = hostile{file: "base/lineage.json", write: around(`{"stage": "x", "inputs": [{"name": "x"}`, `,{"name": "\u001b[31mx"}`, "]}"), commands: []string{"lineage DIR"}}

	gguf := func(tensors, values uint64, more ...any) func(w *bufio.Writer, n int64) error {
		return exactly("GGUF" + bytesOf(uint32(3), tensors, values) + bytesOf(more...))
	}
	key := func(name string, kind uint32) string { return bytesOf(uint64(len(name)), name, kind) }
	arrays := strings.Repeat(bytesOf(uint32(9), uint64(1)), 100_000)
	for name, write := range map[string]func(w *bufio.Writer, n int64) error{
		"values":        gguf(0, 1<<60),
		"tensors":       gguf(1<<60, 0),
		"key-length":    gguf(0, 1, uint64(1<<62)),
		"text-length":   gguf(0, 1, key("general.name", 8), uint64(1<<40), "x"),
		"array-length":  gguf(0, 1, key("tokenizer.ggml.tokens", 9), uint32(8), uint64(1<<40)),
		"array-numbers": gguf(0, 1, key("tokenizer.ggml.scores", 9), uint32(6), uint64(1<<60)),
		"array-deep":    gguf(0, 1, key("x", 9), arrays),
		"many-values": func(w *bufio.Writer, n int64) error {
			w.WriteString("GGUF" + bytesOf(uint32(3), uint64(0), uint64(1<<20)))
			return repeat(w, key("a", 4)+bytesOf(uint32(1)), n)
		},
		"empty-texts": func(w *bufio.Writer, n int64) error {
			w.WriteString("GGUF" + bytesOf(uint32(3), uint64(0), uint64(1)) + key("tokenizer.ggml.tokens", 9) + bytesOf(uint32(8), uint64(n/8)))
			return repeat(w, bytesOf(uint64(0)), n)
		},
		"many-tokens": func(w *bufio.Writer, n int64) error { // three lists of one length, as a vocabulary has them
			w.WriteString("GGUF" + bytesOf(uint32(3), uint64(0), uint64(4)) + key("tokenizer.ggml.model", 8) + bytesOf(uint64(5), "llama"))
			w.WriteString(key("tokenizer.ggml.tokens", 9) + bytesOf(uint32(8), uint64(n/24)))
			for i := range n / 24 {
				w.WriteString(bytesOf(uint64(8)) + fmt.Sprintf("%08d", i))
			}
			w.WriteString(key("tokenizer.ggml.scores", 9) + bytesOf(uint32(6), uint64(n/24)))
			if err := repeat(w, "\x00\x00\x00\x00", n/24*4); err != nil {
				return err
			}
			w.WriteString(key("tokenizer.ggml.token_type", 9) + bytesOf(uint32(5), uint64(n/24)))
			return repeat(w, "\x01\x00\x00\x00", n/24*4)
		},
		"many-tensors": func(w *bufio.Writer, n int64) error {
			w.WriteString("GGUF" + bytesOf(uint32(3), uint64(n/44), uint64(0)))
			for i := range n / 44 {
				w.WriteString(bytesOf(uint64(8)) + fmt.Sprintf("%08d", i) + bytesOf(uint32(1), uint64(1), uint32(0), uint64(32*i)))
			}
			return nil
		},
		"long-text": func(w *bufio.Writer, n int64) error {
			w.WriteString("GGUF" + bytesOf(uint32(3), uint64(0), uint64(1)) + key("general.name", 8) + bytesOf(uint64(5*n)))
			return repeat(w, "a", 5*n)
		},
		"dims":    gguf(1, 0, uint64(1), "t", uint32(4), uint64(math.MaxUint64), uint64(math.MaxUint64), uint64(2), uint64(2), uint32(0), uint64(0)),
		"dims-of": gguf(1, 0, uint64(1), "t", uint32(1<<31), uint64(1)),
	} {
		add("gguf-"+name, "m.gguf", "FILE", write)
	}
	for name, header := range map[string][7]int32{
		"dim": {1 << 30, 32, 1, 2, 1, 300, 64}, "layers": {16, 32, math.MaxInt32, 2, 1, 300, 64}, "vocab": {16, 32, 1, 2, 1, math.MinInt32, 64},
		"context": {16, 32, 1, 2, 1, 300, math.MaxInt32}, "heads": {16, 32, 1, math.MaxInt32, math.MaxInt32, 300, 64}, "zero": {}, "negative": {-1, -1, -1, -1, -1, -1, -1},
	} {
		add("llama2c-"+name, "m.bin", "FILE", exactly(bytesOf(header)))
	}
	for name, pickle := range map[string]string{
		"executes":   "\x80\x02cos\nsystem\nX\x0e\x00\x00\x00touch executed\x85R.",
		"long":       "\x80\x02\x8d" + bytesOf(uint64(1<<62)),
		"number":     "\x80\x02\x8b" + bytesOf(int32(math.MaxInt32)),
		"deep":       "\x80\x02" + strings.Repeat("]", 1_000_000) + strings.Repeat("a", 999_999) + ".",
		"tuples":     "\x80\x02)" + strings.Repeat("\x85", 1_000_000) + ".",
		"pushes":     "\x80\x02" + strings.Repeat("}", 500_000) + ".",
		"pushes-too": "\x80\x02" + strings.Repeat("}", 16<<20) + ".",
		"memo-many":  "\x80\x02}" + memos(80_000) + ".",
		"items":      "\x80\x02}(" + strings.Repeat("NN", 250_000) + "u.",
		"marks":      "\x80\x02" + strings.Repeat("(", 4_000_000),
		"memo":       "\x80\x02]r" + bytesOf(uint32(math.MaxUint32)) + "j" + bytesOf(uint32(math.MaxUint32)) + ".",
		"frame":      "\x80\x04\x95" + bytesOf(uint64(1<<62)) + ".",
		"doubling":   "\x80\x02]q\x00" + strings.Repeat("(h\x00h\x00lq\x00", 100) + ".",
		"empty":      "",
		"descending": "\x80\x02]q\x00h\x00a.",
	} {
		add("pth-"+name, "meta/consolidated.00.pth", "DIR", archive(map[string]string{"archive/data.pkl": pickle, "archive/data/0": "x"}, 0))
	}
	add("pth-directory", "meta/consolidated.00.pth", "DIR", func(w *bufio.Writer, n int64) error {
		z := zip.NewWriter(w)
		for i := range n / 100 { // an entry takes 30 bytes and its name, and 46 and its name in the directory
			if _, err := z.CreateRaw(&zip.FileHeader{Name: fmt.Sprintf("%010d", i)}); err != nil {
				return err
			}
		}
		return z.Close()
	})
	add("pth-zip-bomb", "meta/consolidated.00.pth", "DIR", archive(map[string]string{"archive/data.pkl": ""}, 256<<20))
	for name, h := range all { // Meta's form has no config.json
		if strings.HasPrefix(name, "pth-") {
			h.file = "meta/" + strings.TrimPrefix(h.file, "base/")
			all[name] = h
		}
	}
	return all
}

// memos stores the top of a pickle's stack under that many numbers.
func memos(n uint32) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("r" + bytesOf(i))
	}
	return b.String()
}

// archive is a zip file; zeros are appended to its first member.
func archive(members map[string]string, zeros int64) func(w *bufio.Writer, n int64) error {
	return func(w *bufio.Writer, _ int64) error {
		z := zip.NewWriter(w)
		for name, text := range members {
			method := zip.Store
			if zeros > 0 {
				method = zip.Deflate
			}
			f, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: method})
			if err != nil {
				return err
			}
			if _, err := f.Write([]byte(text)); err != nil {
				return err
			}
			if err := repeat(f, "\x00", zeros); err != nil {
				return err
			}
		}
		return z.Close()
	}
}
