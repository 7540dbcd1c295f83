package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tame-rlhf/tame/internal/console"
	"github.com/tame-rlhf/tame/internal/printable"
	"github.com/tame-rlhf/tame/pkg/data"
)

func dataValidateCommand() *cobra.Command {
	most := 20
	var path, tokenizerPath string
	cmd := &cobra.Command{
		Use:   "validate FILE.arrow ...",
		Short: "Check every row of datasets, and what they say of themselves",
		Long: "Checks that the file is whole, that its form is one of tame's, and every row: what no stage reads (roles that do not alternate, a rating that\n" +
			"is none, ...), and what stages refuse or cannot learn from: tags of the chat format in a text, two equal answers, an id of two prompts,\n" +
			"log-probabilities that are none. With --model also rows that do not fit that model: longer than its context, ids that it does not have.\n" +
			"The exit status is 1 if anything is wrong.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			fits := func(record) error { return nil }
			if path != "" {
				err := phased(cmd, "loading "+path, func() error {
					p, tok, tmpl, err := loadChat(path, tokenizerPath, "")
					if err == nil {
						fits = fitCheck(p, tok, tmpl)
					}
					return err
				})
				if err != nil {
					return err
				}
			} else if tokenizerPath != "" {
				return errors.New("--tokenizer is that of --model: give it too")
			}
			var errs []error
			for _, path := range args {
				if err := validateFile(cmd, path, most, fits); err != nil {
					if cmd.Context().Err() != nil {
						return err
					}
					errs = append(errs, err)
				}
			}
			return errors.Join(errs...)
		},
	}
	cmd.Flags().StringVar(&path, "model", "", "check that rows fit this model: "+modelFiles)
	cmd.Flags().StringVar(&tokenizerPath, "tokenizer", "", tokenizerFiles+" (default: the one in the model)")
	cmd.Flags().IntVar(&most, "most", most, "how many bad rows of a file are shown; all are counted")
	return cmd
}

func validateFile(cmd *cobra.Command, path string, most int, fits func(record) error) error {
	d, err := openDataset(cmd, path)
	if err != nil {
		return err
	}
	defer d.close()
	w := cmd.OutOrStdout()
	ctx, check, bad := cmd.Context(), rowCheck(), 0
	special := map[string]int{}
	show := console.New(cmd.ErrOrStderr())
	defer show.Close()
	show.Phase("checking %s", path)
	rows, err := d.check(func(row record) error {
		for _, token := range data.SpecialTokens(row) {
			special[token]++
		}
		return cmp.Or(ctx.Err(), check(row), fits(row))
	}, func(row int, err error) bool {
		if ctx.Err() != nil {
			return false
		}
		if bad++; bad <= most {
			show.Close() // which clears the line that is written next
			fmt.Fprintf(w, "%s: row %d: %s\n", path, row, printable.Text(strings.TrimPrefix(err.Error(), "data: ")))
		}
		return true
	})
	if err = cmp.Or(ctx.Err(), err); err != nil {
		return err
	}
	show.Close()
	if bad > most {
		fmt.Fprintf(w, "%s: and %d more\n", path, bad-most)
	}
	printOrigin(w, d, rows)
	if note := unusedNote(d); note != "" && !sampled(d) {
		fmt.Fprintln(w, printable.Text(note))
	}
	printSpecialTokens(w, special)
	if bad > 0 {
		return fmt.Errorf("%s: %d of %d rows are bad", path, bad, rows)
	}
	return nil
}

func printOrigin(w io.Writer, d *dataset, rows int) {
	origin := "does not say where it comes from"
	if stage := d.lineage.Stage; stage != "" {
		origin = fmt.Sprintf("made by %s of %d inputs", printable.Text(stage), len(d.lineage.Inputs))
	}
	fmt.Fprintf(w, "%s: %d rows of %v, %s\n", d.path, rows, d.form, origin)
}

// rowCheck looks for what rows that can be read have wrong.
func rowCheck() func(record) error {
	var ids data.PromptIDs
	return func(row record) error {
		if p, ok := row.(data.Prompt); ok {
			if err := ids.Check(p); err != nil {
				return err
			}
		}
		return data.Check(row)
	}
}
