package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tame-rlhf/tame/internal/console"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

func tokenizerCommand() *cobra.Command {
	parent := &cobra.Command{Use: "tokenizer", Short: "Train a tokenizer", GroupID: groupTools}
	cfg := tokenizer.DefaultTrainConfig()
	separator := defaultSeparator
	train := &cobra.Command{
		Use:   "train --vocab-size N TEXT... OUT.model",
		Short: "Train a SentencePiece BPE tokenizer on text",
		Long: "Trains a tokenizer on Arrow datasets of texts or plain text files (.txt, .txt.gz) and writes a SentencePiece .model file. The same\n" +
			"text gives the same tokenizer.",
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			inputs, out := args[:len(args)-1], args[len(args)-1]
			if err := errors.Join(checkNew(out), cfg.Validate()); err != nil {
				return err
			}
			j := &job{console: console.New(cmd.ErrOrStderr())}
			texts, err := readTexts(j, inputs, separator)
			j.console.Close()
			if err != nil {
				return err
			}
			tok, err := tokenizer.Train(cmd.Context(), documentTexts(texts), cfg)
			if err != nil {
				return err
			}
			if err := tok.Save(out); err != nil {
				return err
			}
			characters, ids := 0, 0
			for _, text := range texts {
				characters += len([]rune(string(text)))
				ids += len(tok.Encode(string(text)))
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d pieces from %d documents, %.2f characters a token\n%s is written\n",
				tok.VocabSize(), len(texts), float64(characters)/float64(ids), out)
			return err
		},
	}
	flags := train.Flags()
	flags.IntVar(&cfg.VocabSize, "vocab-size", cfg.VocabSize, "number of pieces")
	flags.Float64Var(&cfg.CharacterCoverage, "character-coverage", cfg.CharacterCoverage, "share of the characters that get a piece of their own; the rest become bytes")
	flags.IntVar(&cfg.MaxPieceLength, "max-piece-length", cfg.MaxPieceLength, "longest piece, in characters")
	flags.BoolVar(&cfg.SplitDigits, "split-digits", cfg.SplitDigits, "every digit is its own piece")
	flags.BoolVar(&cfg.ByteFallback, "byte-fallback", cfg.ByteFallback, "have the 256 bytes, so that every text can be encoded")
	flags.StringSliceVar(&cfg.UserDefined, "user-defined", cfg.UserDefined, "texts that are always one piece")
	flags.StringVar(&separator, "separator", separator, "between the documents of a text file")
	parent.AddCommand(train)
	return parent
}
