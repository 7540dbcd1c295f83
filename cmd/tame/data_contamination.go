package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tame-rlhf/tame/internal/console"
	"github.com/tame-rlhf/tame/internal/each"
	"github.com/tame-rlhf/tame/internal/output"
	"github.com/tame-rlhf/tame/pkg/corpus"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// contaminationFlags are the options of tame data contamination.
type contaminationFlags struct {
	train               []string
	eval, tokenizer     string
	scores, samplesFile string
	lengths             []int
	asJSON              bool
	corpus.ContaminationConfig
}

func dataContaminationCommand() *cobra.Command {
	f := contaminationFlags{ContaminationConfig: corpus.DefaultContaminationConfig(), lengths: []int{10, 20, 30, 40, 50}}
	cmd := &cobra.Command{
		Use:   "contamination --train A.arrow ... --eval E.arrow --tokenizer FILE",
		Short: "Look how much of an evaluation set stands in training data",
		Long: `Counts contaminated tokens as in appendix A.6 of the paper: those that are equal in a match of more than L tokens between an evaluation
sample and a training document, which may differ in some places (--skip) but not among the first tokens (--min) nor at its end. Samples with
less than 20 % of contaminated tokens are clean, with 80 % or more dirty. Everything that a row says is one text, a line break between its parts.

With --scores, numbers of a model for each sample, one a line, it also tells whether contamination changed the result: Z is how many standard
deviations the part's mean is above that of as many random samples. All four |Z| above 2 is the paper's sign of it.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.train, "train", nil, "dataset with training documents; may be given several times")
	flags.StringVar(&f.eval, "eval", "", "dataset with evaluation samples, in the words in which the model sees them")
	flags.StringVar(&f.tokenizer, "tokenizer", "", tokenizerFiles)
	flags.IntVar(&f.Skip, "skip", f.Skip, "how many tokens of a match may differ")
	flags.IntVar(&f.MinLength, "min", f.MinLength, "the shortest L, and how many tokens have to be equal at the beginning of a match")
	flags.IntSliceVar(&f.lengths, "lengths", f.lengths, "the L that are looked at")
	flags.StringVar(&f.scores, "scores", "", "file with a number for each sample, one a line")
	flags.StringVar(&f.samplesFile, "samples", "", "write the share of each sample to this file, one JSON object a line")
	flags.BoolVar(&f.asJSON, "json", false, "print the table as JSON")
	for _, name := range []string{"train", "eval", "tokenizer"} {
		_ = cmd.MarkFlagRequired(name) // the flag was defined above
	}
	return cmd
}

// inputs are the files that are read.
func (f *contaminationFlags) inputs() []string {
	return append(slices.Clone(f.train), f.eval, f.tokenizer, f.scores)
}

func (f *contaminationFlags) validate() error {
	errs := []error{f.Validate(), checkInputs(f.inputs())}
	if f.samplesFile != "" {
		errs = append(errs, output.Check(f.inputs(), output.File(f.samplesFile)))
	}
	for _, length := range f.lengths {
		if length < f.MinLength {
			errs = append(errs, fmt.Errorf("--lengths has %d, less than --min, which is %d", length, f.MinLength))
		}
	}
	if len(f.lengths) == 0 {
		errs = append(errs, errors.New("--lengths is empty"))
	}
	return errors.Join(errs...)
}

func (f *contaminationFlags) run(cmd *cobra.Command) error {
	if err := f.validate(); err != nil {
		return err
	}
	tok, err := loadTokenizer(cmd, f.tokenizer)
	if err != nil {
		return err
	}
	eval, err := openDataset(cmd, f.eval)
	if err != nil {
		return err
	}
	defer eval.close()
	train, closeAll, err := openAll(cmd, f.train)
	if err != nil {
		return err
	}
	defer closeAll()

	var samples [][]int32
	encode := func(row record) { samples = append(samples, tok.Encode(data.Document(row))) }
	if err := visit(cmd, "evaluation set", encode, eval); err != nil {
		return err
	}
	if err := data.NotEmpty(f.eval, len(samples)); err != nil {
		return err
	}
	var scores []float64
	if f.scores != "" {
		if scores, err = readScores(f.scores, len(samples)); err != nil {
			return err
		}
	}
	found, err := corpus.NewContamination(samples, f.ContaminationConfig)
	if err != nil {
		return err
	}
	c := console.New(cmd.ErrOrStderr())
	defer c.Close()
	err = encodeAll(watched(cmd.Context(), c, "training data", train...), tok, found.Add)
	if err != nil {
		return err
	}
	c.Close()
	return f.report(cmd, samples, found, scores)
}

// encodeAll encodes rows on all cores. each gets their ids one after the other, in no order.
func encodeAll(rows iter.Seq2[record, error], tok *tokenizer.Tokenizer, each func(ids []int32)) error {
	texts, encoded := make(chan string, 64), make(chan []int32, 64)
	var failed error
	go func() {
		defer close(texts)
		for row, err := range rows {
			if err != nil {
				failed = err
				return
			}
			texts <- data.Document(row)
		}
	}()
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for text := range texts {
				encoded <- tok.Encode(text)
			}
		})
	}
	go func() {
		workers.Wait()
		close(encoded)
	}()
	for ids := range encoded {
		each(ids)
	}
	return failed
}

// readScores reads a number a line.
func readScores(path string, want int) ([]float64, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var scores []float64
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		x, err := strconv.ParseFloat(strings.TrimSpace(lines.Text()), 64)
		if err != nil || finite(x) == nil {
			return nil, fmt.Errorf("%s:%d: want a number on each line", path, len(scores)+1)
		}
		scores = append(scores, x)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s:%d: %w", path, len(scores)+1, err)
	}
	if len(scores) != want {
		return nil, fmt.Errorf("%s has %d numbers for %d samples", path, len(scores), want)
	}
	return scores, nil
}

// lengthReport is a row of four parts of the table.
type lengthReport struct {
	Length   int          `json:"longer_than"`
	Parts    []partReport `json:"parts"`
	Affected *bool        `json:"affected,omitempty"` // with scores
}

// partReport has no numbers where there are none.
type partReport struct {
	Name     string   `json:"part"`
	Samples  int      `json:"samples"`
	Share    *float64 `json:"contaminated,omitempty"`
	Mean     *float64 `json:"mean,omitempty"`
	Expected *float64 `json:"expected,omitempty"`
	Z        *float64 `json:"z,omitempty"`
}

func (f *contaminationFlags) report(cmd *cobra.Command, samples [][]int32, found *corpus.Contamination, scores []float64) error {
	if f.samplesFile != "" {
		if err := f.writeSamples(samples, found); err != nil {
			return err
		}
	}
	var reports []lengthReport
	for _, length := range f.lengths {
		parts, err := corpus.Subsets(f.ContaminationConfig, found.Shares(length), scores)
		if err != nil {
			return err
		}
		r := lengthReport{Length: length}
		for _, p := range parts {
			r.Parts = append(r.Parts, partReport{p.Name, p.Samples, finite(p.Share), finite(p.Mean), finite(p.Expected), finite(p.Z)})
		}
		if scores != nil {
			affected := corpus.Affected(parts)
			r.Affected = &affected
		}
		reports = append(reports, r)
	}
	w := cmd.OutOrStdout()
	if f.asJSON {
		return printJSON(w, reports)
	}
	return printContamination(w, reports, samples, f.MinLength, scores != nil)
}

func printContamination(w io.Writer, reports []lengthReport, samples [][]int32, least int, scored bool) error {
	short := 0
	for _, s := range samples {
		if len(s) <= least {
			short++
		}
	}
	fmt.Fprintf(w, "%d samples, of which %d have no more than %d tokens and cannot match\n\n", len(samples), short, least)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	head := "longer than\tpart\tsamples\tcontaminated\t"
	if scored {
		head += "mean\tof all\tZ\t"
	}
	fmt.Fprintln(t, head)
	for _, r := range reports {
		for _, p := range r.Parts {
			fmt.Fprintf(t, "%d\t%s\t%d\t%s\t", r.Length, p.Name, p.Samples, number(p.Share, 100, " %"))
			if scored {
				fmt.Fprintf(t, "%s\t%s\t%s\t", number(p.Mean, 1, ""), number(p.Expected, 1, ""), number(p.Z, 1, ""))
			}
			fmt.Fprintln(t)
		}
	}
	if err := t.Flush(); err != nil || !scored {
		return err
	}
	for _, r := range slices.Backward(reports) {
		if *r.Affected {
			_, err := fmt.Fprintf(w, "\nContamination seems to have changed the scores: with matches longer than %d all four |Z| are above 2.\n", r.Length)
			return err
		}
	}
	_, err := fmt.Fprintln(w, "\nNo sign that contamination changed the scores: at no length all four |Z| are above 2.")
	return err
}

// number is a number that may be missing.
func number(x *float64, times float64, unit string) string {
	if x == nil {
		return "-"
	}
	return fmt.Sprintf("%.2f%s", *x*times, unit)
}

func finite(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

// writeSamples writes the shares of each sample by length.
func (f *contaminationFlags) writeSamples(samples [][]int32, found *corpus.Contamination) error {
	set, err := output.New(f.inputs(), output.File(f.samplesFile))
	if err != nil {
		return err
	}
	defer set.Close()
	err = set.WriteFile(f.samplesFile, func(w *bufio.Writer) error { return f.encodeSamples(w, samples, found) })
	if err != nil {
		return err
	}
	return set.Commit()
}

func (f *contaminationFlags) encodeSamples(w io.Writer, samples [][]int32, found *corpus.Contamination) error {
	shares := each.Of(f.lengths, found.Shares)
	encoder := json.NewEncoder(w)
	for i, s := range samples {
		line := struct {
			Row          int             `json:"row"`
			Tokens       int             `json:"tokens"`
			Contaminated map[int]float64 `json:"contaminated"` // share by length
		}{i, len(s), map[int]float64{}}
		for k, length := range f.lengths {
			line.Contaminated[length] = shares[k][i]
		}
		if err := encoder.Encode(line); err != nil {
			return err
		}
	}
	return nil
}
