package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/importer"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/setting"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// modelConfig is the model that a stage starts from.
type modelConfig struct {
	// Model is the model to start from: a folder in Hugging Face layout or Meta's, a GGUF file, or a llama2.c .bin file.
	Model string `conf:"required,input"`
	// Tokenizer is a SentencePiece .model, a tokenizer.json, a GGUF file or a llama2.c tokenizer.bin. Default: the one in the model's folder or GGUF file.
	Tokenizer string `conf:"input"`
	// Template is the chat format. llama2 is Llama 2's, whatever chat template the tokenizer's files have. Default: that template, and
	// Llama 2's where there is none.
	Template string
}

// load reads both.
func (c modelConfig) load() (*model.Params, *tokenizer.Tokenizer, *data.Template, error) {
	p, tok, tmpl, err := loadChat(c.Model, c.Tokenizer, c.Template)
	if errors.Is(err, errNoTokenizer) {
		err = noTokenizerIn(c.Model)
	}
	return p, tok, tmpl, err
}

func noTokenizerIn(model string) error {
	return fmt.Errorf("%s has no tokenizer in it: name one by tokenizer: FILE", model)
}

// readers are the forms of a dataset that a stage can use: each gives the rows if the file has that form.
type readers[T any] []func(path string) ([]T, error)

// as reads rows of one form and converts them.
func as[R data.Row, T any](convert func(R) T) func(path string) ([]T, error) {
	return encoded(func(row R) (T, error) { return convert(row), nil })
}

// encoded is as for rows that cannot all be converted.
func encoded[R data.Row, T any](convert func(R) (T, error)) func(path string) ([]T, error) {
	return partly(func(row R) (t T, err error) {
		if err := data.Check(row); err != nil {
			return t, err
		}
		return convert(row)
	})
}

// partly is encoded for stages that use a part of the row, which convert checks.
func partly[R data.Row, T any](convert func(R) (T, error)) func(path string) ([]T, error) {
	return func(path string) ([]T, error) {
		rows, _, err := data.Read[R](path)
		if err != nil {
			return nil, err
		}
		converted := make([]T, len(rows))
		bad := badRows{path: path}
		for i, row := range rows {
			var err error
			if converted[i], err = convert(row); err != nil {
				bad.add(i, err)
			}
		}
		return converted, bad.err()
	}
}

// badRows collects the rows of a file that a stage cannot use, so that all are named at once.
type badRows struct {
	path  string
	named []error // the first of them
	count int
}

func (b *badRows) add(row int, err error) {
	const most = 10
	if b.count++; b.count <= most {
		b.named = append(b.named, fmt.Errorf("%s: row %d: %w", b.path, row, err))
	}
}

// err is nil without bad rows, else a *rowError.
func (b *badRows) err() error {
	if b.count == 0 {
		return nil
	}
	errs := b.named
	if more := b.count - len(errs); more > 0 {
		errs = append(errs, fmt.Errorf("%s: and %d more", b.path, more))
	}
	return &rowError{errors.Join(errs...), b.path}
}

// rowError says that a file has the right form and rows that cannot be used.
type rowError struct {
	error
	path string
}

func (e *rowError) Unwrap() error { return e.error }

func (e *rowError) Error() string {
	return e.error.Error() + "\nto leave such rows out: " + shellQuote([]string{"tame", "convert", "data", e.path, strings.TrimSuffix(e.path, filepath.Ext(e.path)) + "-checked.arrow"})
}

// readAll reads datasets one after the other. hint is that of checkArrow.
func readAll[T any](paths []string, hint string, forms readers[T]) ([]T, error) {
	var all []T
	for _, path := range paths {
		if err := checkArrow(path, hint); err != nil {
			return nil, err
		}
		rows, err := forms.read(path)
		if err != nil {
			return nil, err
		}
		if err := data.NotEmpty(path, len(rows)); err != nil {
			return nil, err
		}
		all = append(all, rows...)
	}
	return all, nil
}

// read takes the first form that fits.
func (forms readers[T]) read(path string) ([]T, error) {
	var errs []error
	for _, form := range forms {
		rows, err := form(path)
		var bad *rowError
		if err == nil || errors.As(err, &bad) {
			return rows, err
		}
		if n := len(errs); n == 0 || errs[n-1].Error() != err.Error() { // a damaged file has no form at all
			errs = append(errs, err)
		}
	}
	return nil, errors.Join(errs...)
}

// checkArrow refuses, with the way out, the files that people have in place of Arrow datasets. hint is a dialect of the rows that are wanted,
// "" for any.
func checkArrow(path, hint string) error {
	name := strings.ToLower(path)
	for _, suffix := range []string{".json", ".jsonl", ".gz", ".zst", ".csv", ".tsv", ".txt"} {
		if strings.HasSuffix(name, suffix) {
			return fmt.Errorf("%s is no Arrow dataset: %w", path, howToConvert(path, hint))
		}
	}
	return nil
}

// howToConvert says which command makes a dataset of a file, or why none does.
func howToConvert(path, hint string) error {
	base := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(path), ".gz"), ".zst")
	base = strings.TrimSuffix(base, filepath.Ext(base))
	im, err := importer.Open([]string{path}, nil, importer.DefaultConfig())
	if err != nil {
		return err
	}
	rows := []string{im.Schema().Name} // that are wanted
	switch hint {
	case "text":
		rows = []string{"text"}
	case "messages":
		rows = []string{"conversation"}
	case "prompts":
		rows = []string{"prompt", "conversation", "preference"}
	case "messages or prompts":
		rows = []string{"conversation", "prompt"}
	case "preference":
		rows = []string{"preference"}
	case "samples":
		rows = []string{"sample"}
	}
	if slices.Contains(rows, im.Schema().Name) {
		out := base + ".arrow"
		for n := 2; ; n++ {
			if there, err := exists(out); err != nil || !there { // one that exists is not written over
				break
			}
			out = fmt.Sprintf("%s-%d.arrow", base, n)
		}
		return fmt.Errorf("convert it first: %s", shellQuote([]string{"tame", "convert", "data", path, out}))
	}
	return fmt.Errorf("`tame convert data` makes %s rows of it (its dialect is %s), and %s rows are wanted here",
		im.Schema().Name, im.Files()[0].Dialect, strings.Join(rows, " or "))
}

// checkHeldOut wants a share that leaves something to train on.
func checkHeldOut(check *setting.Checks, share float64) {
	check.That(share >= 0 && share < 1, "HeldOut", share, "a share in [0, 1)")
}
