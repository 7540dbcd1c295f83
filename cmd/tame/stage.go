package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tame-rlhf/tame/internal/console"
	"github.com/tame-rlhf/tame/internal/output"
	"github.com/tame-rlhf/tame/internal/yamlconf"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/setting"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

//go:generate go run ../../internal/yamlconf/gendocs ../.. fielddocs.json
//go:generate go test . -run TestSettingsPage -update

//go:embed fielddocs.json
var fieldDocsJSON []byte

// fieldDocs are what --print-config writes above the keys.
func fieldDocs() (docs yamlconf.Docs, err error) {
	err = json.Unmarshal(fieldDocsJSON, &docs)
	return docs, err
}

// stage is a command with a configuration C and a result that a stopped run goes on to.
type stage[C any] struct {
	name, short, long string

	defaults func() C
	// adapt gives the defaults that belong to a setting, such as the kind of a reward model; nil if there are none such. It is given
	// a configuration as the user wrote it.
	adapt func(written C) C
	// check reports every setting that makes no sense.
	check func(check *setting.Checks, c *C)
	// needs reports what is missing beside required keys; nil if nothing can be.
	needs func(c *C) error
	// plan says where the result goes, and the run's seed.
	plan func(c *C) (runConfig, uint64)
	// scores says that the stage may start from a reward model.
	scores bool
	// inputs are files and folders in a fixed order; empty names are none. Default nil: those of the keys tagged input, in their order.
	inputs func(c *C) []string
	// run does the work and ends with stageRun.finish. The run has the model if the configuration has a modelConfig.
	run func(ctx context.Context, r *stageRun, c *C) error
}

// runConfig is what all stages have.
type runConfig struct {
	// Output is what the stage makes: a folder, which must not be there yet. While the stage runs, OUTPUT.checkpoint is what
	// --resume goes on from.
	Output string `conf:"required,place"`
	// Log is a new file of JSON lines, one for each step with its metrics and the name of the run. --resume continues the log of the same
	// run. Default: none.
	Log string `conf:"place"`
	// CheckpointEvery is how much work a run that is killed loses at most: a number of optimisation steps, of PPO iterations, of
	// sampling prompts. Ctrl-C loses nothing but an iteration or the prompts begun.
	CheckpointEvery int `conf:"place"`
}

const longStage = `The configuration is the defaults, with --config FILE over them, and each --set over both. --print-config prints all of
it as YAML, each setting below its meaning, and can be the start of a file.

A run that was stopped, by Ctrl-C or in any other way, goes on from OUTPUT.checkpoint when the same command is started with --resume,
and ends in the same bytes.`

// stageCommand makes the command line of a stage.
func stageCommand[C any](s stage[C]) *cobra.Command {
	var file string
	var sets []string
	var resume, printConfig bool
	cmd := &cobra.Command{
		Use:     s.name + " --config FILE.yaml [--set key=value ...] [--resume]",
		Short:   s.short,
		Long:    s.long + "\n\n" + longStage,
		Args:    noArguments,
		GroupID: groupStages,

		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, source, err := loadConfig(s, file, sets)
			if source == nil || err != nil && printConfig {
				return err
			}
			if printConfig {
				docs, err := fieldDocs()
				return errors.Join(err, yamlconf.Print(cmd.OutOrStdout(), cfg, docs))
			}
			errs := []error{err, source.Missing(), source.MissingInputs(), source.Explain(s.checked(cfg))}
			if s.needs != nil {
				errs = append(errs, source.Explain(s.needs(cfg)))
			}
			if err := errors.Join(errs...); err != nil {
				return err
			}
			again := againCommand(s.name, file, sets)
			return source.Explain(runStage(cmd.Context(), s, cfg, file, resume, again, cmd.OutOrStdout(), cmd.ErrOrStderr()))
		},
	}
	cmd.SetFlagErrorFunc(explainSetting(func(assignment string) error {
		_, _, err := loadConfig(s, "", []string{assignment})
		return err
	}))
	cmd.Flags().StringVar(&file, "config", "", "YAML file")
	cmd.Flags().StringArrayVar(&sets, "set", nil, "change one setting, such as --set optim.learning_rate=1e-4")
	cmd.Flags().BoolVar(&resume, "resume", false, "go on with a run that was stopped; start it if there is none")
	cmd.Flags().BoolVar(&printConfig, "print-config", false, "print the configuration as YAML, with comments, and end")
	return cmd
}

// loadConfig puts defaults, file and assignments over each other.
func loadConfig[C any](s stage[C], file string, sets []string) (*C, *yamlconf.Source, error) {
	load := func(cfg *C) (*yamlconf.Source, error) {
		source, err := yamlconf.Load(file, cfg)
		if source == nil {
			return nil, err
		}
		errs := []error{err}
		for _, assignment := range sets {
			errs = append(errs, source.Set(assignment))
		}
		return source, errors.Join(errs...)
	}
	cfg := s.defaults()
	source, err := load(&cfg)
	if source == nil || s.adapt == nil {
		return &cfg, source, err
	}
	cfg = s.adapt(cfg)
	source, err = load(&cfg)
	return &cfg, source, err
}

// runStage runs a stage with a complete configuration, from a file if that is not empty.
func runStage[C any](ctx context.Context, s stage[C], cfg *C, file string, resume bool, again string, out, progress io.Writer) error {
	p, seed := s.plan(cfg)
	show := console.New(progress)
	defer show.Close()
	show.Printf("%s: output %s", s.name, p.Output)
	lineage := data.Lineage{Stage: s.name, Config: yamlconf.JSON(cfg), Seed: seed}
	inputs := yamlconf.Inputs(cfg)
	if s.inputs != nil {
		inputs = s.inputs(cfg)
	}
	o := newOutput(p.Output)
	if err := errors.Join(checkInputs(inputs), o.check(append(slices.Clone(inputs), file), p.Log)); err != nil {
		return err
	}
	r := &stageRun{stage: s.name, output: o, every: p.CheckpointEvery, out: out, console: show}
	show.Phase("hashing the inputs")
	r.hasher.OnProgress = hashProgress(show)
	if err := addInputs(ctx, &r.hasher, &lineage, inputs...); err != nil {
		if ctx.Err() != nil {
			return &stoppedError{again: again, kept: o.begun()}
		}
		return err
	}
	r.lineage = lineage
	var err error
	if r.output.set, err = output.New(inputs, o.place()); err != nil {
		return err
	}
	defer r.output.set.Close()
	done, err := r.output.begin(lineage, resume)
	if err != nil {
		return err
	}
	if done {
		if _, err := r.hasher.Fingerprint(ctx, p.Output); err != nil { // it says that it is whole
			return err
		}
		removeEmpty(p.Log) // of a run that was killed after it had written the result
		show.Close()
		fmt.Fprintf(out, "%s is finished already.\n", p.Output)
		return nil
	}
	running, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	if p.Log != "" {
		if r.log, err = r.openLog(p.Log, resume, fail); err != nil {
			return fmt.Errorf("log: %w", err)
		}
		defer r.log.close()
	}
	if m, ok := any(cfg).(modelLoader); ok {
		show.Phase("loading the model")
		r.policy, r.tok, r.tmpl, err = m.load()
		if err == nil {
			r.lineage.Template = r.tmpl.Name()
		}
		if err == nil && !s.scores {
			err = checkPolicy(inputs[0], r.policy)
		}
	}
	if err == nil {
		show.Phase("reading the data")
		r.noteUnused(inputs)
		err = s.run(running, r, cfg)
	}
	return r.ended(ctx, err, again)
}

// modelLoader is a configuration with a modelConfig.
type modelLoader interface {
	load() (*model.Params, *tokenizer.Tokenizer, *data.Template, error)
}

// checked reports every setting that makes no sense, those of all stages too.
func (s stage[C]) checked(cfg *C) error {
	check := setting.NewChecks("tame: Config")
	place, _ := s.plan(cfg)
	check.AtLeast("CheckpointEvery", place.CheckpointEvery, 1)
	s.check(check, cfg)
	return check.Err()
}

// addInputs notes what a run is made from. Empty names are none.
func addInputs(ctx context.Context, h *data.Hasher, l *data.Lineage, paths ...string) error {
	for _, path := range paths {
		if path == "" {
			continue
		}
		if err := h.Add(ctx, l, path); err != nil {
			return err
		}
	}
	return nil
}

// hashProgress shows the hashing of large files.
func hashProgress(c *console.Console) func(path string, done, size int64) {
	const large = 256 << 20
	var task *console.Task
	return func(path string, done, size int64) {
		if size < large {
			return
		}
		if task == nil {
			task = c.Start("reading "+filepath.Base(path), int(size>>20))
		}
		if task.Update(int(done>>20), "MiB"); done >= size {
			task.Done("")
			task = nil
		}
	}
}

// checkInputs names all inputs that are not there.
func checkInputs(paths []string) error {
	var errs []error
	for _, path := range paths {
		if path == "" {
			continue
		}
		if _, err := os.Stat(path); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// againCommand is the command line that goes on with a run.
func againCommand(name, file string, sets []string) string {
	words := []string{"tame", name}
	if file != "" {
		words = append(words, "--config", file)
	}
	for _, s := range sets {
		words = append(words, "--set", s)
	}
	return shellQuote(append(words, "--resume"))
}

// shellQuote is a command line that a shell splits into these words.
func shellQuote(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		if quoted[i] = w; strings.ContainsAny(w, " \t\n'\"[]{}()*?$&|;<>\\`!#~") {
			quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}
