package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tame-rlhf/tame/internal/yamlconf"
	"github.com/tame-rlhf/tame/pkg/data"
)

func convertCommand() *cobra.Command {
	parent := &cobra.Command{Use: "convert", Short: "Convert models and datasets", GroupID: groupTools}
	parent.AddCommand(convertModelCommand(), convertDataCommand())
	return parent
}

// checkNew refuses to write over something.
func checkNew(path string) error {
	there, err := exists(path)
	if err == nil && there {
		return fmt.Errorf("%s is there already: delete it, or give another name", path)
	}
	return err
}

// importConfig is what an import depends on.
type importConfig struct {
	As        string
	Rating    data.Rating
	Set       data.Set
	Separator string
}

// importer imports the files of one form and writes a dataset.
type importer func(paths []string, out string, c importConfig, l data.Lineage) (data.ImportReport, error)

// importers are the forms by the name of --as.
var importers = map[string]importer{
	"hh": func(paths []string, out string, c importConfig, l data.Lineage) (data.ImportReport, error) {
		return importAll(paths, out, l, func(path string) ([]data.Preference, data.ImportReport, error) {
			return data.ImportHH(path, data.PreferenceConfig{Rating: c.Rating, Set: c.Set})
		})
	},
	"preference": func(paths []string, out string, c importConfig, l data.Lineage) (data.ImportReport, error) {
		return importAll(paths, out, l, func(path string) ([]data.Preference, data.ImportReport, error) {
			return data.ImportPreferences(path, data.PreferenceConfig{Rating: c.Rating, Set: c.Set})
		})
	},
	"text": func(paths []string, out string, c importConfig, l data.Lineage) (data.ImportReport, error) {
		return importAll(paths, out, l, func(path string) ([]data.Text, data.ImportReport, error) {
			separator := c.Separator
			if separator == "" && isPlainText(path) {
				separator = defaultSeparator
			}
			return data.ImportText(path, separator)
		})
	},
	"alpaca":   importPlain(data.ImportAlpaca),
	"sharegpt": importPlain(data.ImportShareGPT),
	"messages": importPlain(data.ImportMessages),
	"prompts":  importPlain(data.ImportPrompts),
}

func importPlain[T data.Row](read func(path string) ([]T, data.ImportReport, error)) importer {
	return func(paths []string, out string, _ importConfig, l data.Lineage) (data.ImportReport, error) {
		return importAll(paths, out, l, read)
	}
}

// importAll reads all files and writes one dataset, if there is anything to write.
func importAll[T data.Row](paths []string, out string, l data.Lineage, read func(path string) ([]T, data.ImportReport, error)) (data.ImportReport, error) {
	var all []T
	var total data.ImportReport
	for _, path := range paths {
		rows, report, err := read(path)
		if err != nil {
			return total, err
		}
		all = append(all, rows...)
		total.Rows, total.Refused = total.Rows+report.Rows, append(total.Refused, report.Refused...)
	}
	if len(all) == 0 {
		return total, nil
	}
	return total, data.Write(out, all, l)
}

func convertDataCommand() *cobra.Command {
	c := importConfig{Rating: data.DefaultPreferenceConfig().Rating}
	names := slices.Sorted(maps.Keys(importers))
	cmd := &cobra.Command{
		Use:   "data IN... OUT.arrow --as " + strings.Join(names, "|"),
		Short: "Turn other people's files into an Arrow dataset",
		Long: `Reads JSON lines or JSON arrays, plain or gzip, and writes an Arrow dataset. A row that is no good is left out and reported.

  hh          {"chosen": "\n\nHuman: ...\n\nAssistant: ...", "rejected": "..."}      -> preferences
  preference  {"prompt": ..., "chosen": ..., "rejected": ...}, texts or messages     -> preferences
  alpaca      {"instruction": "...", "input": "...", "output": "..."}                -> conversations
  sharegpt    {"conversations": [{"from": "human", "value": "..."}, ...]}            -> conversations
  messages    {"messages": [{"role": "user", "content": "..."}, ...]}                -> conversations
  prompts     {"prompt": ...}, {"messages": [...]} or {"turns": [...]}               -> prompts
  text        {"text": "..."}, or plain text: .txt files, and all with --separator   -> texts`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			inputs, out := args[:len(args)-1], args[len(args)-1]
			convert, ok := importers[c.As]
			if !ok {
				return fmt.Errorf("--as is %q, want one of %s", c.As, strings.Join(names, ", "))
			}
			if err := errors.Join(checkNew(out), checkInputs(inputs)); err != nil {
				return err
			}
			lineage := data.Lineage{Stage: "import " + c.As, Config: yamlconf.JSON(&c)}
			for _, path := range inputs {
				if err := lineage.Add(path); err != nil {
					return err
				}
			}
			report, err := convert(inputs, out, c, lineage)
			if err != nil {
				return err
			}
			printImport(cmd.OutOrStdout(), report)
			if report.Rows == 0 {
				return fmt.Errorf("no row could be used, so %s is not written: is it of the form %q?", out, c.As)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is written\n", out)
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&c.As, "as", "", "form of the input: "+strings.Join(names, ", "))
	flags.TextVar(&c.Rating, "rating", c.Rating, `strength of a choice that has none: "significantly better", "better", "slightly better", "negligibly better / unsure"`)
	flags.TextVar(&c.Set, "kind", c.Set, "what the annotators judged, where rows do not say it: helpfulness or safety")
	flags.StringVar(&c.Separator, "separator", "", "between the documents of a plain text (default of .txt files: "+defaultSeparator+")")
	_ = cmd.MarkFlagRequired("as") // the flag was defined above
	return cmd
}

// printImport shows the counts and the first reasons.
func printImport(w io.Writer, report data.ImportReport) {
	const most = 10
	fmt.Fprintf(w, "%d rows taken, %d refused\n", report.Rows, len(report.Refused))
	for _, refused := range report.Refused[:min(most, len(report.Refused))] {
		fmt.Fprintf(w, "  %v\n", refused)
	}
	if rest := len(report.Refused) - most; rest > 0 {
		fmt.Fprintf(w, "  and %d more\n", rest)
	}
}
