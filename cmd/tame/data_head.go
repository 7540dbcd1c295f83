package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tame-rlhf/tame/internal/printable"
	"github.com/tame-rlhf/tame/pkg/data"
)

func dataHeadCommand() *cobra.Command {
	var n, from int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "head FILE.arrow",
		Short: "Show the first rows of a dataset",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if n < 0 || from < 0 {
				return fmt.Errorf("--rows is %d and --from is %d, want numbers from 0 on", n, from)
			}
			d, err := openDataset(cmd, args[0])
			if err != nil {
				return err
			}
			defer d.close()
			w := bufio.NewWriter(cmd.OutOrStdout())
			show := printRow
			if asJSON {
				show = func(w io.Writer, _ int, row record) error { return writeRowJSON(w, row) }
			}
			i := 0
			for row, err := range stoppable(cmd.Context(), d.rows) {
				if err != nil {
					w.Flush()
					return err
				}
				if i-from >= n {
					break
				}
				if i >= from {
					if err := show(w, i, row); err != nil {
						return err
					}
				}
				i++
			}
			return w.Flush()
		},
	}
	cmd.Flags().IntVarP(&n, "rows", "n", 5, "how many rows")
	cmd.Flags().IntVar(&from, "from", 0, "the first row that is shown")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line, with the columns as keys")
	return cmd
}

// printRow shows a row to people: what is said first, what is known of it behind.
func printRow(w io.Writer, i int, row record) error {
	fmt.Fprintf(w, "── row %d ──\n", i)
	switch row := row.(type) {
	case data.Text:
		printText(w, row.Text)
	case data.Prompt:
		printMessages(w, row.Messages)
		fmt.Fprintf(w, "  id %s, safety %v\n", printable.Text(row.ID), row.Safety)
	case data.Conversation:
		printMessages(w, row.Messages)
		fmt.Fprintf(w, "  source %s", printable.Text(row.Source))
		if len(row.Weights) > 0 {
			fmt.Fprintf(w, ", weights %v", row.Weights)
		}
		fmt.Fprintln(w)
	case data.Preference:
		printMessages(w, row.Messages)
		fmt.Fprintf(w, "chosen (%v): %s\nrejected (%v): %s\n", row.ChosenSafe, printable.Text(row.Chosen), row.RejectedSafe, printable.Text(row.Rejected))
		fmt.Fprintf(w, "  %v, %v\n", row.Rating, row.Set)
	case data.Sample:
		printMessages(w, row.Messages)
		fmt.Fprintf(w, "answer: %s\n  prompt %s, %d and %d tokens, finished %v, version %d, temperature %v", printable.Text(row.Text),
			printable.Text(row.PromptID), len(row.Prompt), len(row.Tokens), row.Finished, row.Version, row.Temperature)
		for _, score := range []struct {
			name  string
			value *float64
		}{{"helpfulness", row.Helpfulness}, {"safety", row.Safety}, {"combined", row.Combined}} {
			if score.value != nil {
				fmt.Fprintf(w, ", %s %.4g", score.name, *score.value)
			}
		}
		fmt.Fprintln(w)
	}
	_, err := fmt.Fprintln(w)
	return err
}

func printMessages(w io.Writer, messages []data.Message) {
	for _, m := range messages {
		fmt.Fprintf(w, "%v: ", m.Role)
		printText(w, m.Content)
	}
}

// printText writes a text that may be very long, without a copy.
func printText(w io.Writer, text string) {
	_, _ = io.WriteString(w, printable.Text(text)) // as of the other prints, Flush has the error
	fmt.Fprintln(w)
}

// writeRowJSON writes a row as an object with the names of its columns, in their order.
func writeRowJSON(w io.Writer, row record) error {
	var b bytes.Buffer
	if err := appendJSON(&b, reflect.ValueOf(row)); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err := w.Write(printable.JSON(b.Bytes()))
	return err
}

func appendJSON(b *bytes.Buffer, v reflect.Value) error {
	if kind := v.Kind(); kind == reflect.Struct {
		b.WriteByte('{')
		for i := range v.NumField() {
			name, option, _ := strings.Cut(v.Type().Field(i).Tag.Get("arrow"), ",")
			if option == "omitempty" && v.Field(i).Len() == 0 {
				continue
			}
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(b, "%q:", name)
			if err := appendJSON(b, v.Field(i)); err != nil {
				return err
			}
		}
		b.WriteByte('}')
		return nil
	} else if kind == reflect.Slice {
		b.WriteByte('[')
		for i := range v.Len() {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := appendJSON(b, v.Index(i)); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	} else if kind == reflect.Pointer && !v.IsNil() {
		return appendJSON(b, v.Elem())
	} else if v.CanFloat() && (math.IsNaN(v.Float()) || math.IsInf(v.Float(), 0)) {
		fmt.Fprintf(b, `"%v"`, v.Float()) // JSON has no such numbers
		return nil
	}
	encoder := json.NewEncoder(b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v.Interface()); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // the encoder's line break
	return nil
}
