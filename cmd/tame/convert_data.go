package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tame-rlhf/tame/internal/console"
	"github.com/tame-rlhf/tame/internal/each"
	"github.com/tame-rlhf/tame/internal/output"
	"github.com/tame-rlhf/tame/internal/yamlconf"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/importer"
)

// importConfig is what an import depends on.
type importConfig struct {
	As         string
	Rating     data.Rating
	Set        data.Set
	Thresholds []float64
	Ties       string
	Score      string
	Separator  string
	Strict     bool
}

const (
	tiesDrop = "drop"
	tiesKeep = "keep"
)

// config is what the importer is told.
func (c importConfig) config() (importer.Config, error) {
	cfg := importer.Config{
		As: c.As, Separator: c.Separator, Score: c.Score, Strict: c.Strict,
		Preference: importer.PreferenceConfig{Rating: c.Rating, Set: c.Set, KeepTies: c.Ties == tiesKeep},
	}
	if c.Ties != tiesKeep && c.Ties != tiesDrop {
		return cfg, fmt.Errorf("--ties is %q, want %s or %s", c.Ties, tiesDrop, tiesKeep)
	}
	if n := len(c.Thresholds); n == 3 {
		cfg.Preference.Thresholds = (*importer.Thresholds)(c.Thresholds)
	} else if n > 0 {
		return cfg, fmt.Errorf("--thresholds has %d numbers, want 3: from which difference on an answer is slightly better, better, significantly better", n)
	}
	return cfg, cfg.Validate()
}

// dataConversion is one call of the command.
type dataConversion struct {
	importConfig
	compression data.Compression
	refused     string // file for the refused rows
	report      string // file for the counts
}

func convertDataCommand() *cobra.Command {
	c := dataConversion{importConfig: importConfig{Rating: importer.DefaultPreferenceConfig().Rating, Ties: tiesDrop}}
	cmd := &cobra.Command{
		Use:   "data IN... OUT.arrow|OUT.parquet",
		Short: "Turn other people's files into a dataset",
		Long: `Reads files row by row, whatever their size, and writes an Arrow or Parquet dataset. IN is a file, a pattern such as 'part-*.jsonl.gz',
or - for standard input: JSON lines, a JSON array, CSV or TSV (by the name), plain text, Arrow or Parquet; plain, gzip or Zstandard.
A row that is no good is left out and reported. The dialect is recognised by the first rows, or named with --as:

` + dialectTable(),
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.run(cmd, args[:len(args)-1], args[len(args)-1])
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&c.As, "as", "", "dialect of the input (default: recognised)")
	flags.TextVar(&c.Rating, "rating", c.Rating, `strength of a choice that has none: "significantly better", "better", "slightly better", "negligibly better / unsure"`)
	flags.TextVar(&c.Set, "kind", c.Set, "what the annotators judged, where rows do not say it: helpfulness or safety")
	flags.Float64SliceVar(&c.Thresholds, "thresholds", nil, "difference from which on an answer is slightly better, better, significantly better")
	flags.Lookup("thresholds").DefValue = "0.3,1,2 for grades and margins, 0.2,0.5,0.8 for votes and probabilities"
	flags.StringVar(&c.Ties, "ties", c.Ties, "drop: leave ties out; keep: the first answer counts as chosen, negligibly better / unsure")
	flags.StringVar(&c.Score, "score", "", "key of the grade that decides between answers (default: score, overall_score, helpfulness, ...)")
	flags.StringVar(&c.Separator, "separator", "", "between the documents of a plain text (default of .txt files: "+importer.DefaultSeparator+")")
	flags.BoolVar(&c.Strict, "strict", false, "a row that is no good, or has a key that is not used, is an error, and nothing is written")
	flags.StringVar(&c.refused, "refused", "", "write every refused row's file, line and reason there, as JSON lines")
	flags.StringVar(&c.report, "report", "", "write the counts there, as JSON: rows, reasons, keys that were not used, special tokens")
	flags.TextVar(&c.compression, "compression", data.DefaultCompression, "none, lz4 or zstd")
	flags.Lookup("compression").DefValue = "none for Arrow, zstd for Parquet"
	return cmd
}

// dialectTable lists the dialects by what they give.
func dialectTable() string {
	dialects := importer.Dialects()
	slices.SortStableFunc(dialects, func(a, b importer.Dialect) int { return cmp.Compare(a.Rows.Name, b.Rows.Name) })
	var b strings.Builder
	rows := ""
	for _, d := range dialects {
		if d.Rows.Name != rows {
			rows = d.Rows.Name
			fmt.Fprintf(&b, "%s rows:\n", rows)
		}
		fmt.Fprintf(&b, "  %-20s  %s\n", d.Name, d.Form)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (c dataConversion) run(cmd *cobra.Command, inputs []string, out string) (err error) {
	cfg, err := c.config()
	if err != nil {
		return err
	}
	places := []output.Place{output.File(out)}
	for _, file := range []string{c.refused, c.report} {
		if file != "" {
			places = append(places, output.File(file))
		}
	}
	if err := errors.Join(output.Check(inputs, places...), checkDataset(out)); err != nil {
		return err
	}
	var im *importer.Import
	err = phased(cmd, "looking at the first rows", func() (err error) {
		im, err = importer.Open(inputs, stdin(cmd), cfg)
		return err
	})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(cmd.OutOrStdout(), "dialect:", dialectsOf(im.Files())); err != nil {
		return err
	}
	var lineage data.Lineage
	err = phased(cmd, "hashing the inputs", func() (err error) {
		lineage, err = c.lineage(im)
		return err
	})
	if err != nil {
		return err
	}
	set, err := output.New(inputs, places...)
	if err != nil {
		return err
	}
	defer set.Close()
	err = c.keepRefused(cmd.Context(), im, set, func(ctx context.Context) error {
		return set.Write(out, func(path string) error { return convertWithProgress(ctx, cmd, im, path, lineage, c.compression) })
	})
	var refused importer.RowError
	none, strict := errors.Is(err, importer.ErrNoRows), c.Strict && errors.As(err, &refused) && im.Report().NumRefused() > 0
	switch {
	case none:
		err = fmt.Errorf("no row could be used, so %s is not written: are its rows of the dialect %q? `tame convert data --help` lists them, and --as NAME chooses one", out, im.Files()[0].Dialect)
	case strict:
		err = fmt.Errorf("%d rows are refused, so %s is not written; the first: %w", im.Report().NumRefused(), out, refused)
	}
	if none || strict {
		set.Drop(out)
	}
	if err == nil || none || strict {
		if kept := errors.Join(c.writeReport(set, im, out, err), set.Commit()); kept != nil {
			return errors.Join(err, kept)
		}
		printImport(cmd.OutOrStdout(), im.Report())
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is written\n", out)
	return err
}

// checkDataset wants a name that says how to write it.
func checkDataset(out string) error {
	if data.IsParquet(out) || strings.HasSuffix(strings.ToLower(out), ".arrow") {
		return nil
	}
	return fmt.Errorf("%s: the last name is that of the dataset to write: want OUT.arrow or OUT.parquet", out)
}

// dialectsOf says what the files are in: once, if they are all the same.
func dialectsOf(files []importer.FileDialect) string {
	name := func(f importer.FileDialect) string {
		if f.Fitting == f.Sampled {
			return f.Dialect
		}
		return fmt.Sprintf("%s, as %d of the first %d rows are", f.Dialect, f.Fitting, f.Sampled)
	}
	same := !slices.ContainsFunc(files, func(f importer.FileDialect) bool { return name(f) != name(files[0]) })
	if same {
		return name(files[0])
	}
	list := each.Of(files, func(f importer.FileDialect) string { return fmt.Sprintf("%s (%s)", name(f), f.File) })
	return strings.Join(list, ", ")
}

// lineage names the files. Standard input has no fingerprint: it is gone when the dataset's metadata is written.
func (c dataConversion) lineage(im *importer.Import) (data.Lineage, error) {
	files := im.Files()
	config := c.importConfig
	config.As = files[0].Dialect
	l := data.Lineage{Stage: "import " + config.As, Config: yamlconf.JSON(&config)}
	for _, f := range files {
		if f.File == importer.Stdin {
			l.Inputs = append(l.Inputs, data.Input{Name: "standard input"})
			continue
		}
		if err := l.Add(f.File); err != nil {
			return l, err
		}
	}
	return l, nil
}

// keepRefused converts, and writes the refused rows into a file if one is named. A row that cannot be written ends the conversion.
func (c dataConversion) keepRefused(ctx context.Context, im *importer.Import, set *output.Set, convert func(context.Context) error) (err error) {
	if c.refused == "" {
		return convert(ctx)
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	failed := set.WriteFile(c.refused, func(w *bufio.Writer) error {
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		var failed error
		im.OnRefused = func(e importer.RowError) {
			if failed != nil {
				return
			}
			failed = encoder.Encode(struct {
				File    string `json:"file"`
				Line    int    `json:"line"`
				Element int    `json:"element,omitempty"`
				Reason  string `json:"reason"`
			}{e.File, e.Line, e.Element, e.Err.Error()})
			if failed != nil {
				fail(failed)
			}
		}
		err = convert(ctx)
		return failed
	})
	if failed != nil {
		return failed
	}
	return err
}

// convertWithProgress converts, and shows how far it is where that is known.
func convertWithProgress(ctx context.Context, cmd *cobra.Command, im *importer.Import, out string, l data.Lineage, compression data.Compression) error {
	const unit = 1 << 10
	show := console.New(cmd.ErrOrStderr())
	defer show.Close()
	detail := func() string {
		r := im.Report()
		return fmt.Sprintf("%d rows, %d refused", r.Rows, r.NumRefused())
	}
	if slices.ContainsFunc(im.Files(), func(f importer.FileDialect) bool { return f.File == importer.Stdin }) {
		task := show.Phase("converting")
		im.OnProgress = func() { task.Update(0, detail()) }
		return im.Write(ctx, out, l, compression)
	}
	total := int(im.Size()/unit) + 1
	task := show.Start("converting, KiB", total)
	im.OnProgress = func() { task.Update(min(int(im.BytesRead()/unit), total), detail()) }
	err := im.Write(ctx, out, l, compression)
	if err == nil {
		task.Done(detail())
	}
	return err
}
