package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tame-rlhf/tame/internal/output"
	"github.com/tame-rlhf/tame/pkg/curate"
	"github.com/tame-rlhf/tame/pkg/data"
)

func dataSplitCommand() *cobra.Command {
	share, seed := 0.1, uint64(0)
	var strict *bool
	cmd := &cobra.Command{
		Use:   "split IN.arrow TRAIN.arrow HELDOUT.arrow",
		Short: "Hold rows out, with no question on both sides",
		Long: "Divides a dataset by a hash of the seed and the words of the user's first message (of a text: all of it), so rows with the same question\n" +
			"always lie on the same side, whatever the file, the order or the number of rows. The order is kept.",
		Args: cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			in, train, heldOut := args[0], args[1], args[2]
			places := []output.Place{output.File(train), output.File(heldOut)}
			err = checkOutputs([]string{in}, places...)
			if !(share >= 0 && share < 1) {
				err = errors.Join(err, fmt.Errorf("--share is %v, want a share in [0, 1)", share))
			}
			if err != nil {
				return err
			}
			sets, closeAll, err := openToCopy(cmd, *strict, in)
			if err != nil {
				return err
			}
			defer closeAll()
			d := sets[0]
			lineage, err := lineageOf(cmd, "split", struct{ Share float64 }{share}, seed, d)
			if err != nil {
				return err
			}
			set, err := output.New([]string{in}, places...)
			if err != nil {
				return err
			}
			defer set.Close()
			rows := map[bool]int{}
			side := func(out string, held bool) error {
				return set.Write(out, func(path string) error {
					return writeChosen(cmd, out, path, lineage, func(row record) bool {
						is := curate.HeldOut(row.Question(), share, seed)
						if is == held {
							rows[held]++
						}
						return is == held
					}, fmt.Errorf("no question comes to lie on this side: change --share, which is %v", share), d)
				})
			}
			if err := side(heldOut, true); err != nil {
				return err
			}
			if err := side(train, false); err != nil {
				return err
			}
			if err := set.Commit(); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d rows for training, %d held out (%s)\n%s and %s are written\n",
				rows[false], rows[true], percent(rows[true], rows[true]+rows[false]), train, heldOut)
			return err
		},
	}
	cmd.Flags().Float64Var(&share, "share", share, "of the questions that are held out")
	cmd.Flags().Uint64Var(&seed, "seed", seed, "of the hash")
	strict = strictFlag(cmd)
	return cmd
}

// dedupConfig is what a deduplication depends on.
type dedupConfig struct {
	Of       curate.Extent
	FoldCase bool
	Near     *curate.NearDedup `json:",omitempty"`
}

func dataDedupCommand() *cobra.Command {
	var c dedupConfig
	near := curate.DefaultNearDedup()
	var strict *bool
	cmd := &cobra.Command{
		Use:   "dedup IN.arrow ... OUT.arrow",
		Short: "Keep the first of rows that say the same",
		Long: `Writes the rows of one or several datasets that say something new. Rows say the same if the same speakers use the same words: white space,
ratings, sources and scores do not count. --of prompt keeps one row for each prompt, --of answer one for each answer.

With --near 0.8 rows that say nearly the same are dropped too: those that share 80 % of their runs of five words with a row before. The share is
estimated (MinHash), with an error of a few percent.`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			inputs, out := args[:len(args)-1], args[len(args)-1]
			if err := checkOutputs(inputs, output.File(out)); err != nil {
				return err
			}
			if flags := cmd.Flags(); flags.Changed("words") && !flags.Changed("near") {
				return errors.New("--words is the length of the runs that --near compares: give --near too, such as --near 0.8")
			} else if flags.Changed("near") {
				near.Of, near.FoldCase, c.Near = c.Of, c.FoldCase, &near
				if err := near.Validate(); err != nil {
					return err
				}
			}
			sets, closeAll, err := openToCopy(cmd, *strict, inputs...)
			if err != nil {
				return err
			}
			defer closeAll()
			if err := checkExtent(c.Of, sets[0]); err != nil {
				return err
			}
			return dedup(cmd, c, sets, out)
		},
	}
	cmd.Flags().TextVar(&c.Of, "of", c.Of, "what has to be the same: row, prompt or answer")
	cmd.Flags().BoolVar(&c.FoldCase, "fold-case", false, "take upper and lower case for the same")
	cmd.Flags().Float64Var(&near.Threshold, "near", near.Threshold, "also drop rows that are alike to this degree, in (0, 1]")
	cmd.Flags().Lookup("near").DefValue = "only what is the same"
	cmd.Flags().IntVar(&near.Words, "words", near.Words, "with --near: the length of the runs of words that are compared")
	strict = strictFlag(cmd)
	return cmd
}

func dedup(cmd *cobra.Command, c dedupConfig, sets []*dataset, out string) error {
	lineage, err := lineageOf(cmd, "dedup", c, 0, sets...)
	if err != nil {
		return err
	}
	exact := curate.Dedup{Of: c.Of, FoldCase: c.FoldCase}
	kept, same, alike := 0, 0, 0
	err = makeOutput(paths(sets), output.File(out), func(path string) error {
		return writeChosen(cmd, "comparing", path, lineage, func(row record) bool {
			switch {
			case exact.Seen(row):
				same++
				return false
			case c.Near != nil && c.Near.Seen(row):
				alike++
				return false
			}
			kept++
			return true
		}, data.ErrEmpty, sets...)
	})
	if err != nil {
		return err
	}
	w, rows := cmd.OutOrStdout(), kept+same+alike
	fmt.Fprintf(w, "%d rows, %d kept, %d dropped (%s)", rows, kept, rows-kept, percent(rows-kept, rows))
	if c.Near != nil {
		fmt.Fprintf(w, ": %d say the same as a row before, %d nearly the same", same, alike)
	}
	_, err = fmt.Fprintf(w, "\n%s is written\n", out)
	return err
}

// checkExtent refuses to look at what rows of a form do not have.
func checkExtent(of curate.Extent, d *dataset) error {
	switch form := d.form.Name; {
	case of == curate.PromptOnly && form == (data.Text{}).Schema().Name:
		return fmt.Errorf("%s holds texts, which have no prompt", d.path)
	case of == curate.AnswerOnly && form == (data.Prompt{}).Schema().Name:
		return fmt.Errorf("%s holds prompts, which have no answer", d.path)
	}
	return nil
}

// sizer measures rows, in tokens with a tokenizer, else in characters.
func sizer(cmd *cobra.Command, tokenizerPath string) (unit string, size func(record) (data.Size, error), err error) {
	if tokenizerPath == "" {
		return "characters", func(row record) (data.Size, error) { return data.Chars(row), nil }, nil
	}
	tok, err := loadTokenizer(cmd, tokenizerPath)
	if err != nil {
		return "", nil, err
	}
	template, err := chatTemplate(tok, nil, "")
	if err != nil {
		return "", nil, err
	}
	return "tokens", func(row record) (data.Size, error) { return template.Size(row) }, nil
}

// filterConfig is what a filter depends on.
type filterConfig struct {
	Min  int
	Max  *int `json:",omitempty"`
	Of   curate.Extent
	Unit string
}

func dataFilterCommand() *cobra.Command {
	filter := curate.DefaultLengthFilter()
	var tokenizerPath string
	var strict *bool
	cmd := &cobra.Command{
		Use:   "filter IN.arrow OUT.arrow --min N --max N",
		Short: "Keep rows of some length",
		Long: `Writes the rows that are neither too short nor too long. Lengths are in characters, or with --tokenizer in tokens of the sequence that the
stages train on: dialogues in the tokenizer's chat template or Llama 2's chat format, of a preference the longer one. Rows that the chat format refuses are left out then.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			in, out := args[0], args[1]
			if err := errors.Join(checkOutputs([]string{in, tokenizerPath}, output.File(out)), filter.Validate()); err != nil {
				return err
			}
			sets, closeAll, err := openToCopy(cmd, *strict, in)
			if err != nil {
				return err
			}
			defer closeAll()
			d := sets[0]
			if err := checkExtent(filter.Of, d); err != nil {
				return err
			}
			unit, size, err := sizer(cmd, tokenizerPath)
			if err != nil {
				return err
			}
			config := filterConfig{Min: filter.Min, Of: filter.Of, Unit: unit}
			if cmd.Flags().Changed("max") {
				config.Max = &filter.Max
			}
			lineage, err := lineageOf(cmd, "filter", config, 0, d)
			if err == nil {
				err = addInputs(cmd.Context(), new(data.Hasher), &lineage, tokenizerPath)
			}
			if err != nil {
				return err
			}
			counts, refused := map[int]int{}, 0
			err = makeOutput([]string{in, tokenizerPath}, output.File(out), func(path string) error {
				return writeChosen(cmd, "measuring", path, lineage, func(row record) bool {
					s, err := size(row)
					if err != nil {
						refused++
						return false
					}
					verdict := filter.Compare(s)
					counts[verdict]++
					return verdict == 0
				}, errors.New("no row is of that length"), d)
			})
			if err != nil {
				return err
			}
			w := cmd.OutOrStdout()
			total := counts[0] + counts[-1] + counts[1] + refused
			fmt.Fprintf(w, "%d rows, %d kept, %d too short, %d too long", total, counts[0], counts[-1], counts[1])
			if refused > 0 {
				fmt.Fprintf(w, ", %d refused by the chat format", refused)
			}
			_, err = fmt.Fprintf(w, "\n%s is written\n", out)
			return err
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&filter.Min, "min", filter.Min, "the shortest length that is kept")
	flags.IntVar(&filter.Max, "max", filter.Max, "the longest length that is kept")
	flags.Lookup("max").DefValue = "no limit"
	flags.TextVar(&filter.Of, "of", filter.Of, "what is measured: row, prompt or answer")
	flags.StringVar(&tokenizerPath, "tokenizer", "", "measure in tokens: "+tokenizerFiles)
	strict = strictFlag(cmd)
	return cmd
}
