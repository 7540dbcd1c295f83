package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// result is something finished that is damaged: every command that reads it sees it, or is not touched by it.
type result struct {
	input    string     // its name among the inputs; that of a folder if it ends in /
	make     []string   // makes it first, if it is none of the inputs; OUT is its path
	commands [][]string // OUT is its path
	guarded  bool       // it has checksums: damage that changes what commands say is a failure
}

// results are the kinds of finished files. Those without checksums of their own cannot tell a flipped weight; they must not crash.
var results = map[string]result{
	"model-folder": {"chat/", nil, [][]string{{"verify", "OUT"},
		{"sft", "--set", "model=OUT", "--set", "data=IN:talks.arrow", "--set", "epochs=1", "--set", "output=tuned"}}, true},
	"arrow":         {"talks.arrow", nil, readRows, true},
	"arrow-zstd":    {"", []string{"convert", "data", "IN:talks.jsonl", "OUT", "--compression", "zstd"}, readRows, true},
	"arrow-lz4":     {"", []string{"convert", "data", "IN:talks.jsonl", "OUT", "--compression", "lz4"}, readRows, false},
	"parquet":       {"", []string{"convert", "data", "IN:talks.jsonl", "OUT"}, readRows, true},
	"gguf":          {"", []string{"convert", "model", "IN:chat", "OUT"}, readWeights, false},
	"gguf-q8_0":     {"", []string{"convert", "model", "IN:chat", "OUT", "--dtype", "q8_0"}, readWeights, false},
	"llama2c":       {"", []string{"convert", "model", "IN:chat", "OUT"}, readWeights, false},
	"meta":          {"", []string{"convert", "model", "IN:chat", "OUT", "--to", "meta"}, readWeights, false},
	"tokenizer":     {"chat/tokenizer.model", nil, readTokens, false},
	"tokenizer-hf":  {"", []string{"tokenizer", "convert", "IN:chat", "OUT"}, readTokens, false},
	"model-without": {"bare/", nil, readWeights, false},
}

var (
	readRows = [][]string{{"data", "head", "OUT", "--json", "-n", "1000000"}, {"data", "validate", "OUT"}, {"data", "stats", "OUT"},
		{"convert", "data", "OUT", "again.arrow"}, {"lineage", "OUT"}}
	readWeights = [][]string{{"convert", "model", "OUT", "again", "--tokenizer", "IN:chat/tokenizer.model"},
		{"evaluate", "--model", "OUT", "--tokenizer", "IN:chat/tokenizer.model", "--data", "IN:talks.arrow"}}
	readTokens = [][]string{{"tokenizer", "convert", "OUT", "again"}, {"tokenizer", "convert", "OUT", "again.model"}, {"tokenize", "--tokenizer", "OUT"}}
)

// endings are the names that say what a file is.
var endings = map[string]string{"arrow": ".arrow", "arrow-zstd": ".arrow", "arrow-lz4": ".arrow", "parquet": ".parquet", "gguf": ".gguf", "gguf-q8_0": ".gguf",
	"llama2c": ".bin", "tokenizer": ".model"}

func flipResult(ctx context.Context, t *try) error  { return t.damageResult(ctx, flip) }
func cutResult(ctx context.Context, t *try) error   { return t.damageResult(ctx, cut) }
func writeNumber(ctx context.Context, t *try) error { return t.damageResult(ctx, number) }

// damageResult damages a copy of a result and runs the commands that read it.
func (t *try) damageResult(ctx context.Context, damage func(t *try, path string) (string, error)) error {
	r := results[t.subject]
	out := filepath.Join(t.dir, "r"+endings[t.subject])
	said, err := t.makeResult(ctx, r, out)
	if err != nil {
		return err
	}
	files, err := filesOf(out)
	if err != nil {
		return err
	}
	path := files[t.number%len(files)]
	what, err := damage(t, path)
	if err != nil {
		return err
	}
	name := filepath.Base(path)
	refused := 0
	for i, args := range r.commands {
		e, err := t.start(ctx, command{dir: t.dir, args: t.place(args, out), stdin: strings.NewReader(`{"text": "the cat"}` + "\n")})
		if err != nil {
			return err
		}
		t.peak = max(t.peak, e.peak)
		if e.status != 0 {
			refused++
		}
		switch err := e.bounded(0); {
		case err != nil:
			return failf("%s of %s: tame %s: %v", what, name, strings.Join(e.args, " "), err)
		case r.guarded && e.status == 0 && args[0] != "lineage" && e.stdout != said[i]:
			return failf("%s of %s is not seen: tame %s says something else than before: %s", what, name, strings.Join(e.args, " "), e.summary())
		case e.status != 0 && exists(filepath.Join(t.dir, "again")):
			return failf("tame %s fails and leaves a result", strings.Join(e.args, " "))
		}
		if err := t.clear(); err != nil {
			return err
		}
	}
	t.how = "read"
	if refused > 0 {
		t.how = "refused"
	}
	return nil
}

// makeResult makes a result, and gives what the commands say of it.
func (t *try) makeResult(ctx context.Context, r result, out string) (said []string, err error) {
	switch from := t.in(strings.TrimSuffix(r.input, "/")); {
	case r.make != nil:
		var e ended
		if e, err = t.start(ctx, command{dir: t.dir, args: t.place(r.make, out)}); err == nil && e.status != 0 {
			err = errors.New(e.summary())
		}
	case strings.HasSuffix(r.input, "/"):
		err = os.CopyFS(out, os.DirFS(from))
	default:
		var raw []byte
		if raw, err = os.ReadFile(from); err == nil {
			err = os.WriteFile(out, raw, 0o644)
		}
	}
	for i := 0; err == nil && r.guarded && i < len(r.commands); i++ {
		var e ended
		if e, err = t.start(ctx, command{dir: t.dir, args: t.place(r.commands[i], out)}); err == nil && e.status != 0 {
			return nil, failf("before any damage, tame %s fails: %s", strings.Join(e.args, " "), e.summary())
		}
		said = append(said, e.stdout)
		if err == nil {
			err = t.clear()
		}
	}
	return said, err
}

// clear removes what the commands make.
func (t *try) clear() error {
	var errs []error
	for _, name := range []string{"again", "again.arrow", "again.model", "again.tokenizer.model", "tuned", "tuned.checkpoint"} {
		errs = append(errs, os.RemoveAll(filepath.Join(t.dir, name)))
	}
	return errors.Join(errs...)
}

// place puts paths in the place of OUT and IN:.
func (t *try) place(args []string, out string) []string {
	args = slices.Clone(args)
	for i, a := range args {
		args[i] = strings.ReplaceAll(strings.ReplaceAll(a, "OUT", out), "IN:", t.inputs+"/")
	}
	return args
}

// filesOf are all files of a folder, or the one file.
func filesOf(path string) (files []string, err error) {
	all, err := readTree(path)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if all[name] != "folder" {
			files = append(files, filepath.Join(path, name))
		}
	}
	return files, nil
}

// numbers are written over a place of a file: lengths, counts and offsets that no file has.
var numbers = []string{
	bytesOf(uint32(0xffffffff)), bytesOf(uint32(0x7fffffff)), bytesOf(uint32(0x10000000)), bytesOf(uint64(1 << 62)), bytesOf(int64(-1)), bytesOf(uint64(1 << 32)),
	bytesOf(uint64(0)), "\xff\xff\xff\xff\x0f", "\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", "999999999", "1e999",
}

// number writes a huge number over a random place, twice as often within the first and last kilobyte, where formats have theirs.
func number(t *try, path string) (what string, err error) {
	raw, err := os.ReadFile(path)
	if err != nil || len(raw) == 0 {
		return "nothing", err
	}
	at, n := t.rng.IntN(len(raw)), numbers[t.rng.IntN(len(numbers))]
	switch near := min(len(raw), 1024); t.rng.IntN(3) {
	case 0:
		at = t.rng.IntN(near)
	case 1:
		at = len(raw) - 1 - t.rng.IntN(near)
	}
	if t.rng.IntN(2) == 0 {
		at &^= 3
	}
	copy(raw[at:], n)
	return fmt.Sprintf("the bytes %x written over byte %d", n, at), os.WriteFile(path, raw, 0o644)
}
