package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tame-rlhf/tame/internal/printable"
	"github.com/tame-rlhf/tame/pkg/corpus"
	"github.com/tame-rlhf/tame/pkg/data"
)

func dataRepresentationCommand() *cobra.Command {
	var words string
	top := 5
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "representation FILE.arrow ... --words LISTS.yaml",
		Short: "Count whom the data speaks of",
		Long: `Counts documents that mention words of your lists, as table 9 of the paper does for pronouns and identities: for each axis the share of all
rows that mention any of its descriptors, and for each descriptor the share of those. A row is one document. Words are found as whole words,
upper and lower case alike. The file has axes, each with descriptors and their words; a plain list is of descriptors that are their own word:

  gender pronouns:
    She: [she, her, hers, herself]
    He: [he, him, his, himself]
  religion: [christian, muslim, hindu]`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkInputs(append(slices.Clone(args), words)); err != nil {
				return err
			}
			axes, err := corpus.LoadWordLists(words)
			if err != nil {
				return err
			}
			counter, err := corpus.NewRepresentation(axes)
			if err != nil {
				return err
			}
			sets, closeAll, err := openAll(cmd, args)
			if err != nil {
				return err
			}
			defer closeAll()
			err = visit(cmd, "reading", func(row record) { counter.Add(data.Document(row)) }, sets...)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), struct {
					Documents int
					Axes      []corpus.AxisCount
				}{counter.Documents(), counter.Counts()})
			}
			return printRepresentation(cmd.OutOrStdout(), counter, top)
		},
	}
	cmd.Flags().StringVar(&words, "words", "", "YAML file with the word lists")
	cmd.Flags().IntVar(&top, "top", top, "how many descriptors of an axis are shown, the most frequent first; 0 for all")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print everything as JSON")
	_ = cmd.MarkFlagRequired("words") // the flag was defined above
	return cmd
}

func printRepresentation(w io.Writer, counter *corpus.Representation, top int) error {
	fmt.Fprintf(w, "%d documents\n", counter.Documents())
	for _, axis := range counter.Counts() {
		fmt.Fprintf(w, "\n%s: %d documents, %s\n", printable.Text(axis.Name), axis.Documents, percent(axis.Documents, counter.Documents()))
		all := axis.Descriptors
		slices.SortStableFunc(all, func(a, b corpus.DescriptorCount) int { return b.Documents - a.Documents })
		if top > 0 {
			all = all[:min(top, len(all))]
		}
		for _, d := range all {
			if _, err := fmt.Fprintf(w, "%9d  %7s  %s\n", d.Documents, percent(d.Documents, axis.Documents), printable.Text(d.Name)); err != nil {
				return err
			}
		}
	}
	return nil
}
