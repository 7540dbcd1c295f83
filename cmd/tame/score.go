package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
)

type scoreInput struct {
	Messages []data.Message `json:"messages"`
	Prompt   *string        `json:"prompt"`
	Chosen   *string        `json:"chosen"`
	Rejected *string        `json:"rejected"`
}

func scoreCommand() *cobra.Command {
	var path, tokenizerPath string
	var template *string
	cmd := &cobra.Command{
		Use:   "score --model PATH",
		Short: "Score answers with a reward model",
		Long: `Reads {"messages": [...]} with an answer at the end, or {"prompt": "...", "chosen": "...", "rejected": "..."},` + "\n" +
			`and writes {"score": x} or {"chosen": x, "rejected": y}: raw scalars, before any sigmoid.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var p *model.Params
			var tmpl *data.Template
			err := phased(cmd, "loading "+path, func() (err error) {
				p, _, tmpl, err = loadChat(path, tokenizerPath, *template)
				return err
			})
			if err != nil {
				return err
			}
			scorer, err := rewardmodel.NewScorer(p, 2*p.Config().MaxSeqLen, 2)
			if err != nil {
				return err
			}
			return answerLines(cmd, func(_ int, in scoreInput) (any, error) {
				return scoreLine(cmd.Context(), scorer, tmpl, in)
			})
		},
	}
	cmd.Flags().StringVar(&path, "model", "", "Hugging Face folder of a reward model")
	cmd.Flags().StringVar(&tokenizerPath, "tokenizer", "", "SentencePiece .model (default: tokenizer.model of the model's folder)")
	template = templateFlag(cmd.Flags())
	_ = cmd.MarkFlagRequired("model")
	return cmd
}

func scoreLine(ctx context.Context, scorer *rewardmodel.Scorer, tmpl *data.Template, in scoreInput) (map[string]float64, error) {
	pair := in.Prompt != nil && in.Chosen != nil && in.Rejected != nil
	var dialogs [][]data.Message
	switch {
	case in.Messages != nil && in.Prompt == nil && in.Chosen == nil && in.Rejected == nil:
		dialogs = [][]data.Message{in.Messages}
	case in.Messages == nil && pair:
		for _, answer := range []string{*in.Chosen, *in.Rejected} {
			dialogs = append(dialogs, []data.Message{{Role: data.User, Content: *in.Prompt}, {Role: data.Assistant, Content: answer}})
		}
	default:
		return nil, errors.New(`give "messages", or all of "prompt", "chosen" and "rejected"`)
	}
	sequences := make([][]int32, len(dialogs))
	for i, messages := range dialogs {
		if len(messages) == 0 || messages[len(messages)-1].Role != data.Assistant {
			return nil, errors.New("the last message has to be the assistant's: its answer is scored")
		}
		e, err := tmpl.EncodeDialog(messages, data.AllTurns)
		if err != nil {
			return nil, err
		}
		sequences[i] = e.Tokens
	}
	scores, err := scorer.Score(ctx, sequences)
	if err != nil {
		return nil, err
	}
	if pair {
		return map[string]float64{"chosen": scores[0], "rejected": scores[1]}, nil
	}
	return map[string]float64{"score": scores[0]}, nil
}
