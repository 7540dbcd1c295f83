package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"time"
)

// lists is the folder of the lists in the repository.
const lists = "internal/mutate/breaks"

// errLists marks what is wrong with a list or the command line, as opposed to the tests.
var errLists = errors.New("the check could not run")

func main() {
	list := flag.Bool("list", false, "print the breaks, run nothing")
	timeout := flag.Duration("timeout", 3*time.Minute, "limit for the tests of one package; a break that reaches it counts as killed")
	workers := flag.Int("j", 1, "breaks tried at a time")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: go run ./internal/mutate [-list] [-timeout 3m] [-j 1] [NAME | NAME:LINE]...")
		flag.PrintDefaults()
	}
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := mutate(ctx, os.Stdout, *list, *workers, *timeout, flag.Args())
	switch {
	case err == nil:
		return
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "mutate: stopped")
		os.Exit(130)
	case errors.Is(err, errLists):
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(2)
	}
	fmt.Fprintln(os.Stderr, "mutate:", err)
	os.Exit(1)
}

func mutate(ctx context.Context, w io.Writer, list bool, workers int, timeout time.Duration, args []string) error {
	if workers < 1 || timeout <= 0 {
		return fmt.Errorf("%w: -j %d and -timeout %v must be positive", errLists, workers, timeout)
	}
	root, err := findRoot()
	if err != nil {
		return fmt.Errorf("%w: %w", errLists, err)
	}
	entries, err := readLists(filepath.Join(root, filepath.FromSlash(lists)), args)
	if err != nil {
		return fmt.Errorf("%w: %w", errLists, err)
	}
	if list {
		for _, e := range entries {
			fmt.Fprintf(w, "%s  %s\n\t%s\n\t- %s\n\t+ %s\n", e.id(), e.file, e.why, e.old, e.new)
		}
		return nil
	}
	r := &runner{root: root, timeout: timeout}
	verdicts, err := tryAll(ctx, w, r, entries, workers)
	failed := report(w, verdicts)
	if err != nil {
		return err
	}
	return failed
}

// findRoot gives the folder of go.mod at or above the working directory.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.mod at or above the working directory; run it inside the repository")
		}
	}
}

// tryAll tries the entries, some at a time, and prints a line for each as it ends. The verdicts are
// in the order of the entries; those that could not be tried are left out, and the error has a line
// for each.
func tryAll(ctx context.Context, w io.Writer, r *runner, entries []entry, workers int) ([]verdict, error) {
	results := make([]*verdict, len(entries))
	next := make(chan int)
	var wrong []error
	var lock sync.Mutex
	done, start := 0, time.Now()
	end := func(i int, v verdict, err error) {
		lock.Lock()
		defer lock.Unlock()
		done++
		switch {
		case errors.Is(err, context.Canceled):
			return
		case err != nil:
			wrong = append(wrong, err)
			fmt.Fprintf(w, "%s  ERROR: %v\n", progress(done, len(entries), start), err)
		default:
			results[i] = &v
			fmt.Fprintf(w, "%s  %v\n", progress(done, len(entries), start), v)
		}
	}
	var group sync.WaitGroup
	for range min(workers, len(entries)) {
		group.Go(func() {
			for i := range next {
				v, err := r.try(ctx, entries[i])
				end(i, v, err)
			}
		})
	}
	for i := range entries {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	group.Wait()
	var verdicts []verdict
	for _, v := range results {
		if v != nil {
			verdicts = append(verdicts, *v)
		}
	}
	if ctx.Err() != nil {
		return verdicts, ctx.Err()
	}
	if wrong != nil {
		return verdicts, fmt.Errorf("%w: %d of %d entries are wrong", errLists, len(wrong), len(entries))
	}
	return verdicts, nil
}

// progress says how much is done and how long the rest takes, if it takes as long as what is done.
func progress(done, total int, start time.Time) string {
	left := time.Since(start) / time.Duration(done) * time.Duration(total-done)
	return fmt.Sprintf("%*d/%d  %6v left", len(fmt.Sprint(total)), done, total, left.Round(time.Second))
}
