package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tame-rlhf/tame/internal/printable"
	"github.com/tame-rlhf/tame/pkg/data"
)

func dataValidateCommand() *cobra.Command {
	most := 20
	cmd := &cobra.Command{
		Use:   "validate FILE.arrow ...",
		Short: "Check every row of datasets, and what they say of themselves",
		Long: "Checks that the file is whole, that its form is one of tame's, and every row: what no stage reads (roles that do not alternate, a rating that\n" +
			"is none, ...), and what stages refuse or cannot learn from: tags of the chat format in a text, two equal answers, an id of two prompts,\n" +
			"log-probabilities that are none. The exit status is 1 if anything is wrong.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var errs []error
			for _, path := range args {
				if err := validateFile(cmd, path, most); err != nil {
					if cmd.Context().Err() != nil {
						return err
					}
					errs = append(errs, err)
				}
			}
			return errors.Join(errs...)
		},
	}
	cmd.Flags().IntVar(&most, "most", most, "how many bad rows of a file are shown; all are counted")
	return cmd
}

func validateFile(cmd *cobra.Command, path string, most int) error {
	d, err := openDataset(path)
	if err != nil {
		return err
	}
	defer d.close()
	w := cmd.OutOrStdout()
	ctx, check, bad := cmd.Context(), rowCheck(), 0
	rows, err := d.check(func(row record) error { return cmp.Or(ctx.Err(), check(row)) }, func(row int, err error) bool {
		if ctx.Err() != nil {
			return false
		}
		if bad++; bad <= most {
			fmt.Fprintf(w, "%s: row %d: %s\n", path, row, printable.Text(strings.TrimPrefix(err.Error(), "data: ")))
		}
		return true
	})
	if err = cmp.Or(ctx.Err(), err); err != nil {
		return err
	}
	if bad > most {
		fmt.Fprintf(w, "%s: and %d more\n", path, bad-most)
	}
	printOrigin(w, d, rows)
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
	prompts := map[string]string{} // the content of each prompt's id
	return func(row record) error {
		switch row := row.(type) {
		case data.Text:
			if strings.TrimSpace(row.Text) == "" {
				return errors.New("the text is blank")
			}
		case data.Prompt:
			content := data.DialogID(row.Messages)
			if other, seen := prompts[row.ID]; seen && other != content {
				return fmt.Errorf("the id %q is that of another prompt too", row.ID)
			}
			prompts[row.ID] = content
			return data.CheckMessages(row.Messages)
		case data.Conversation:
			return data.CheckMessages(row.Messages)
		case data.Preference:
			if row.Chosen == row.Rejected {
				return errors.New("the two answers are equal")
			}
			chosen, rejected := row.Dialogs()
			return errors.Join(data.CheckMessages(chosen), data.CheckMessages(rejected))
		case data.Sample:
			return checkSample(row)
		}
		return nil
	}
}

func checkSample(s data.Sample) error {
	for _, ids := range [][]int32{s.Prompt, s.Tokens} {
		for i, id := range ids {
			if id < 0 {
				return fmt.Errorf("token %d has the id %d", i, id)
			}
		}
	}
	for i, p := range s.LogProbs {
		if !(p <= 0) || math.IsInf(float64(p), 0) {
			return fmt.Errorf("log-probability %d is %v, want a number up to 0", i, p)
		}
	}
	if !(s.Temperature >= 0) || math.IsInf(s.Temperature, 0) {
		return fmt.Errorf("the temperature is %v", s.Temperature)
	}
	return nil
}
