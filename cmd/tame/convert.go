package main

import (
	"fmt"

	"github.com/spf13/cobra"
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
		return fmt.Errorf("%s already exists: delete it, or give another name", path)
	}
	return err
}
