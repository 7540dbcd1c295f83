package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tame-rlhf/tame/internal/printable"
	"github.com/tame-rlhf/tame/pkg/pipeline"
)

// strictFlag adds --strict to a command that copies rows.
func strictFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("strict", false, "a column that is not copied is an error, and nothing is written")
}

// openToCopy opens datasets of one form whose rows a command copies. Columns that the copy will not have are reported, or refused if
// strict is true. closeAll closes the datasets.
func openToCopy(cmd *cobra.Command, strict bool, paths ...string) (sets []*dataset, closeAll func(), err error) {
	if sets, closeAll, err = openDatasets(cmd, paths); err != nil {
		return nil, nil, err
	}
	if err = keepSampled(sets); err == nil {
		err = reportUnused(cmd, strict, sets)
	}
	if err != nil {
		closeAll()
		return nil, nil, err
	}
	return sets, closeAll, nil
}

// keepSampled opens preferences with the ids that were sampled, if all of the datasets have them.
func keepSampled(sets []*dataset) error {
	for _, d := range sets {
		if !sampled(d) {
			return nil
		}
	}
	rich := make([]*dataset, len(sets))
	for i, d := range sets {
		var err error
		if rich[i], err = openAs[pipeline.SampledPreference](d.path); err != nil {
			for _, opened := range rich[:i] {
				opened.close()
			}
			return nil // the columns have other types: they are reported as unused
		}
	}
	for i, d := range sets {
		if err := d.close(); err != nil {
			return err
		}
		*d = *rich[i]
	}
	return nil
}

// sampled says that preferences have further columns of a pipeline's, which `tame reward` reads.
func sampled(d *dataset) bool {
	return d.form == pipeline.SampledPreference{}.Schema() && slices.Contains(d.unused, "prompt_ids")
}

// reportUnused tells which columns the rows of datasets do not have.
func reportUnused(cmd *cobra.Command, strict bool, sets []*dataset) error {
	for _, d := range sets {
		note := unusedNote(d)
		if note == "" {
			continue
		}
		if strict {
			return fmt.Errorf("%s, and --strict refuses that", note)
		}
		fmt.Fprintln(cmd.ErrOrStderr(), printable.Text(note))
	}
	return nil
}

// unusedNote names the columns of a file that the rows of its form do not have, with their number; "" if there are none.
func unusedNote(d *dataset) string {
	const most = 20
	n := len(d.unused)
	if n == 0 {
		return ""
	}
	names := strings.Join(d.unused[:min(n, most)], ", ")
	if n > most {
		names += ", ..."
	}
	return fmt.Sprintf("%s: %d of its columns are not used, because %s rows do not have them: %s", d.path, n, d.form.Name, names)
}
