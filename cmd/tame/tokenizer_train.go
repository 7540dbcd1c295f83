package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/tame-rlhf/tame/internal/output"
	"github.com/tame-rlhf/tame/pkg/importer"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// The kinds of tokenizers that can be trained.
const (
	kindSentencePiece = "sentencepiece"
	kindByteLevel     = "bytelevel"
)

// kindFlags are the flags that one kind alone has.
var kindFlags = map[string][]string{
	kindSentencePiece: {"character-coverage", "max-piece-length", "split-digits", "byte-fallback", "nfkc", "remove-extra-spaces"},
	kindByteLevel:     {"pattern"},
}

// tokenizerTraining is the settings of both kinds.
type tokenizerTraining struct {
	kind  string
	piece tokenizer.TrainConfig
	bytes tokenizer.ByteLevelConfig // VocabSize, MaxWords and UserDefined are those of piece
}

func tokenizerTrainCommand() *cobra.Command {
	t := tokenizerTraining{kind: kindSentencePiece, piece: tokenizer.DefaultTrainConfig(), bytes: tokenizer.DefaultByteLevelConfig()}
	separator := importer.DefaultSeparator
	train := &cobra.Command{
		Use:   "train --vocab-size N TEXT... OUT",
		Short: "Train a SentencePiece or byte-level BPE tokenizer on text",
		Long: "Trains a tokenizer on datasets of texts (Arrow, Parquet), plain text files (.txt, .txt.gz) or standard input (-).\n" +
			"OUT is a SentencePiece .model file, or with --kind bytelevel a folder with tokenizer.json and tokenizer_config.json, which\n" +
			"transformers opens. The text may be larger than memory. The same text gives the same tokenizer.",
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			inputs, out := args[:len(args)-1], args[len(args)-1]
			place, err := t.place(cmd, out)
			if err != nil {
				return err
			}
			if err := errors.Join(output.Check(inputs, place), t.validate()); err != nil {
				return err
			}
			texts := trainingText{paths: inputs, stdin: stdin(cmd), separator: separator}
			var tok *tokenizer.Tokenizer
			err = phased(cmd, "training a tokenizer", func() (err error) {
				tok, err = t.train(cmd.Context(), texts.all)
				return err
			})
			if texts.err != nil {
				return texts.err
			}
			if err != nil {
				return err
			}
			save := tok.Save
			if place.Folder {
				save = tok.SaveHuggingFace
			}
			if err := makeOutput(inputs, place, save); err != nil {
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
	flags, cfg := train.Flags(), &t.piece
	flags.StringVar(&t.kind, "kind", t.kind, "sentencepiece (Llama 2's) or bytelevel (byte-level BPE, as GPT-2, Llama 3 and Qwen have it)")
	flags.IntVar(&cfg.VocabSize, "vocab-size", cfg.VocabSize, "number of pieces")
	flags.StringVar(&t.bytes.Pattern, "pattern", t.bytes.Pattern, "of kind bytelevel, how text is cut before it is merged: "+strings.Join(tokenizer.BytePatterns(), ", "))
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

// place is what the kind of tokenizer is written as. A flag that belongs to another kind is refused, because it would do nothing.
func (t *tokenizerTraining) place(cmd *cobra.Command, out string) (output.Place, error) {
	if kindFlags[t.kind] == nil {
		return output.Place{}, fmt.Errorf("--kind is %q, want %s or %s", t.kind, kindSentencePiece, kindByteLevel)
	}
	for kind, names := range kindFlags {
		if i := slices.IndexFunc(names, cmd.Flags().Changed); kind != t.kind && i >= 0 {
			return output.Place{}, fmt.Errorf("--%s is a setting of --kind %s, and the kind is %s", names[i], kind, t.kind)
		}
	}
	if t.kind == kindSentencePiece {
		return output.File(out), nil
	}
	if ext := filepath.Ext(out); strings.EqualFold(ext, ".model") || strings.EqualFold(ext, ".json") {
		return output.Place{}, fmt.Errorf("%s: a tokenizer of --kind %s is a folder, not a %s file", out, kindByteLevel, ext)
	}
	t.bytes.VocabSize, t.bytes.MaxWords, t.bytes.UserDefined = t.piece.VocabSize, t.piece.MaxWords, t.piece.UserDefined
	return output.Folder(out), nil
}

func (t *tokenizerTraining) validate() error {
	if t.kind == kindByteLevel {
		return t.bytes.Validate()
	}
	return t.piece.Validate()
}

func (t *tokenizerTraining) train(ctx context.Context, texts iter.Seq[string]) (*tokenizer.Tokenizer, error) {
	if t.kind == kindByteLevel {
		return tokenizer.TrainByteLevel(ctx, texts, t.bytes)
	}
	return tokenizer.Train(ctx, texts, t.piece)
}
