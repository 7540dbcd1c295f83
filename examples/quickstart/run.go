package main

import (
	"context"

	"github.com/tame-rlhf/tame/internal/console"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/sft"
	"github.com/tame-rlhf/tame/pkg/world/oracle"
)

func run(ctx context.Context, c *console.Console, s settings, out string) error {
	l, err := newLab(s, c)
	if err != nil {
		return err
	}
	o := oracle.New(l.world)
	if err := l.trainTokenizer(ctx); err != nil {
		return err
	}
	base, err := l.pretrainModel(ctx)
	if err != nil {
		return err
	}
	demos, err := sft.Encode(l.tmpl, l.world.Demonstrations(), data.AllTurns)
	if err != nil {
		return err
	}
	chat, err := l.fineTune(ctx, "SFT", base, demos, l.sft)
	if err != nil {
		return err
	}
	r, samples, err := l.evaluate(ctx, "SFT", chat, chat, l.world.ValidationPrompts(), nil, o)
	if err != nil {
		return err
	}
	for i := 0; i < len(samples); i += 12 {
		c.Printf("%v => %s", samples[i].Messages, samples[i].Text)
	}
	c.Printf("%+v", r)
	return nil
}
