// Command tame is the command line of tame: Llama 2's training pipeline. `tame --help` explains itself.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/tame-rlhf/tame/internal/memory"
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
	memory.Bound()
	ctx, received := untilSignal(context.Background())
	err := rootCommand().ExecuteContext(ctx)
	code := status(os.Stderr, err, received() != 0)
	if code == exitInterrupted {
		code = 128 + int(received()) // as shells have it
	}
	os.Exit(code)
}

// untilSignal is a context that ends when somebody wants the process to stop, and the signal by which; 0 for none: Ctrl-C, the SIGTERM of
// schedulers and of machines that shut down, the SIGHUP of a terminal that is closed. A second one ends the process at once, but for
// SIGHUP, which comes along with others and twice. What was ignored at the start, as under nohup, stays so.
func untilSignal(parent context.Context) (ctx context.Context, received func() syscall.Signal) {
	ctx, cancel := context.WithCancel(parent)
	var first atomic.Int64
	signals := make(chan os.Signal, 1)
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			signal.Notify(signals, s)
		}
	}
	go func() {
		s := <-signals
		first.Store(int64(s.(syscall.Signal)))
		signal.Reset(os.Interrupt, syscall.SIGTERM)
		cancel()
	}()
	return ctx, func() syscall.Signal { return syscall.Signal(first.Load()) }
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

// version is what the build knows of itself.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	text := info.Main.Version
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			text += ", revision " + s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			text += " with changes"
		}
	}
	return text + ", " + info.GoVersion
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "tame",
		Short: "Llama 2's training pipeline",
		Long: "Llama 2's training pipeline: pretraining, supervised fine-tuning, reward models, rejection sampling, PPO, Ghost Attention and\n" +
			"safety context distillation, and small commands to use the models.",
		Version:       version(),
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
		chatCommand(), evaluateCommand(), convertCommand(), dataCommand(), tokenizerCommand(), lineageCommand(), verifyCommand(),
	)
	for _, lines := range []*cobra.Command{tokenizeCommand(), logProbsCommand(), generateCommand(), scoreCommand()} {
		lines.GroupID = groupLines
		lines.Long += longLines
		root.AddCommand(lines)
	}
	root.SetVersionTemplate("tame {{.Version}}\n")
	root.SetFlagErrorFunc(explainFlag)
	explainArguments(root)
	return root
}

const longLines = "\n\nA bad line is answered by {\"error\": \"line 3: ...\"}, the rest goes on, and the exit status is 1 at the end."
