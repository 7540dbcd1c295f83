package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/tame-rlhf/tame/internal/console"
)

func main() {
	seed := flag.Uint64("seed", 1, "decides the world and all randomness")
	out := flag.String("out", "", "folder for results.json, samples and models; none are written without it")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	c := console.New(os.Stdout)
	err := run(ctx, c, defaultSettings(*seed), *out)
	c.Close()
	switch {
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "quickstart: stopped")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}
