package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// words are what the tiny models talk about.
var words = []string{"the cat", "the dog", "a mat", "a log", "the cat sat", "a dog sat", "the mat", "the log", "on a mat", "on a log"}

// makeInputs writes texts and trains the tiny models that the subjects read, all with tame itself.
func (s *suite) makeInputs(ctx context.Context) error {
	if err := os.Mkdir(s.inputs, 0o755); err != nil {
		return err
	}
	for name, file := range map[string]struct {
		rows int
		row  func(i int) any
	}{
		"talks.jsonl": {40, talk}, "many.jsonl": {5000, talk}, "more.jsonl": {4800, func(i int) any { return talk(i + 5) }},
		"safe.jsonl": {40, pair},
	} {
		if err := writeLines(s.in(name), file.rows, file.row); err != nil {
			return err
		}
	}
	for name, n := range map[string]int{"text.txt": 24, "words.txt": 8000, "more.txt": 7600} {
		if err := writeTexts(s.in(name), n); err != nil {
			return err
		}
	}
	for _, name := range []string{"talks", "many", "more", "safe"} {
		if err := s.must(ctx, "convert", "data", name+".jsonl", name+".arrow"); err != nil {
			return err
		}
	}
	quick := []string{"micro_tokens=256", "micro_segments=16", "optim.learning_rate=1e-2", "checkpoint_every=1000"}
	base := func(dim, layers int, name string) []string {
		return sets("pretrain", slices.Concat(quick, s.shape(dim, layers), []string{"data=text.txt", "vocab_size=300", "batch_tokens=128", "steps=2",
			"warmup_steps=1", "held_out=0", "output=" + name})...)
	}
	reward := func(kind string) []string {
		return sets("reward", slices.Concat(quick, []string{"model=chat", "data=safe.arrow", "kind=" + kind, "batch_size=8", "output=" + kind})...)
	}
	for _, args := range [][]string{
		base(16, 1, "base"), base(128, 4, "large"), base(128, 5, "larger"),
		sets("sft", slices.Concat(quick, []string{"model=base", "data=talks.arrow", "epochs=12", "batch_size=4", "held_out=0", "output=chat"})...),
		reward("helpfulness"), reward("safety"), {"convert", "model", "base", "meta", "--to", "meta"},
	} {
		if err := s.must(ctx, args...); err != nil {
			return err
		}
	}
	return s.makeBare()
}

// makeBare copies a model without what vouches for its weights, as other programs write it.
func (s *suite) makeBare() error {
	if err := os.Mkdir(s.in("bare"), 0o755); err != nil {
		return err
	}
	for _, name := range []string{"config.json", "model.safetensors", "tokenizer.model"} {
		raw, err := os.ReadFile(filepath.Join(s.in("chat"), name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(s.in("bare"), name), raw, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// shape are the settings of a small model.
func (s *suite) shape(dim, layers int) []string {
	return []string{
		fmt.Sprintf("shape.dim=%d", dim), fmt.Sprintf("shape.num_layers=%d", layers), "shape.num_heads=2", "shape.num_kv_heads=1",
		fmt.Sprintf("shape.head_dim=%d", dim/2), fmt.Sprintf("shape.hidden_dim=%d", 2*dim), "shape.max_seq_len=64",
	}
}

// must runs a command of tame among the inputs.
func (s *suite) must(ctx context.Context, args ...string) error {
	e, err := s.start(ctx, command{dir: s.inputs, args: args})
	if err == nil && e.status != 0 {
		err = fmt.Errorf("tame %s: %s", args, e.summary())
	}
	return err
}

func talk(i int) any {
	type message struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	return map[string]any{"messages": []message{
		{"user", fmt.Sprint(words[i%10], " ", i/10)}, {"assistant", words[(3*i+1)%10]},
		{"user", fmt.Sprint(words[(7*i)%10], " ", i%7)}, {"assistant", words[(i+2)%10]},
	}}
}

func pair(i int) any {
	return map[string]any{
		"prompt": fmt.Sprint(words[i%10], " ", i%11), "response_0": "the cat", "response_1": "the dog", "better_response_id": 0, "safer_response_id": 0,
		"is_response_0_safe": true, "is_response_1_safe": false,
	}
}

func writeLines(path string, n int, row func(i int) any) error {
	return writeFile(path, func(w *bufio.Writer) error {
		encoder := json.NewEncoder(w)
		for i := range n {
			if err := encoder.Encode(row(i)); err != nil {
				return err
			}
		}
		return nil
	})
}

func writeTexts(path string, n int) error {
	return writeFile(path, func(w *bufio.Writer) error {
		for i := range n {
			fmt.Fprintf(w, "%s sat on %s near the log%x<|endoftext|>", words[i%10], words[(i+3)%10], i*i)
		}
		return nil
	})
}

// writeFile writes a file of any size with little memory: what the suite takes is counted among that of the processes it starts.
func writeFile(path string, write func(w *bufio.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	if err := write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}
