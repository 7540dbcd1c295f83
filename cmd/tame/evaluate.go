package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
)

// evaluateArgs are the flags of `tame evaluate`.
type evaluateArgs struct {
	model, helpfulness, safety, tokenizer string
	data                                  []string
	lastTurnOnly, asJSON                  bool
	template                              *string
	judges                                pipeline.JudgesConfig
}

func evaluateCommand() *cobra.Command {
	a := evaluateArgs{judges: pipeline.DefaultJudgesConfig()}
	cmd := &cobra.Command{
		Use:   "evaluate --model MODEL --data FILE.arrow",
		Short: "Measure a model on a dataset",
		Long: `Measures a model on a dataset, without training. What is measured follows from both:

  a language model  conversations, samples or texts  loss per token, perplexity, token accuracy
  a reward model    preferences                      accuracy, by rating and by set
  a reward model    conversations or samples         mean reward of the last answers, by version
  two of them       conversations or samples         the same, by the combined reward of section 3.2.3

Two reward models are given by --helpfulness and --safety in the place of --model. Rows longer than the model's context are left out and
counted; texts are cut into windows. Means and shares have intervals of 95 %.`,
		Args:    noArguments,
		GroupID: groupTools,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("safety-threshold") && a.model != "" {
				return errors.New("--safety-threshold is for two reward models: give --helpfulness and --safety")
			}
			form, err := a.form(cmd)
			if err != nil {
				return err
			}
			var result measured
			err = phased(cmd, "measuring", func() (err error) {
				result, err = a.run(cmd.Context(), form)
				return err
			})
			if err != nil {
				return err
			}
			return result.print(cmd.OutOrStdout(), a.asJSON)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&a.model, "model", "", modelFiles)
	flags.StringVar(&a.helpfulness, "helpfulness", "", "helpfulness model, together with --safety: "+modelFiles)
	flags.StringVar(&a.safety, "safety", "", "safety model")
	flags.StringVar(&a.tokenizer, "tokenizer", "", tokenizerFiles+" (default: the one in the model)")
	flags.StringArrayVar(&a.data, "data", nil, "Arrow dataset; may be repeated, all of one form")
	a.template = templateFlag(flags)
	flags.BoolVar(&a.lastTurnOnly, "last-turn-only", false, "take the loss of conversations on their last answer alone")
	flags.Float64Var(&a.judges.SafetyThreshold, "safety-threshold", a.judges.SafetyThreshold, "safety, a probability, below which an answer is judged by its safety")
	flags.BoolVar(&a.asJSON, "json", false, "print everything as JSON")
	_ = cmd.MarkFlagRequired("data")
	return cmd
}

// measured is what came out: one of the last three.
type measured struct {
	Form    string `json:"form"`     // of the dataset
	Rows    int    `json:"rows"`     // that were measured
	TooLong int    `json:"left_out"` // longer than the context

	Loss        *lossReport              `json:"loss,omitempty"`
	Preferences *rewardmodel.Evaluation  `json:"preferences,omitempty"`
	Rewards     []pipeline.RewardSummary `json:"rewards,omitempty"`
}

func (m measured) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return printJSON(w, m)
	}
	left := ""
	if m.TooLong > 0 {
		left = fmt.Sprintf("; %d longer than the model's context are left out", m.TooLong)
	}
	form := m.Form
	if m.Rows != 1 {
		form += "s"
	}
	_, err := fmt.Fprintf(w, "%d %s%s\n", m.Rows, form, left)
	switch {
	case m.Loss != nil:
		_, err = fmt.Fprintln(w, m.Loss)
	case m.Preferences != nil:
		_, err = fmt.Fprintln(w, m.Preferences)
	}
	for _, v := range m.Rewards {
		line := fmt.Sprintf("  version %-3d reward %v of %d", v.Version, v.Reward, v.Reward.N)
		if v.Safety != nil {
			line += fmt.Sprintf("  helpfulness %.3f  safety %.3f", v.Helpfulness.Mean, v.Safety.Mean)
		}
		_, err = fmt.Fprintln(w, line)
	}
	return err
}

// form checks what is given, and returns the form of the datasets.
func (a *evaluateArgs) form(cmd *cobra.Command) (string, error) {
	if both := a.both(); both == (a.model != "") || !both && a.helpfulness+a.safety != "" {
		return "", errors.New("give --model, or both --helpfulness and --safety")
	}
	if err := checkInputs(append([]string{a.model, a.helpfulness, a.safety, a.tokenizer}, a.data...)); err != nil {
		return "", err
	}
	sets, closeAll, err := openDatasets(cmd, a.data)
	if err != nil {
		return "", err
	}
	defer closeAll()
	return sets[0].form.Name, nil
}

// both says that two reward models measure.
func (a *evaluateArgs) both() bool { return a.helpfulness != "" && a.safety != "" }

// run checks what fits together, and measures.
func (a *evaluateArgs) run(ctx context.Context, form string) (measured, error) {
	first, both := a.model, a.both()
	if both {
		first = a.helpfulness
	}
	p, tok, tmpl, err := loadChat(first, a.tokenizer, *a.template)
	if err != nil {
		return measured{}, err
	}
	m := measured{Form: form}
	switch {
	case a.lastTurnOnly && (form != "conversation" || both || p.HasHead()):
		return m, errors.New("--last-turn-only is for a language model and conversations")
	case !both && !p.HasHead():
		return a.loss(ctx, m, p, tok, tmpl)
	case !both && form == "preference":
		return a.accuracy(ctx, m, p, tmpl)
	case form != "conversation" && form != "sample" && both:
		return m, fmt.Errorf("%s holds %ss, want conversations or samples for two reward models", a.data[0], form)
	case form != "conversation" && form != "sample":
		return m, fmt.Errorf("%s is a reward model and %s holds %ss, want preferences, conversations or samples", a.model, a.data[0], form)
	}
	var judges *pipeline.Judges
	if both {
		judges, err = pipeline.LoadJudges(a.helpfulness, a.safety, tok, a.judgesConfig(p))
	} else {
		judges, err = pipeline.NewJudges(p, nil, a.judgesConfig(p))
	}
	if err != nil {
		return m, err
	}
	return a.rewards(ctx, m, judges, tmpl)
}

// judgesConfig has room for the longest pair.
func (a *evaluateArgs) judgesConfig(p *model.Params) pipeline.JudgesConfig {
	cfg := a.judges
	cfg.MicroTokens = max(2*p.Config().MaxSeqLen, cfg.MicroTokens)
	return cfg
}

// lossReport is what is measured of a language model.
type lossReport struct {
	Tokens     int     `json:"tokens"`
	Loss       float64 `json:"loss"` // nats per token
	Perplexity float64 `json:"perplexity"`
	Accuracy   float64 `json:"token_accuracy"`
}

func (r *lossReport) String() string {
	return fmt.Sprintf("  tokens          %d\n  loss            %.4f nats per token\n  perplexity      %.4g\n  token accuracy  %.1f %%",
		r.Tokens, r.Loss, r.Perplexity, 100*r.Accuracy)
}
