package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tame-rlhf/tame/internal/bounded"
	"github.com/tame-rlhf/tame/internal/printable"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/generate"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

func chatCommand() *cobra.Command {
	var path, tokenizerPath, system string
	var template *string
	cfg := generate.DefaultSampling()
	cfg.Temperature, cfg.TopP, cfg.MaxNewTokens = 0.7, 0.9, 0
	cmd := &cobra.Command{
		Use:   "chat --model PATH",
		Short: "Talk with a chat model",
		Long: "Reads what you say line by line and streams the answers. The model remembers the dialogue until its context is full.\n" +
			"/reset starts a new dialogue, /quit ends. Lines may come from a pipe.\n" +
			"Flags that are not set are taken from the model's generation_config.json, if it says how to sample.",
		Args:    noArguments,
		GroupID: groupTools,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkChat(cfg); err != nil {
				return err
			}
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
			c, err := newChat(p, tok, system, *template, cfg, escaped(cmd.OutOrStdout()))
			if err != nil {
				return err
			}
			in := cmd.InOrStdin()
			file, ok := in.(*os.File)
			return c.run(cmd.Context(), in, ok && term.IsTerminal(int(file.Fd())))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&path, "model", "", modelFiles)
	flags.StringVar(&tokenizerPath, "tokenizer", "", tokenizerFiles+" (default: the one in the model)")
	flags.StringVar(&system, "system", "", "system prompt")
	flags.Float64Var(&cfg.Temperature, "temperature", cfg.Temperature, "divides the logits; 0 takes the most probable token")
	flags.Float64Var(&cfg.TopP, "top-p", cfg.TopP, "keep the most probable tokens that add up to this probability")
	flags.IntVar(&cfg.TopK, "top-k", cfg.TopK, "keep this many of the most probable tokens; 0 keeps all")
	flags.IntVar(&cfg.MaxNewTokens, "max-new-tokens", cfg.MaxNewTokens, "longest answer; 0: as long as the context allows")
	flags.Uint64Var(&cfg.Seed, "seed", 0, "of the random numbers")
	template = templateFlag(flags)
	_ = cmd.MarkFlagRequired("model") // the flag was defined above
	return cmd
}

// escaped is where a model's text is written: escaped on a terminal, as it is elsewhere.
func escaped(out io.Writer) io.Writer {
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return printable.Writer(out)
	}
	return out
}

// checkChat is Validate, but for a limit of 0, which the context is.
func checkChat(cfg generate.Sampling) error {
	if cfg.MaxNewTokens == 0 {
		cfg.MaxNewTokens = 1
	}
	return cfg.Validate()
}

// chat is a dialogue with a model.
type chat struct {
	stream *generate.Stream
	ends   []int32 // ids that end an answer
	tok    *tokenizer.Tokenizer
	tmpl   *data.Template
	said   []data.Message // the system prompt and the user's messages
	cut    bool           // the last answer has no end, because it was as long as answers may be
	turns  int
	out    io.Writer
}

func newChat(p *model.Params, tok *tokenizer.Tokenizer, system, template string, cfg generate.Sampling, out io.Writer) (*chat, error) {
	tmpl, err := chatTemplate(tok, p.Ends(), template)
	if err != nil {
		return nil, err
	}
	cfg.Fit(p, tok)
	if cfg.MaxNewTokens == 0 {
		cfg.MaxNewTokens = p.Config().MaxSeqLen
	}
	stream, err := generate.NewStream(p, cfg)
	if err != nil {
		return nil, err
	}
	c := &chat{stream: stream, ends: cfg.Stop, tok: tok, tmpl: tmpl.Within(p.Config().VocabSize), out: out}
	if system != "" {
		c.said = []data.Message{{Role: data.System, Content: system}}
	}
	return c, nil
}

// run answers line by line. prompting shows where to type.
func (c *chat) run(ctx context.Context, in io.Reader, prompting bool) error {
	lines := bufio.NewReader(in)
	if prompting {
		fmt.Fprintf(c.out, "(a context of %d tokens; /reset starts a new dialogue, /quit ends)\n", c.stream.Context())
	}
	for {
		if prompting {
			fmt.Fprint(c.out, "> ")
		}
		text, readErr := readLine(ctx, lines)
		line := strings.TrimSpace(text)
		var long *bounded.LineError
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(readErr, &long):
			fmt.Fprintf(c.out, "(%v)\n", long)
		case line == "/quit":
			return nil
		case line == "/reset":
			c.reset()
			fmt.Fprintln(c.out, "(a new dialogue)")
		case strings.HasPrefix(line, "/"):
			fmt.Fprintf(c.out, "(unknown command %s: there are /reset and /quit)\n", line)
		case line != "":
			if err := c.answer(ctx, line); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				fmt.Fprintf(c.out, "(%v)\n", err)
			}
		}
		if errors.Is(readErr, io.EOF) {
			return nil
		}
		if readErr != nil && long == nil {
			return readErr
		}
	}
}

// readLine waits for a line or for Ctrl-C. After Ctrl-C a goroutine is left waiting, until the process ends.
func readLine(ctx context.Context, lines *bufio.Reader) (string, error) {
	type result struct {
		text []byte
		err  error
	}
	read := make(chan result, 1)
	go func() {
		text, err := bounded.ReadLine(lines, maxLine)
		read <- result{text, err}
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case r := <-read:
		return string(r.text), r.err
	}
}

func (c *chat) reset() {
	c.stream.Reset()
	c.said = c.said[:len(c.said)-c.turns]
	c.cut, c.turns = false, 0
}

// answer streams the answer to a line. A line that cannot be answered leaves the dialogue as it was.
func (c *chat) answer(ctx context.Context, line string) error {
	said := append(slices.Clip(c.said), data.Message{Role: data.User, Content: line})
	prompts, err := c.tmpl.EncodeUser(said)
	if err != nil {
		return err
	}
	ids := prompts[c.turns]
	if c.cut && len(c.ends) > 0 {
		ids = append([]int32{c.ends[0]}, ids...) // the turn has to end somewhere
	}
	text := c.tok.NewStream()
	answer, err := c.stream.Answer(ctx, generate.TurnRequest{Prompt: ids, ID: uint64(c.turns)}, func(id int32) error {
		if slices.Contains(c.ends, id) {
			return nil
		}
		piece, err := text.Next(id)
		fmt.Fprint(c.out, piece)
		return err
	})
	var long *generate.PromptTooLongError
	if errors.As(err, &long) {
		return fmt.Errorf("the context of %d tokens is full, with this line the dialogue has %d: /reset starts a new one", c.stream.Context(), long.Length)
	}
	c.said = said
	c.turns++
	c.cut = !answer.Finished
	fmt.Fprintln(c.out, text.Flush())
	if err == nil && c.cut && c.stream.Len() == c.stream.Context() {
		err = fmt.Errorf("the context of %d tokens is full: /reset starts a new dialogue", c.stream.Context())
	}
	return err
}
