package main

import (
	"github.com/spf13/cobra"

	"github.com/tame-rlhf/tame/internal/console"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// phased shows what goes on while work does it.
func phased(cmd *cobra.Command, what string, work func() error) error {
	c := console.New(cmd.ErrOrStderr())
	defer c.Close()
	c.Phase("%s", what)
	return work()
}

// loadTokenizer loads a tokenizer, and shows that it does.
func loadTokenizer(cmd *cobra.Command, path string) (tok *tokenizer.Tokenizer, err error) {
	err = phased(cmd, "loading "+path, func() (err error) {
		tok, err = tokenizer.Load(path)
		return err
	})
	return tok, err
}
