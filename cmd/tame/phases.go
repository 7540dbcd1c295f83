package main

import (
	"github.com/spf13/cobra"

	"github.com/tame-rlhf/tame/internal/console"
)

// phased shows what goes on while work does it.
func phased(cmd *cobra.Command, what string, work func() error) error {
	c := console.New(cmd.ErrOrStderr())
	defer c.Close()
	c.Phase("%s", what)
	return work()
}
