package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/train"
)

type logProbsInput struct {
	Tokens []int32 `json:"tokens"`
}

func logProbsCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "logprobs --model PATH",
		Short: "Score token sequences: the log-probability of each token after the first",
		Long:  `Reads {"tokens": [t0, t1, ...]} and writes {"logprobs": [log p(t1 given t0), ...]}, natural logarithms, one fewer than tokens.`,
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var p *model.Params
			err := phased(cmd, "loading "+path, func() (err error) {
				p, err = model.Load(path)
				return err
			})
			if err != nil {
				return err
			}
			forward, err := train.ForwardOf(p, "model", p.Config().MaxSeqLen, 1, (*model.Trunk).LogProbs) // one sequence
			if err != nil {
				return err
			}
			batch := data.NewRagged(p.Config().MaxSeqLen, 1)
			return answerLines(cmd, func(_ int, in logProbsInput) (any, error) {
				logProbs, err := scoreTokens(cmd.Context(), forward, batch, in.Tokens, p.Config())
				return map[string][]float32{"logprobs": logProbs}, err
			})
		},
	}
	cmd.Flags().StringVar(&path, "model", "", modelFiles)
	_ = cmd.MarkFlagRequired("model")
	return cmd
}

func scoreTokens(ctx context.Context, forward *train.Forward, batch *data.Ragged, tokens []int32, cfg model.Config) ([]float32, error) {
	if len(tokens) < 2 {
		return nil, fmt.Errorf(`"tokens" has %d ids, want at least 2`, len(tokens))
	}
	if len(tokens) > cfg.MaxSeqLen {
		return nil, fmt.Errorf("%d tokens are more than the model's context of %d", len(tokens), cfg.MaxSeqLen)
	}
	if err := cfg.CheckTokens(tokens); err != nil {
		return nil, err
	}
	batch.Reset()
	if _, err := batch.Append(tokens, slices.Repeat([]bool{true}, len(tokens))); err != nil {
		return nil, err
	}
	out, err := forward.Run(ctx, batch)
	if err != nil {
		return nil, err
	}
	return out[0][:len(tokens)-1], nil
}
