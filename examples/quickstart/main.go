// Quickstart takes a model of 800 thousand weights from random numbers through Llama 2's training in a small synthetic world:
// pretraining, SFT, two reward models, rejection sampling and PPO. An oracle that no stage can see tells whether it got
// better. docs/quickstart.md explains what it prints.
package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"

	"github.com/tame-rlhf/tame/examples/internal/lab"
	"github.com/tame-rlhf/tame/internal/console"
	"github.com/tame-rlhf/tame/pkg/world/oracle"
)

func main() {
	seed := flag.Uint64("seed", 1, "decides the world and all randomness")
	out := flag.String("out", "", "folder for results.json, samples and models; nothing is written without it")
	name := flag.String("control", "none", "a run that has to gain less: shuffled (preference labels) or sft (demonstrations only)")
	short := flag.Bool("short", false, "a small world and few steps: shows that everything works, not that it learns")
	flag.Parse()

	lab.Main("quickstart", "stopped", func(ctx context.Context, c *console.Console) error {
		return quickstart(ctx, c, *seed, *name, *short, *out)
	})
}

func quickstart(ctx context.Context, con *console.Console, seed uint64, name string, short bool, out string) error {
	s := lab.Default(seed)
	if short {
		s = lab.Short(seed)
	}
	which, err := parseControl(name)
	if err != nil {
		return err
	}
	l, err := lab.New(ctx, s, con)
	if err != nil {
		return err
	}
	dir, done, err := workFolder(out)
	if err != nil {
		return err
	}
	defer done()
	if out != "" {
		l.Work = filepath.Join(out, ".work")
	}
	c := &chain{Lab: l, control: which, oracle: oracle.New(l.World), results: results{Seed: seed, Control: name}}
	if err := c.run(ctx, dir); err != nil {
		return err
	}
	c.results.print(con)
	return errors.Join(c.results.write(dir), os.RemoveAll(filepath.Join(dir, ".work")))
}
