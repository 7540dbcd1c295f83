// Command faults does to the command tame what happens to programs: it is killed and stopped, its disk is full, its files are damaged
// or made to hurt, and the programs that it asks misbehave. Every try ends in the files of a run that was left alone, or in an error
// that tells the reason. docs/reliability.md says what is promised.
//
// The suite knows tame by its command line alone, so it can test any binary of it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"syscall"
)

// errFailed says that tame did not keep a promise, as opposed to a suite that could not run.
var errFailed = errors.New("promises were broken")

func main() {
	o := options{Out: os.Stdout}
	only := flag.String("only", "", "regular expression of the FAULT/SUBJECT to try (default: all)")
	flag.Uint64Var(&o.Seed, "seed", 1, "of the random moments, places and sizes")
	flag.IntVar(&o.Kills, "kills", 50, "SIGKILLs of each stage and tool")
	flag.IntVar(&o.Stops, "stops", 20, "SIGTERMs, SIGHUPs and SIGINTs of each stage")
	flag.IntVar(&o.Flips, "flips", 300, "flipped bits in a checkpoint of each stage, and in each kind of finished file")
	flag.IntVar(&o.Cuts, "cuts", 60, "truncations of a file in a checkpoint of each stage, and of each kind of finished file")
	flag.IntVar(&o.Levels, "levels", 30, "fill levels of a full disk for each stage and tool; needs root, to mount a small tmpfs")
	flag.IntVar(&o.Numbers, "numbers", 60, "huge numbers written into each kind of binary file")
	flag.Float64Var(&o.Scale, "scale", 1, "size of the hostile files; 1 is 16 MiB for most")
	flag.IntVar(&o.Try, "try", -1, "only the try of this number")
	flag.IntVar(&o.Workers, "j", runtime.NumCPU(), "tries at a time")
	flag.StringVar(&o.Binary, "tame", "", "binary of tame to test (default: build ./cmd/tame)")
	flag.StringVar(&o.Keep, "keep", "", "new folder in which to work; the folders of failed tries stay there (default: a temporary one that is removed)")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if o.Only, err = regexp.Compile(*only); err == nil {
		err = runSuite(ctx, o)
	}
	switch {
	case err == nil:
		return
	case errors.Is(err, errFailed):
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stderr, "faults:", err)
	os.Exit(2)
}
