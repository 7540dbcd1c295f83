package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tame-rlhf/tame/internal/bounded"
	"github.com/tame-rlhf/tame/internal/console"
	"github.com/tame-rlhf/tame/internal/jsontext"
	"github.com/tame-rlhf/tame/internal/output"
	"github.com/tame-rlhf/tame/pkg/curate"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/run"
)

// A shuffle or a mixture has about so many times the size of the files in memory at once, within these bounds. Few files unpack to more; those
// that do are read several times.
const (
	windowTimes          = 8
	minWindow, maxWindow = 8 << 20, 256 << 20
	windowRows           = 64 // at least
)

// mixPart is a dataset of a mixture in the lineage.
type mixPart struct {
	Name   string
	Weight float64
}

// mixConfig is what a mixture depends on, its datasets aside.
type mixConfig struct {
	Parts []mixPart
	Rows  int
	From  []int `json:",omitempty"` // rows drawn before
}

func dataMixCommand() *cobra.Command {
	var rows int
	var seed uint64
	var position string
	var strict *bool
	cmd := &cobra.Command{
		Use:   "mix A.arrow=0.9 B.arrow=0.1 ... OUT.arrow",
		Short: "Draw rows from several datasets in given shares",
		Long: `Writes rows of datasets of one form: the numbers behind = are their shares, relative to each other (1 without a number). Each dataset is
shuffled, and again when it was gone through. The shares are kept at every place of the result, not only on the whole.

With --position FILE the next call goes on where the last one ended: FILE keeps the position.`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			parts, paths, out, err := mixArguments(args)
			if err != nil {
				return err
			}
			places := []output.Place{output.File(out)}
			if position != "" {
				places = append(places, output.Place{Path: position, Old: true})
			}
			if err := checkOutputs(paths, places...); err != nil {
				return err
			}
			sets, closeAll, err := openToCopy(cmd, *strict, paths...)
			if err != nil {
				return err
			}
			defer closeAll()
			sources, err := mixSources(cmd, parts, sets)
			if err != nil {
				return err
			}
			mix, err := curate.NewMix(sources, seed)
			if err != nil {
				return err
			}
			if !cmd.Flags().Changed("rows") {
				rows = mix.Once()
			}
			if rows < 1 {
				return fmt.Errorf("--rows is %d, want at least 1", rows)
			}
			config := mixConfig{Parts: parts, Rows: rows}
			if position != "" {
				if err := seekPosition(mix, position); err != nil {
					return err
				}
				config.From = mix.Position().Drawn
			}
			before := mix.Position().Drawn
			lineage, err := lineageOf(cmd, "mix", config, seed, sets...)
			if err != nil {
				return err
			}
			set, err := output.New(paths, places...)
			if err != nil {
				return err
			}
			defer set.Close()
			err = set.Write(out, func(path string) error {
				return gather(cmd, "mixing", sets, sources, draws(mix, rows), rows, path, lineage)
			})
			if err == nil && position != "" {
				err = set.Write(position, func(path string) error { return run.WriteJSON(path, mix.Position()) })
			}
			if err == nil {
				err = set.Commit()
			}
			if err != nil {
				return err
			}
			for i, n := range mix.Position().Drawn {
				fmt.Fprintf(cmd.OutOrStdout(), "%9d rows  %6s  of %s, which has %d\n", n-before[i], percent(n-before[i], rows), paths[i], sources[i].Rows)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d rows\n%s is written\n", rows, out)
			return err
		},
	}
	cmd.Flags().IntVar(&rows, "rows", 0, "how many rows to draw (default: until one would come a second time)")
	cmd.Flags().Uint64Var(&seed, "seed", 0, "of the shuffling")
	cmd.Flags().StringVar(&position, "position", "", "JSON file with the mixture's position: read if it is there, and written")
	strict = strictFlag(cmd)
	return cmd
}

// mixArguments takes the datasets with their weights, and the output.
func mixArguments(args []string) (parts []mixPart, paths []string, out string, err error) {
	out = args[len(args)-1]
	for _, arg := range args[:len(args)-1] {
		path, weight := arg, 1.0
		if at := strings.LastIndexByte(arg, '='); at >= 0 {
			path = arg[:at]
			if weight, err = strconv.ParseFloat(arg[at+1:], 64); err != nil {
				return nil, nil, "", fmt.Errorf("%s: %q is no number: give a dataset as FILE.arrow=0.9", arg, arg[at+1:])
			}
		}
		if slices.Contains(paths, path) {
			return nil, nil, "", fmt.Errorf("%s is named twice", path)
		}
		parts, paths = append(parts, mixPart{filepath.Base(path), weight}), append(paths, path)
	}
	return parts, paths, out, nil
}

func mixSources(cmd *cobra.Command, parts []mixPart, sets []*dataset) ([]curate.MixSource, error) {
	sources := make([]curate.MixSource, len(sets))
	return sources, phased(cmd, "counting the rows", func() error {
		for i, d := range sets {
			n, err := d.count()
			if err != nil {
				return err
			}
			if err := data.NotEmpty(d.path, n); err != nil {
				return err
			}
			sources[i] = curate.MixSource{Rows: n, Weight: parts[i].Weight}
		}
		return nil
	})
}

// maxPosition is the longest file of a position that is read, in bytes.
const maxPosition = 1 << 20

// seekPosition goes where the file says, or stays at the beginning if there is none.
func seekPosition(mix *curate.Mix, path string) error {
	raw, err := bounded.ReadFile(path, maxPosition)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var position curate.MixPosition
	if err == nil {
		err = jsontext.Unmarshal(raw, &position)
	}
	if err == nil {
		err = mix.Seek(position)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func draws(mix *curate.Mix, n int) iter.Seq[curate.Pick] {
	return func(yield func(curate.Pick) bool) {
		for range n {
			if !yield(mix.Next()) {
				return
			}
		}
	}
}

// gather writes the rows that are picked.
func gather(cmd *cobra.Command, what string, sets []*dataset, sources []curate.MixSource, picks iter.Seq[curate.Pick], total int, out string, l data.Lineage) error {
	c := console.New(cmd.ErrOrStderr())
	defer c.Close()
	bytes, weights, files := 0.0, 0.0, int64(0)
	var read []iter.Seq2[record, error]
	for i, d := range sets {
		size, err := rowBytes(d, sources[i].Rows)
		if err != nil {
			return err
		}
		bytes, weights = bytes+sources[i].Weight*float64(size), weights+sources[i].Weight
		files += fileSize(d.path)
		read = append(read, stoppable(cmd.Context(), d.rows))
	}
	most := min(max(windowTimes*files, minWindow), maxWindow)
	window := max(windowRows, int(float64(most)/max(1, bytes/weights)))
	task := c.Start(what, total)
	picked := shown(cmd.Context(), task, curate.Gather(picks, window, read...))
	if err := sets[0].write(out, picked, l); err != nil {
		return err
	}
	task.Done("")
	return nil
}

// rowBytes is about how much memory a row takes: its share of the file, or where the file is compressed what the first rows say.
func rowBytes(d *dataset, rows int) (int, error) {
	const most = 1024
	text, n := 0, 0
	for row, err := range d.rows {
		if err != nil {
			return 0, err
		}
		for _, p := range row.Parts() {
			text += len(p.Text)
		}
		if n++; n == most {
			break
		}
	}
	return max(int(fileSize(d.path))/max(1, rows), text/max(1, n)), nil
}

// shown are rows with a task that tells how many there were.
func shown(ctx context.Context, task *console.Task, rows iter.Seq2[record, error]) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		done := 0
		for row, err := range stoppable(ctx, rows) {
			if !yield(row, err) {
				return
			}
			if done++; done%256 == 0 {
				task.Update(done, "")
			}
		}
	}
}

func dataShuffleCommand() *cobra.Command {
	var seed uint64
	var strict *bool
	cmd := &cobra.Command{
		Use:   "shuffle IN.arrow OUT.arrow",
		Short: "Put the rows of a dataset into another order",
		Long:  "Writes all rows in an order that depends on their number and the seed alone. Large datasets are read several times, so that they need not fit into memory.",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			in, out := args[0], args[1]
			if err := checkOutputs([]string{in}, output.File(out)); err != nil {
				return err
			}
			sets, closeAll, err := openToCopy(cmd, *strict, in)
			if err != nil {
				return err
			}
			defer closeAll()
			sources, err := mixSources(cmd, []mixPart{{Weight: 1}}, sets)
			if err != nil {
				return err
			}
			lineage, err := lineageOf(cmd, "shuffle", nil, seed, sets...)
			if err != nil {
				return err
			}
			n := sources[0].Rows
			picks := func(yield func(curate.Pick) bool) {
				for _, row := range data.Shuffled(n, seed, 0) {
					if !yield(curate.Pick{Row: row}) {
						return
					}
				}
			}
			err = makeOutput([]string{in}, output.File(out), func(path string) error {
				return gather(cmd, "shuffling", sets, sources, picks, n, path, lineage)
			})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d rows\n%s is written\n", n, out)
			return err
		},
	}
	cmd.Flags().Uint64Var(&seed, "seed", 0, "of the order")
	strict = strictFlag(cmd)
	return cmd
}
