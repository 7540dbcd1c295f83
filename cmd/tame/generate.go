package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/generate"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

type generateInput struct {
	Prompt   *string        `json:"prompt"`
	Tokens   []int32        `json:"tokens"`
	Messages []data.Message `json:"messages"`
}

type completion struct {
	Text     string    `json:"text"`
	Tokens   []int32   `json:"tokens"`
	LogProbs []float32 `json:"logprobs"`
	Finish   string    `json:"finish"` // stop or length
}

// mostLineTokens bounds the completions of a line, which are in memory until it is written: about 1 GiB.
const mostLineTokens = 1 << 24

func generateCommand() *cobra.Command {
	var path, tokenizerPath string
	var template *string
	var n int
	cfg := generate.DefaultSampling()
	cfg.Temperature = 0
	cmd := &cobra.Command{
		Use:   "generate --model PATH",
		Short: "Sample completions",
		Long: `Reads {"prompt": "..."}, {"tokens": [...]} or {"messages": [...]} and writes` + "\n" +
			`{"completions": [{"text": "...", "tokens": [...], "logprobs": [...], "finish": "stop" or "length"}]}.` + "\n" +
			"A sample's random stream depends on the seed, the line's number and the sample's index alone.\n" +
			"Flags that are not set are taken from the model's generation_config.json, if it says how to sample.",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var p *model.Params
			var tok *tokenizer.Tokenizer
			err := phased(cmd, "loading "+path, func() (err error) {
				p, tok, err = model.LoadWithTokenizer(path, tokenizerPath)
				return err
			})
			tellAside(cmd, path, p)
			if err = cmp.Or(err, checkPolicy(path, p)); err != nil {
				return err
			}
			if err := useGeneration(cmd, path, p, &cfg); err != nil {
				return err
			}
			cfg.Fit(p, tok)
			limited := cfg
			limited.MaxNewTokens = min(cfg.MaxNewTokens, p.Config().MaxSeqLen)
			if n < 1 || limited.CheckTokens(n, mostLineTokens) != nil {
				return fmt.Errorf("--n is %d, want 1 to %d completions a line: with --max-new-tokens %d one can have %d tokens, a line at most %d",
					n, mostLineTokens/max(limited.MaxNewTokens, 1), cfg.MaxNewTokens, limited.MaxNewTokens, mostLineTokens)
			}
			chat := sync.OnceValues(func() (*data.Template, error) { return chatTemplate(tok, p.Ends(), *template) })
			return answerLines(cmd, func(line int, in generateInput) (any, error) {
				prompt, err := promptIDs(p, tok, in, chat)
				if err != nil {
					return nil, err
				}
				list, err := complete(cmd.Context(), p, tok, generate.Request{Prompt: prompt, ID: uint64(line), Samples: n}, cfg, in.Prompt != nil)
				return map[string][]completion{"completions": list}, err
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&path, "model", "", modelFiles)
	flags.StringVar(&tokenizerPath, "tokenizer", "", tokenizerFiles+" (default: the one in the model)")
	flags.Float64Var(&cfg.Temperature, "temperature", cfg.Temperature, "divides the logits; 0 takes the most probable token")
	flags.Float64Var(&cfg.TopP, "top-p", cfg.TopP, "keep the most probable tokens that add up to this probability")
	flags.IntVar(&cfg.TopK, "top-k", cfg.TopK, "keep this many of the most probable tokens; 0 keeps all")
	flags.IntVar(&cfg.MaxNewTokens, "max-new-tokens", cfg.MaxNewTokens, "longest completion")
	flags.IntVar(&n, "n", 1, "completions per line")
	flags.Uint64Var(&cfg.Seed, "seed", 0, "of the random streams")
	template = templateFlag(flags)
	_ = cmd.MarkFlagRequired("model")
	return cmd
}

// promptIDs gives the ids to go on from. A prompt gets the begin-of-sequence id in front where the tokenizer's files say so (see
// tokenizer.AddsBOS); tokens are taken as they are. chat gives the chat
// format, which only messages need.
func promptIDs(p *model.Params, tok *tokenizer.Tokenizer, in generateInput, chat func() (*data.Template, error)) ([]int32, error) {
	given := 0
	for _, has := range []bool{in.Prompt != nil, in.Tokens != nil, in.Messages != nil} {
		if has {
			given++
		}
	}
	switch {
	case given != 1:
		return nil, errors.New(`give one of "prompt", "tokens" and "messages"`)
	case in.Tokens != nil:
		return in.Tokens, nil
	case tok == nil:
		return nil, errNoTokenizer
	case in.Prompt != nil && !tok.AddsBOS():
		return tok.Encode(*in.Prompt), nil
	case in.Prompt != nil:
		return append([]int32{p.Config().BOS}, tok.Encode(*in.Prompt)...), nil
	}
	tmpl, err := chat()
	if err != nil {
		return nil, err
	}
	return tmpl.Within(p.Config().VocabSize).EncodePrompt(in.Messages)
}

// complete samples. The text of a continued prompt is what the prompt's text goes on with, its leading space included;
// an answer to messages stands alone.
func complete(ctx context.Context, p *model.Params, tok *tokenizer.Tokenizer, req generate.Request, cfg generate.Sampling, goesOn bool) (list []completion, err error) {
	sampled, err := generate.Generate(ctx, p, []generate.Request{req}, cfg)
	if err != nil {
		return nil, err
	}
	for _, s := range sampled[0] {
		c := completion{Tokens: s.Tokens, LogProbs: s.LogProbs, Finish: "length"}
		if s.Finished {
			c.Finish = "stop"
		}
		if tok != nil {
			if c.Text, err = completionText(tok, req.Prompt, s.Tokens, goesOn); err != nil {
				return nil, err
			}
		}
		list = append(list, c)
	}
	return list, nil
}

func completionText(tok *tokenizer.Tokenizer, prompt, tokens []int32, goesOn bool) (string, error) {
	if !goesOn {
		return tok.Decode(tokens)
	}
	before, err := tok.Decode(prompt)
	if err != nil {
		return "", err
	}
	all, err := tok.Decode(append(append([]int32(nil), prompt...), tokens...))
	return strings.TrimPrefix(all, before), err
}
