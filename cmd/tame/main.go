// Command tame is the command line of tame: Llama 2's training pipeline. `tame --help` explains itself.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := rootCommand().ExecuteContext(ctx)
	if err == nil {
		return
	}
	if !errors.Is(err, errLines) { // bad lines were answered on standard output
		fmt.Fprintln(os.Stderr, "tame:", err)
	}
	os.Exit(1)
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "tame",
		Short: "Llama 2's training pipeline: tokenize, score and sample with its models",
		Long: "All commands read JSON lines on standard input and write one JSON line for each on standard output, in order.\n" +
			`A bad line is answered by {"error": "line 3: ..."}, the rest goes on, and the exit status is 1 at the end.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(tokenizeCommand(), logProbsCommand(), generateCommand(), scoreCommand())
	return root
}
