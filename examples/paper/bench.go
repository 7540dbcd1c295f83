package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"

	"github.com/tame-rlhf/tame/examples/internal/lab"
	"github.com/tame-rlhf/tame/internal/console"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/pretrain"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
	"github.com/tame-rlhf/tame/pkg/sft"
	"github.com/tame-rlhf/tame/pkg/train"
	"github.com/tame-rlhf/tame/pkg/world"
	"github.com/tame-rlhf/tame/pkg/world/oracle"
)

// bench is the small world of one seed with what the experiments share. The run of V1 to V5, which all of them need, is there from the
// start; nothing else in it is made before it is asked for.
type bench struct {
	*lab.Lab
	cache
	Oracle *oracle.Oracle   // for reports only
	Others *world.Annotator // people who label nothing but the general reward model's data
	many   many
	asked  map[string]string      // what each validation and test prompt asks, by its ID
	kinds  map[string]oracle.Kind // of these prompts

	base, chat, general *model.Params

	rounds              []pipeline.Version // V1 to V5, made with quickstart's recipe
	last                string             // the newest of them, in the cache
	helpfulness, safety *model.Params      // its reward models
	judges              *pipeline.Judges   // these behind the combined reward
}

// Names of results in the folder. The run of V1 to V5 has a folder of its own, with the chat model that it starts from; what came out of it is noted, so that
// its data need not be sampled again to see that nothing is left to do.
const (
	baseName     = "base"
	chatName     = "chat"
	runName      = "run"
	startName    = "run/start"
	generalName  = "general"
	openName     = "run/prompts/open.arrow"
	settingsName = "settings.json"
	doneName     = "versions.json"
)

func newBench(ctx context.Context, c *console.Console, dir string, seed uint64, s lab.Settings, m many) (*bench, error) {
	b := &bench{cache: cache{dir: filepath.Join(dir, fmt.Sprintf("seed-%d", seed))}, many: m}
	if err := sameSettings(b.path(settingsName), s); err != nil {
		return nil, err
	}
	var err error
	if b.Lab, err = lab.New(ctx, s, c); err != nil {
		return nil, err
	}
	b.cache.tok = b.Lab.Tok
	b.Oracle = oracle.New(b.World)
	others := s.Annotator
	others.Seed += 2000
	if b.Others, err = world.NewAnnotator(b.World, others); err != nil {
		return nil, err
	}
	b.asked, b.kinds = map[string]string{}, map[string]oracle.Kind{}
	for _, p := range slices.Concat(b.World.ValidationPrompts(), b.World.TestPrompts()) {
		if b.asked[p.ID], err = b.Oracle.Question(p); err != nil {
			return nil, err
		}
		if b.kinds[p.ID], err = b.Oracle.Kind(p); err != nil {
			return nil, err
		}
	}
	if b.rounds, err = b.versions(ctx); err != nil {
		return nil, err
	}
	newest := b.rounds[len(b.rounds)-1]
	b.last = fmt.Sprintf("%s/v%d", runName, newest.Number)
	b.judges, b.helpfulness, b.safety, err = b.LoadJudges(newest)
	return b, err
}

// sameSettings notes the settings in a new folder, and refuses a folder of other ones.
func sameSettings(path string, s lab.Settings) error {
	want, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	got, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return renameio.WriteFile(path, want, 0o644)
	case err == nil && !bytes.Equal(got, want):
		return fmt.Errorf("%s holds other settings: give another folder", path)
	}
	return err
}

// pretrained is a model that has read the world's text.
func (b *bench) pretrained(ctx context.Context, name string, cfg model.Config) (*model.Params, error) {
	s := step{"pretraining", struct {
		Model    model.Config
		World    world.Config
		Pretrain pretrain.Config
	}{cfg, b.Settings.World, b.Pretrain}, b.Pretrain.Seed, nil}
	return b.params(name, s, func(keep train.Checkpointing) (*model.Params, error) {
		l := *b.Lab
		l.Model, l.Work = cfg, keep.Dir
		return l.Base(ctx)
	})
}

// tuned is SFT on the demonstrations.
func (b *bench) tuned(ctx context.Context, name, from string, p *model.Params) (*model.Params, error) {
	return b.params(name, step{"SFT", b.SFT, b.SFT.Seed, []string{from}}, func(keep train.Checkpointing) (*model.Params, error) {
		demos, err := b.Demonstrations()
		if err != nil {
			return nil, err
		}
		return b.fineTune(ctx, name, p, demos, b.SFT, keep)
	})
}

// fineTune is SFT that resumes from its checkpoint.
func (b *bench) fineTune(ctx context.Context, name string, p *model.Params, examples []data.Example, cfg sft.Config, keep train.Checkpointing) (*model.Params, error) {
	l := *b.Lab
	l.Work = keep.Dir
	return l.FineTune(ctx, name, p, examples, cfg)
}

// Base is the pretrained model.
func (b *bench) Base(ctx context.Context) (p *model.Params, err error) {
	if b.base == nil {
		b.base, err = b.pretrained(ctx, baseName, b.Model)
	}
	return b.base, err
}

// Chat is the model after SFT.
func (b *bench) Chat(ctx context.Context) (*model.Params, error) {
	if b.chat != nil {
		return b.chat, nil
	}
	if _, err := os.Stat(b.path(startName)); err == nil {
		b.chat, err = model.Load(b.path(startName))
		return b.chat, err
	}
	p, err := b.Base(ctx)
	if err == nil {
		b.chat, err = b.tuned(ctx, chatName, baseName, p)
	}
	return b.chat, err
}

// versions reads or makes the run.
func (b *bench) versions(ctx context.Context) ([]pipeline.Version, error) {
	raw, err := os.ReadFile(b.path(doneName))
	if err == nil {
		var list []pipeline.Version
		err = json.Unmarshal(raw, &list)
		return relocated(list, b.path), err
	}
	chat, err := b.Chat(ctx)
	if err != nil {
		return nil, err
	}
	d, err := b.Data(ctx, chat)
	if err != nil {
		return nil, err
	}
	cfg := b.Iteration
	show := b.Watch()
	cfg.Watch = func(e pipeline.Event) {
		if !e.Reused {
			show(e)
		}
	}
	list, err := pipeline.Run(ctx, b.path(runName), d, cfg)
	if err != nil {
		return nil, err
	}
	relative := func(path string) string {
		name, e := filepath.Rel(b.dir, path)
		err = errors.Join(err, e)
		return filepath.ToSlash(name)
	}
	raw, e := json.MarshalIndent(relocated(list, relative), "", "  ")
	if err = errors.Join(err, e); err != nil {
		return nil, err
	}
	return list, renameio.WriteFile(b.path(doneName), raw, 0o644)
}

// relocated are the versions with other paths.
func relocated(list []pipeline.Version, move func(string) string) []pipeline.Version {
	list = slices.Clone(list)
	for i := range list {
		v := &list[i]
		for _, path := range []*string{&v.Model, &v.Tuned, &v.Helpfulness, &v.Safety} {
			*path = move(*path)
		}
	}
	return list
}

// rewardModel trains one from a chat model, as the run does: the same start of the head, so that models with other settings or data can be
// compared with the run's.
func (b *bench) rewardModel(ctx context.Context, name, from string, pairs []data.Pair, cfg rewardmodel.Config) (*model.Params, error) {
	s := step{"reward model", struct {
		rewardmodel.Config
		Pairs string
	}{cfg, digest(pairs)}, cfg.Seed, []string{from}}
	return b.params(name, s, func(keep train.Checkpointing) (*model.Params, error) {
		p, err := model.Load(b.path(from))
		if err != nil {
			return nil, err
		}
		p.AddHead(rand.New(rand.NewPCG(b.Iteration.Seed, 1)))
		cfg.Checkpointing = keep
		return p, b.TrainRewardModel(ctx, name, p, pairs, cfg)
	})
}
