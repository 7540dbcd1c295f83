package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
)

func convertModelCommand() *cobra.Command {
	var tokenizerPath string
	cmd := &cobra.Command{
		Use:   "model IN OUT",
		Short: "Write a model as a folder in Hugging Face layout",
		Long: "Reads a folder in Hugging Face layout (safetensors in float32, float16 or bfloat16) or a llama2.c .bin file, and writes a folder with\n" +
			"config.json, model.safetensors in float32, and tokenizer.model if there is a tokenizer.",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			in, out := args[0], args[1]
			if err := checkNew(out); err != nil {
				return err
			}
			p, tok, err := loadBoth(in, tokenizerPath)
			if err != nil {
				return err
			}
			lineage := data.Lineage{Stage: "convert model"}
			for _, path := range []string{in, tokenizerPath} {
				if path == "" {
					continue
				}
				if err := lineage.Add(path); err != nil {
					return err
				}
			}
			err = model.Save(out, p, func(dir string) error {
				if tok != nil {
					if err := tok.Save(filepath.Join(dir, tokenizerFile)); err != nil {
						return err
					}
				}
				return data.WriteLineage(dir, lineage)
			})
			if err != nil {
				return err
			}
			with := "without a tokenizer"
			if tok != nil {
				with = fmt.Sprintf("with a tokenizer of %d pieces", tok.VocabSize())
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d weights, %s\n%s is written\n", p.NumParams(), with, out)
			return err
		},
	}
	cmd.Flags().StringVar(&tokenizerPath, "tokenizer", "", "SentencePiece .model, or llama2.c tokenizer.bin (default: tokenizer.model of the model's folder)")
	return cmd
}
