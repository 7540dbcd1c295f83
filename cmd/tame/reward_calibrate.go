package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tame-rlhf/tame/internal/console"
	"github.com/tame-rlhf/tame/internal/output"
	"github.com/tame-rlhf/tame/internal/yamlconf"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
	"github.com/tame-rlhf/tame/pkg/setting"
)

// checkCalibration refuses to move a safety model.
func checkCalibration(check *setting.Checks, kind data.Set, cfg rewardmodel.Calibration) {
	check.Nested("Calibration", cfg.Validate())
	check.That(kind != data.SafetySet || cfg.Method == rewardmodel.CalibrateNone, "Calibration.Method", cfg.Method,
		"none: a safety model has its level from its labels, and the gate depends on it")
}

// calibrateReward sets the level of a trained model, on the pairs of its own set if there are any.
func calibrateReward(ctx context.Context, p *model.Params, pairs []data.Pair, c *rewardConfig) (rewardmodel.Level, error) {
	if own, _ := rewardmodel.BySet(pairs, c.Kind); len(own) > 0 {
		pairs = own
	}
	scorer, err := rewardmodel.NewScorer(p, c.MicroTokens, c.MicroSegments)
	if err != nil {
		return rewardmodel.Level{}, err
	}
	return rewardmodel.CalibratePairs(ctx, scorer, pairs, c.Calibration)
}

// calibrateArgs are the flags of `tame reward calibrate`.
type calibrateArgs struct {
	model, tokenizer, output string
	data                     []string
	method, answers          string
	template                 *string
	rewardmodel.Calibration
}

func rewardCalibrateCommand() *cobra.Command {
	a := calibrateArgs{Calibration: rewardmodel.DefaultCalibration()}
	cmd := &cobra.Command{
		Use:   "calibrate --model MODEL --data PAIRS.arrow --output OUT",
		Short: "Set the level of a helpfulness model's scores",
		Long: `Moves the bias of a helpfulness model so that a quantile, or the mean, of its scores of the answers in PAIRS.arrow is at a level.

The ranking loss leaves the level open, and R_c of section 3.2.3 compares it with the safety score at which the gate catches an answer, whose
logit is -1.735. If the level is low, an unsafe answer gains by being caught. Use pairs whose answers are of the model that PPO or
rejection sampling starts from. Never calibrate the safety model: it has its level from its labels.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&a.model, "model", "", "reward model: "+modelFiles)
	flags.StringArrayVar(&a.data, "data", nil, "Arrow dataset of preferences; may be repeated")
	flags.StringVar(&a.output, "output", "", "folder of the calibrated model, which must not exist")
	flags.StringVar(&a.tokenizer, "tokenizer", "", tokenizerFiles+" (default: the one in the model)")
	a.template = templateFlag(flags)
	flags.StringVar(&a.method, "method", "quantile", "what is moved to the level: quantile or mean")
	flags.Float64Var(&a.Quantile, "quantile", a.Quantile, "share of the answers that may have a score below the level")
	flags.Float64Var(&a.Level, "level", a.Level, "raw score")
	flags.StringVar(&a.answers, "answers", "all", "answers that are scored: all or chosen")
	for _, name := range []string{"model", "data", "output"} {
		_ = cmd.MarkFlagRequired(name)
	}
	return cmd
}

// run reads, moves the bias, and writes the folder.
func (a *calibrateArgs) run(ctx context.Context, out, progress io.Writer) error {
	inputs := append([]string{a.model, a.tokenizer}, a.data...)
	errs := []error{checkOutputs(inputs, output.Folder(a.output))}
	if err := a.Method.UnmarshalText([]byte(a.method)); err != nil || a.Method == rewardmodel.CalibrateNone {
		errs = append(errs, fmt.Errorf("--method is %q, want quantile or mean", a.method))
	}
	if err := a.Answers.UnmarshalText([]byte(a.answers)); err != nil {
		errs = append(errs, fmt.Errorf("--answers is %q, want all or chosen", a.answers))
	}
	if err := errors.Join(append(errs, a.Calibration.Validate())...); err != nil {
		return err
	}
	show := console.New(progress)
	defer show.Close()
	show.Phase("calibrating %s", a.model)
	if isSafetyModel(a.model) {
		return fmt.Errorf("%s was trained as a safety model: it has its level from its labels, and the gate depends on it; give the helpfulness model", a.model)
	}
	p, tok, tmpl, err := loadChat(a.model, a.tokenizer, *a.template)
	if err != nil {
		return err
	}
	lineage := data.Lineage{Stage: "reward calibrate", Config: yamlconf.JSON(&a.Calibration)}
	if err := addInputs(ctx, new(data.Hasher), &lineage, inputs...); err != nil {
		return err
	}
	pairs, tooLong, err := readPairs(a.data, tmpl, p.Config().MaxSeqLen)
	if err != nil {
		return err
	}
	if tooLong > 0 {
		show.Printf("%d of %d pairs are longer than the model's context of %d tokens and left out",
			tooLong, tooLong+len(pairs), p.Config().MaxSeqLen)
	}
	tokens := max(2*p.Config().MaxSeqLen, 4096)
	scorer, err := rewardmodel.NewScorer(p, tokens, 64)
	if err != nil {
		return fmt.Errorf("%s: %w", a.model, err)
	}
	level, err := rewardmodel.CalibratePairs(ctx, scorer, pairs, a.Calibration)
	if err != nil {
		return err
	}
	err = makeOutput(inputs, output.Folder(a.output), func(dir string) error {
		return model.Save(dir, p, func(dir string) error {
			return errors.Join(folderExtras(tok, lineage)(dir), level.Write(dir))
		})
	})
	if err != nil {
		return err
	}
	show.Close()
	_, err = fmt.Fprintf(out, "%v\n%s is written\n", level, a.output)
	return err
}

// isSafetyModel says whether the lineage of a model names it a safety model: that of tame reward by
// its kind, that of a pipeline's run by its step. A model from elsewhere says nothing.
func isSafetyModel(path string) bool {
	l, err := data.ReadLineage(path)
	if err != nil {
		return false
	}
	var c struct {
		Kind string `json:"kind"`
	}
	return strings.HasSuffix(l.Stage, "safety model") || json.Unmarshal(l.Config, &c) == nil && c.Kind == data.SafetySet.String()
}

// readPairs reads preferences and leaves out what is longer than the context, counting it. Of pairs that were sampled it takes the ids: a
// model may have written a tag of the chat format, which text may not have.
func readPairs(paths []string, tmpl *data.Template, context int) (pairs []data.Pair, tooLong int, err error) {
	rows, err := readAll(paths, "preference", readers[data.Pair]{as(pipeline.SampledPreference.Pair), encoded(func(p data.Preference) (data.Pair, error) {
		return encodePair(tmpl, p)
	})})
	if err != nil {
		return nil, 0, err
	}
	pairs, tooLong = upTo(context, rows, pairLength)
	return pairs, tooLong, nil
}
