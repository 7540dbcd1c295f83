// Command realdata runs the chain of quickstart on other people's data: a small pretrained model, SFT on demonstrations,
// Ghost Attention on dialogues, two reward models on human preferences, rejection sampling and PPO. docs/realdata.md says what it reads and what came out.
package main

import (
	"context"
	"flag"

	"github.com/tame-rlhf/tame/examples/internal/lab"
	"github.com/tame-rlhf/tame/internal/console"
)

func main() {
	dir := flag.String("data", "", "folder of the public data sets, with stories260k, self_instruct, llamafactory_demo, pandalm, llmbar, hh_rlhf_harmless and fastchat in it")
	seed := flag.Uint64("seed", 1, "decides all randomness but the split, which is always the same")
	out := flag.String("out", "", "file for the results as JSON; nothing is written without it")
	short := flag.Bool("short", false, "few rows and few steps: shows that everything works, not that it learns")
	flag.Parse()

	lab.Main("realdata", "stopped", func(ctx context.Context, c *console.Console) error {
		return realdata(ctx, c, *dir, *seed, *short, *out)
	})
}

func realdata(ctx context.Context, c *console.Console, dir string, seed uint64, short bool, out string) error {
	s := defaultSettings(seed)
	if short {
		s = shortSettings(seed)
	}
	l, base, err := newLab(dir, s, c)
	if err != nil {
		return err
	}
	r, err := l.run(ctx, base)
	if err != nil {
		return err
	}
	r.print(c)
	if out == "" {
		return nil
	}
	return r.write(out)
}
