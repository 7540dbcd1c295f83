// Command tame is the command line of tame: Llama 2's training pipeline. `tame --help` explains itself.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/spf13/cobra"

	"github.com/tame-rlhf/tame/internal/printable"
)

// Groups of commands in the help.
const (
	groupStages = "stages"
	groupTools  = "tools"
	groupLines  = "lines"
)

// exitInterrupted is the shells' status of a command that Ctrl-C ended.
const exitInterrupted = 130

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	err := rootCommand().ExecuteContext(ctx)
	os.Exit(status(os.Stderr, err, ctx.Err() != nil))
}

// status reports an error and gives the exit status.
func status(w io.Writer, err error, interrupted bool) int {
	var stopped *stoppedError
	switch {
	case err == nil:
		return 0
	case interrupted && errors.As(err, &stopped):
		fmt.Fprintln(w, "tame:", stopped)
		return exitInterrupted
	case interrupted && errors.Is(err, context.Canceled):
		fmt.Fprintln(w, "tame: stopped")
		return exitInterrupted
	case !errors.Is(err, errLines): // bad lines were answered on standard output
		fmt.Fprintln(w, "tame:", printable.Text(err.Error())) // it may quote data
	}
	return 1
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "tame",
		Short: "Llama 2's training pipeline",
		Long: "Llama 2's training pipeline: pretraining, supervised fine-tuning, reward models, rejection sampling, PPO, Ghost Attention and\n" +
			"safety context distillation, and small commands to use the models.",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddGroup(
		&cobra.Group{ID: groupStages, Title: "Training stages (YAML configuration, can be stopped and resumed):"},
		&cobra.Group{ID: groupTools, Title: "Tools:"},
		&cobra.Group{ID: groupLines, Title: "JSON lines on standard input, one JSON line for each on standard output:"},
	)
	cobra.EnableCommandSorting = false
	reward := stageCommand(rewardStage())
	reward.AddCommand(rewardCalibrateCommand())
	root.AddCommand(
		stageCommand(pretrainStage()), stageCommand(sftStage()), reward, stageCommand(rejectStage()), stageCommand(ppoStage()),
		stageCommand(gattStage()), stageCommand(distillStage()), stageCommand(rlhfStage()),
		chatCommand(), evaluateCommand(), convertCommand(), dataCommand(), tokenizerCommand(), lineageCommand(),
	)
	for _, lines := range []*cobra.Command{tokenizeCommand(), logProbsCommand(), generateCommand(), scoreCommand()} {
		lines.GroupID = groupLines
		lines.Long += longLines
		root.AddCommand(lines)
	}
	return root
}

const longLines = "\n\nA bad line is answered by {\"error\": \"line 3: ...\"}, the rest goes on, and the exit status is 1 at the end."
