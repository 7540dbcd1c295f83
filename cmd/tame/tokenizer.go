package main

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tame-rlhf/tame/internal/output"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/importer"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

func tokenizerCommand() *cobra.Command {
	parent := &cobra.Command{Use: "tokenizer", Short: "Train or convert a tokenizer", GroupID: groupTools}
	parent.AddCommand(tokenizerTrainCommand(), tokenizerConvertCommand())
	return parent
}

func tokenizerConvertCommand() *cobra.Command {
	var report reporter
	cmd := &cobra.Command{
		Use:   "convert TOKENIZER OUT",
		Short: "Write a tokenizer in another format",
		Long: "Reads a SentencePiece .model, a tokenizer.json of Hugging Face, vocab.json with merges.txt, a GGUF file or a llama2.c\n" +
			"tokenizer.bin, and writes a .model if OUT ends in .model, else a folder with tokenizer.json and tokenizer_config.json, which\n" +
			"transformers opens. What the other format cannot hold with the same ids is refused.",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			inputs, place := args[:1], output.Folder(args[1])
			if strings.EqualFold(filepath.Ext(args[1]), ".model") {
				place.Folder = false
			}
			places := report.places(place)
			if err := checkOutputs(inputs, places...); err != nil {
				return err
			}
			tok, err := loadTokenizer(cmd, args[0])
			if err != nil {
				return err
			}
			save := tok.SaveHuggingFace
			if !place.Folder {
				save = tok.Save
			}
			if err := report.addTokenizer(cmd.Context(), args[0], tok); err != nil {
				return err
			}
			if !place.Folder && tok.ChatTemplate() != "" {
				report.leaves("the chat template, for which a .model file has no place")
			}
			set, err := output.New(inputs, places...)
			if err != nil {
				return err
			}
			defer set.Close()
			err = set.Write(place.Path, func(staged string) error {
				if err := save(staged); err != nil {
					return err
				}
				return report.wrote(cmd.Context(), place.Path, staged)
			})
			if err == nil {
				err = report.write(set, "tokenizer convert", args[0])
			}
			if err == nil {
				err = set.Commit()
			}
			if err == nil {
				err = report.print(cmd.OutOrStdout())
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d pieces\n%s is written\n", tok.VocabSize(), place.Path)
			return err
		},
	}
	reportFlag(cmd, &report)
	return cmd
}

// trainingText goes through the texts of files, of which it keeps a part at a time.
type trainingText struct {
	paths     []string
	stdin     io.Reader
	separator string

	documents int
	sample    []string // the first texts, to count characters a token
	size      int      // of sample, in bytes
	err       error
}

// sampleSize is how much text characters a token are counted on.
const sampleSize = 16 << 20

// all yields the texts. It stops at the first error, which it leaves in err.
func (t *trainingText) all(yield func(string) bool) {
	for _, path := range t.paths {
		read := t.rows
		if path == importer.Stdin || isPlainText(path) {
			read = t.plain
		}
		before, stopped := t.documents, false
		t.err = read(path, func(text string) bool {
			if t.size < sampleSize {
				t.sample, t.size = append(t.sample, text), t.size+len(text)
			}
			stopped = !yield(text)
			return !stopped
		})
		if t.err == nil && !stopped {
			t.err = data.NotEmpty(path, t.documents-before)
		}
		if t.err != nil || stopped {
			return
		}
	}
}

// rows goes through a dataset of texts.
func (t *trainingText) rows(path string, yield func(string) bool) error {
	if err := checkArrow(path, "text"); err != nil {
		return err
	}
	r, err := data.Open[data.Text](path)
	if err != nil {
		return err
	}
	defer r.Close()
	for row, err := range r.Rows() {
		if err != nil {
			return err
		}
		t.documents++
		if !yield(row.Text) {
			return nil
		}
	}
	return nil
}

// plain goes through a text file without its separators.
func (t *trainingText) plain(path string, yield func(string) bool) error {
	in := t.stdin
	if path != importer.Stdin {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		in = file
	}
	if strings.EqualFold(filepath.Ext(path), ".gz") {
		unpacked, err := gzip.NewReader(in)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		in = unpacked
	}
	inside := false // a document
	for lines, err := range tokenizer.Lines(in) {
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		parts := []string{lines}
		if t.separator != "" {
			parts = strings.Split(lines, t.separator)
		}
		for i, part := range parts {
			inside = inside && i == 0
			if strings.TrimSpace(part) == "" {
				continue
			}
			if !inside {
				t.documents++
			}
			inside = true
			if !yield(part) {
				return nil
			}
		}
	}
	return nil
}
