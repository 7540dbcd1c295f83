package main

import "github.com/spf13/cobra"

func convertCommand() *cobra.Command {
	parent := &cobra.Command{Use: "convert", Short: "Convert models and datasets", GroupID: groupTools}
	parent.AddCommand(convertModelCommand(), convertDataCommand())
	return parent
}
