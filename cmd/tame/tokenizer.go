package main

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

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

func tokenizerTrainCommand() *cobra.Command {
	cfg := tokenizer.DefaultTrainConfig()
	separator := importer.DefaultSeparator
	train := &cobra.Command{
		Use:   "train --vocab-size N TEXT... OUT.model",
		Short: "Train a SentencePiece BPE tokenizer on text",
		Long: "Trains a tokenizer on datasets of texts (Arrow, Parquet), plain text files (.txt, .txt.gz) or standard input (-) and\n" +
			"writes a SentencePiece .model file. The text may be larger than memory. The same text gives the same tokenizer.",
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			inputs, out := args[:len(args)-1], args[len(args)-1]
			if err := errors.Join(output.Check(inputs, output.File(out)), cfg.Validate()); err != nil {
				return err
			}
			texts := trainingText{paths: inputs, stdin: stdin(cmd), separator: separator}
			var tok *tokenizer.Tokenizer
			err := phased(cmd, "training a tokenizer", func() (err error) {
				tok, err = tokenizer.Train(cmd.Context(), texts.all, cfg)
				return err
			})
			if texts.err != nil {
				return texts.err
			}
			if err != nil {
				return err
			}
			if err := makeOutput(inputs, output.File(out), tok.Save); err != nil {
				return err
			}
			characters, ids := 0, 0
			for _, text := range texts.sample {
				characters += utf8.RuneCountInString(text)
				ids += len(tok.Encode(text))
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d pieces from %d documents, %.2f characters a token\n%s is written\n",
				tok.VocabSize(), texts.documents, float64(characters)/float64(ids), out)
			return err
		},
	}
	flags := train.Flags()
	flags.IntVar(&cfg.VocabSize, "vocab-size", cfg.VocabSize, "number of pieces")
	flags.Float64Var(&cfg.CharacterCoverage, "character-coverage", cfg.CharacterCoverage, "share of the characters that get a piece of their own; the rest become bytes")
	flags.IntVar(&cfg.MaxPieceLength, "max-piece-length", cfg.MaxPieceLength, "longest piece, in characters")
	flags.BoolVar(&cfg.SplitDigits, "split-digits", cfg.SplitDigits, "every digit is its own piece")
	flags.BoolVar(&cfg.ByteFallback, "byte-fallback", cfg.ByteFallback, "have the 256 bytes, so that every text can be encoded")
	flags.BoolVar(&cfg.NFKC, "nfkc", cfg.NFKC, "normalise text: full-width letters, ligatures, decomposed accents become what they stand for")
	flags.BoolVar(&cfg.RemoveExtraSpaces, "remove-extra-spaces", cfg.RemoveExtraSpaces, "drop leading, trailing and repeated spaces")
	flags.IntVar(&cfg.MaxWords, "max-words", cfg.MaxWords, "most different words kept while counting; of more, the rarest are forgotten")
	flags.StringSliceVar(&cfg.UserDefined, "user-defined", cfg.UserDefined, "texts that are always one piece")
	flags.StringVar(&separator, "separator", separator, "between the documents of a text file")
	return train
}

func tokenizerConvertCommand() *cobra.Command {
	var report reporter
	cmd := &cobra.Command{
		Use:   "convert TOKENIZER OUT",
		Short: "Write a tokenizer in another format",
		Long: "Reads a SentencePiece .model, a tokenizer.json of Hugging Face, a GGUF file or a llama2.c tokenizer.bin, and writes a .model\n" +
			"if OUT ends in .model, else a folder with tokenizer.json and tokenizer_config.json, which transformers opens. What the other\n" +
			"format cannot hold with the same ids is refused.",
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
			tok, err := tokenizer.Load(args[0])
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
