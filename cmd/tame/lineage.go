package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tame-rlhf/tame/pkg/data"
)

func lineageCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "lineage FILE",
		Short:   "Show what a dataset or a model folder was made from",
		Long:    "Draws the history of a dataset or a model folder as a tree. --json prints it with all settings and fingerprints.",
		Args:    cobra.ExactArgs(1),
		GroupID: groupTools,
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := data.ReadLineage(args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), l)
			}
			if l.Stage == "" {
				return errors.New(args[0] + " does not say where it comes from: only what tame wrote does")
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), l.Tree(filepath.Base(args[0])))
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print everything as JSON")
	return cmd
}
