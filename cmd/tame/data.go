package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tame-rlhf/tame/internal/console"
	"github.com/tame-rlhf/tame/internal/each"
	"github.com/tame-rlhf/tame/pkg/data"
)

func dataCommand() *cobra.Command {
	parent := &cobra.Command{
		Use:   "data",
		Short: "Look at datasets, change and analyse them",
		Long: "Commands for Arrow and Parquet datasets: those of tame, and files of other programs with the same columns. What is\n" +
			"written is a new dataset that says in its lineage what it was made from. `tame convert data` makes datasets of other files.",
		GroupID: groupTools,
	}
	parent.AddCommand(dataHeadCommand(), dataStatsCommand(), dataValidateCommand(),
		dataMixCommand(), dataShuffleCommand(), dataSplitCommand(), dataDedupCommand(), dataFilterCommand(),
		dataContaminationCommand(), dataRepresentationCommand())
	return parent
}

// record is a row of any of the project's forms.
type record interface {
	data.Row
	Parts() []data.Part
	Question() string
}

// dataset is an open dataset of any form.
type dataset struct {
	path    string
	form    data.Schema
	lineage data.Lineage
	unused  []string // columns of the file that rows do not have
	rows    iter.Seq2[record, error]
	count   func() (int, error)
	check   func(check func(record) error, bad func(row int, err error) bool) (int, error)
	write   func(path string, rows iter.Seq2[record, error], l data.Lineage) error
	close   func() error
}

// forms open a dataset as rows of one form; those that commands copy are opened by openToCopy. Files without metadata are of the first form whose columns they have.
var forms = []func(path string) (*dataset, error){
	openAs[data.Sample], openAs[data.Preference], openAs[data.Prompt], openAs[data.Conversation], openAs[data.Text],
}

func openAs[T record](path string) (*dataset, error) {
	r, err := data.Open[T](path)
	if err != nil {
		return nil, err
	}
	var zero T
	return &dataset{
		path: path, form: zero.Schema(), lineage: r.Lineage(), unused: r.Unused(), count: r.Len, close: r.Close,
		rows: func(yield func(record, error) bool) {
			for row, err := range r.Rows() {
				if !yield(row, err) {
					return
				}
			}
		},
		check: func(check func(record) error, bad func(int, error) bool) (int, error) {
			return r.Check(func(row T) error { return check(row) }, bad)
		},
		write: func(path string, rows iter.Seq2[record, error], l data.Lineage) error {
			return data.WriteSeq(path, func(yield func(T, error) bool) {
				for row, err := range rows {
					of, _ := row.(T) // an error comes without a row
					if !yield(of, err) {
						return
					}
				}
			}, l)
		},
	}, nil
}

// openDataset opens a dataset whatever its form is, and shows that it does.
func openDataset(cmd *cobra.Command, path string) (d *dataset, err error) {
	err = phased(cmd, "opening "+path, func() (err error) {
		d, err = openForm(path)
		return err
	})
	return d, err
}

func openForm(path string) (*dataset, error) {
	if err := checkArrow(path, ""); err != nil {
		return nil, err
	}
	var errs []error
	for _, open := range forms {
		d, err := open(path)
		if err == nil {
			return d, nil
		}
		errs = append(errs, err)
	}
	return nil, noForm(path, errs)
}

// noForm says why a file has none of the forms: what is wrong with the form that it claims, or what each of them misses.
func noForm(path string, errs []error) error {
	var claims, others []string
	for _, err := range errs {
		text := strings.TrimPrefix(err.Error(), "data: read "+path+": ")
		if strings.HasPrefix(text, "holds ") { // rows of another form
			claims = append(claims, text)
		} else if !slices.Contains(others, text) { // a damaged file is the same for all
			others = append(others, text)
		}
	}
	switch {
	case len(others) == 1:
		return errors.New(path + ": " + others[0])
	case len(others) == 0:
		return fmt.Errorf("%s is of none of tame's forms:\n  %s", path, strings.Join(claims, "\n  "))
	}
	return fmt.Errorf("%s has the columns of none of tame's forms (`tame convert data` may know it):\n  %s", path, strings.Join(others, "\n  "))
}

// openAll opens datasets of any forms. closeAll closes them.
func openAll(cmd *cobra.Command, paths []string) (sets []*dataset, closeAll func(), err error) {
	closeAll = func() {
		for _, d := range sets {
			d.close()
		}
	}
	for _, path := range paths {
		d, err := openDataset(cmd, path)
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		sets = append(sets, d)
	}
	return sets, closeAll, nil
}

// openDatasets opens datasets that have one form. closeAll closes them.
func openDatasets(cmd *cobra.Command, paths []string) (sets []*dataset, closeAll func(), err error) {
	if sets, closeAll, err = openAll(cmd, paths); err != nil {
		return nil, nil, err
	}
	if err := sameForm(sets); err != nil {
		closeAll()
		return nil, nil, err
	}
	return sets, closeAll, nil
}

func sameForm(sets []*dataset) error {
	first := sets[0]
	for _, d := range sets {
		if d.form != first.form {
			return fmt.Errorf("%s holds %v rows and %s holds %v rows: they cannot be in one dataset", first.path, first.form, d.path, d.form)
		}
	}
	return nil
}

// paths are the files of datasets.
func paths(sets []*dataset) []string {
	return each.Of(sets, func(d *dataset) string { return d.path })
}

// lineageOf says that a command made a dataset from these. config is nil for none.
func lineageOf(cmd *cobra.Command, command string, config any, seed uint64, sets ...*dataset) (l data.Lineage, err error) {
	l = data.Lineage{Stage: "data " + command, Seed: seed}
	if config != nil {
		if l.Config, err = json.Marshal(config); err != nil {
			return l, err
		}
	}
	err = phased(cmd, "hashing the inputs", func() error {
		return addInputs(cmd.Context(), new(data.Hasher), &l, paths(sets)...)
	})
	return l, err
}

// visit goes through all rows of datasets, and shows how far it is.
func visit(cmd *cobra.Command, what string, see func(record), sets ...*dataset) error {
	c := console.New(cmd.ErrOrStderr())
	defer c.Close()
	for row, err := range watched(cmd.Context(), c, what, sets...) {
		if err != nil {
			return err
		}
		see(row)
	}
	return nil
}

// writeChosen writes those rows of datasets that keep takes, and shows how far it is. Without any it is the error none.
func writeChosen(cmd *cobra.Command, what, out string, l data.Lineage, keep func(record) bool, none error, sets ...*dataset) error {
	c := console.New(cmd.ErrOrStderr())
	defer c.Close()
	return sets[0].write(out, chosen(watched(cmd.Context(), c, what, sets...), keep, none), l)
}

// watched are all rows of datasets, one after the other. It shows how far it is, and ends with an error when the command is stopped.
func watched(ctx context.Context, c *console.Console, what string, sets ...*dataset) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		total := 0
		c.Phase("counting the rows")
		for _, d := range sets {
			n, err := d.count()
			if err != nil {
				yield(nil, err)
				return
			}
			total += n
		}
		task, done := c.Start(what, total), 0
		for _, d := range sets {
			for row, err := range stoppable(ctx, d.rows) {
				if !yield(row, err) || err != nil {
					return
				}
				if done++; done%256 == 0 {
					task.Update(done, "")
				}
			}
		}
		task.Done(fmt.Sprintf("%d rows", done))
	}
}

// stoppable are rows that end with an error when the command is stopped.
func stoppable[T any](ctx context.Context, rows iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for row, err := range rows {
			if stop := ctx.Err(); stop != nil {
				yield(row, stop)
				return
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

// chosen are the rows that keep takes. Without any it ends with an error, so that no empty dataset is written.
func chosen(rows iter.Seq2[record, error], keep func(record) bool, none error) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		some := false
		for row, err := range rows {
			if err != nil {
				yield(nil, err)
				return
			}
			if keep(row) {
				some = true
				if !yield(row, nil) {
					return
				}
			}
		}
		if !some {
			yield(nil, none)
		}
	}
}

// percent is a share for people.
func percent(n, of int) string {
	return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(max(1, of)))
}

// fileSize is 0 for a file that cannot be looked at; opening it tells why.
func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}
