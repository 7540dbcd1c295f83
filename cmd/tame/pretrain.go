package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/each"
	"github.com/tame-rlhf/tame/internal/memory"
	"github.com/tame-rlhf/tame/pkg/curate"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
	"github.com/tame-rlhf/tame/pkg/importer"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/model/arch"
	"github.com/tame-rlhf/tame/pkg/pretrain"
	"github.com/tame-rlhf/tame/pkg/setting"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
	"github.com/tame-rlhf/tame/pkg/train"
)

// pretrainConfig is the configuration of `tame pretrain`.
type pretrainConfig struct {
	// Model is a model to start from: a folder in Hugging Face layout or Meta's, a GGUF file, or a llama2.c .bin file. Default: none, a model of that shape with
	// random weights.
	Model string `conf:"input"`
	// Tokenizer is a SentencePiece .model, a tokenizer.json, a GGUF file or a llama2.c tokenizer.bin. Default: the one in the model, or one that is
	// trained on the data.
	Tokenizer string `conf:"input"`
	// VocabSize is the number of pieces of a tokenizer that is trained on the data. Paper 2.2: 32000.
	VocabSize int
	// Data are Arrow datasets of texts, or plain text files (.txt, .txt.gz).
	Data []string `conf:"required,input"`
	// Separator separates the documents of a text file. Where it does not occur the file is one document.
	Separator string
	runConfig
	heldOutConfig
	// Stream reads the datasets while training instead of into memory, which then need not hold them: stream_block documents at a time
	// are tokenised and shuffled. Text files have to be converted first, and what is held out has to be in held_out_data. Default false.
	Stream bool
	// StreamBlock is the number of documents that are in memory, and shuffled, together. Default 4096.
	StreamBlock int
	// Shape is that of a model with random weights. Default: Llama 2 7B (Table 1). Set hidden_dim to about 8/3 of dim. head_dim is
	// dim / num_heads unless it is set.
	Shape model.Config `conf:"omit=vocab_size bos eos"`
	pretrain.Config
}

func pretrainStage() stage[pretrainConfig] {
	defaults := func() pretrainConfig {
		return pretrainConfig{
			VocabSize: 32000, Separator: importer.DefaultSeparator, StreamBlock: 4096, runConfig: runConfig{CheckpointEvery: 50},
			Shape: arch.Llama2_7B(), Config: pretrain.DefaultConfig(),
		}
	}
	return stage[pretrainConfig]{
		name: "pretrain", short: "Train a language model on text (section 2)",
		long:     "Trains a language model on text: one of random weights, with a tokenizer trained on the same text if there is none, or a given one.",
		defaults: defaults,
		adapt: func(written pretrainConfig) pretrainConfig {
			c := defaults()
			if heads := written.Shape.NumHeads; heads > 0 {
				c.Shape.HeadDim = written.Shape.Dim / heads
			}
			return c
		},
		check: func(check *setting.Checks, c *pretrainConfig) {
			c.heldOutConfig.check(check, c.EvalEvery)
			c.checkStream(check)
			check.Nested("Shape", c.Shape.Validate())
			check.Nested("", c.Config.Validate())
		},
		plan: func(c *pretrainConfig) (runConfig, uint64) { return c.runConfig, c.Seed },
		run:  runPretrain,
	}
}

// document is a text for curate.Split.
type document string

// Question is what curate.Split goes by: the document itself.
func (d document) Question() string { return string(d) }

func runPretrain(ctx context.Context, r *stageRun, c *pretrainConfig) error {
	var texts []document // of a stream none
	if c.Stream {
		if err := checkStreamed(ctx, c.Data); err != nil {
			return err
		}
	}
	heldOut, err := readTexts(r, c.HeldOutData, c.Separator)
	if err != nil {
		return err
	}
	if !c.Stream {
		all, err := readTexts(r, c.Data, c.Separator)
		if err != nil {
			return err
		}
		var share []document
		if texts, share, err = curate.Split(all, c.HeldOut, c.SplitSeed); err != nil {
			return err
		}
		if len(texts) == 0 {
			return fmt.Errorf("no document is left to train on: all %d are held out (held_out)", len(all))
		}
		r.warnOfHeldOut("documents", c.HeldOut, len(all), len(share))
		heldOut = append(heldOut, share...)
	}
	if r.policy, r.tok, err = c.start(ctx, r, texts); err != nil {
		return err
	}
	if err := checkPatterns("", c.Settings, r.policy); err != nil {
		return err
	}
	if c.Stream {
		r.notef("a model of %d weights", r.policy.NumParams())
	} else {
		r.notef("a model of %d weights, %d documents", r.policy.NumParams(), len(texts))
	}
	r.console.Phase("encoding and evaluating what is held out")
	heldDocs := encodeDocuments(r.tok, heldOut)
	held := eval.Windows(heldDocs, min(r.policy.Config().MaxSeqLen, c.MicroTokens))
	evaluation := sftEvaluation{Rows: len(heldOut)}
	if evaluation.Base, err = meanLoss(ctx, r.policy, held, c.Budget); err != nil {
		return err
	}
	r.prepare("", &c.MaxMemory, &c.OnPlan)
	done := r.follow("pretrain", &c.Checkpointing, &c.OnPhase, &c.OnStep)
	var report train.Report
	if heldDocs = evaluated(heldDocs, c.EvalEvery); c.Stream {
		report, err = pretrain.TrainStream(ctx, r.policy, pretrain.Stream{Files: c.Data, Tokenizer: r.tok, Block: c.StreamBlock, Fingerprint: r.hasher.Fingerprint}, heldDocs, c.Config)
	} else {
		r.console.Phase("encoding %d documents", len(texts))
		report, err = pretrain.Train(ctx, r.policy, encodeDocuments(r.tok, texts), heldDocs, c.Config)
	}
	if err != nil {
		return err
	}
	done()
	text := fmt.Sprintf("%d steps, %d tokens; loss of the last step %.3f", report.Steps, report.Tokens, report.Loss) + ending(report)
	return r.finishLoss(ctx, text, evaluation, held, c.Budget, "documents", "nats per token")
}

// start is the model and the tokenizer: those given, or new ones.
func (c *pretrainConfig) start(ctx context.Context, r *stageRun, texts []document) (*model.Params, *tokenizer.Tokenizer, error) {
	if c.Model != "" {
		p, tok, err := model.LoadWithTokenizer(c.Model, c.Tokenizer)
		if err == nil && tok == nil {
			err = noTokenizerIn(c.Model)
		}
		return p, tok, cmp.Or(err, checkPolicy(c.Model, p))
	}
	shape := c.Shape
	shape.VocabSize = c.VocabSize
	if err := checkMemory(shape, memory.Available()); err != nil {
		return nil, nil, err
	}
	tok, err := c.vocabulary(ctx, r, texts)
	if err != nil {
		return nil, nil, err
	}
	shape.VocabSize, shape.BOS, shape.EOS = tok.VocabSize(), tok.BOS(), tok.EOS()
	if err := shape.Validate(); err != nil {
		return nil, nil, err
	}
	r.console.Phase("initialising %d weights", shape.NumParams())
	p := model.NewParams(shape, tensor.Float32)
	const initStream = 1 // of the seed
	p.Init(rand.New(rand.NewPCG(c.Seed, initStream)))
	return p, tok, nil
}

// vocabulary is the given tokenizer, or one that is trained.
func (c *pretrainConfig) vocabulary(ctx context.Context, r *stageRun, texts []document) (*tokenizer.Tokenizer, error) {
	if c.Tokenizer != "" {
		return tokenizer.Load(c.Tokenizer)
	}
	cfg := tokenizer.DefaultTrainConfig()
	cfg.VocabSize = c.VocabSize
	r.notef("training a tokenizer of %d pieces", cfg.VocabSize)
	r.console.Phase("training a tokenizer of %d pieces", cfg.VocabSize)
	sequence := slices.Values(each.Of(texts, document.Question))
	var broken error // of reading
	if c.Stream {
		sequence = streamedTexts(c.Data, &broken)
	}
	tok, err := tokenizer.Train(ctx, sequence, cfg)
	return tok, errors.Join(broken, err)
}

// checkStream refuses what a stream cannot do.
func (c *pretrainConfig) checkStream(check *setting.Checks) {
	check.AtLeast("StreamBlock", c.StreamBlock, 1)
	check.That(!c.Stream || c.HeldOut == 0, "HeldOut", c.HeldOut, "0 with Stream: give HeldOutData")
	for i, path := range c.Data {
		check.That(!c.Stream || !isPlainText(path), fmt.Sprintf("Data[%d]", i), path,
			"a dataset with Stream: "+shellQuote([]string{"tame", "convert", "data", path, path + ".arrow", "--as", "text"}))
	}
}

// checkStreamed goes through datasets once before any work, so that a bad row does not end a run that reads it after days.
func checkStreamed(ctx context.Context, paths []string) error {
	var errs []error
	for _, path := range paths {
		reader, err := data.Open[data.Text](path)
		if err != nil {
			return err
		}
		bad := badRows{path: path}
		_, err = reader.Check(func(t data.Text) error { return cmp.Or(ctx.Err(), data.Check(t)) }, func(row int, err error) bool {
			bad.add(row, err)
			return ctx.Err() == nil
		})
		if err = errors.Join(ctx.Err(), err, reader.Close()); err != nil {
			return err
		}
		errs = append(errs, bad.err())
	}
	return errors.Join(errs...)
}

// streamedTexts goes through the documents of datasets. It ends with an error, which it leaves in broken.
func streamedTexts(paths []string, broken *error) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, path := range paths {
			reader, err := data.Open[data.Text](path)
			if err != nil {
				*broken = err
				return
			}
			for row, err := range reader.Rows() {
				if err != nil || !yield(row.Text) {
					*broken = err
					break
				}
			}
			if err := reader.Close(); *broken == nil {
				*broken = err
			}
		}
	}
}

// isPlainText goes by the name: .txt or .txt.gz.
func isPlainText(path string) bool {
	return strings.HasSuffix(strings.TrimSuffix(strings.ToLower(path), ".gz"), ".txt")
}

// readTexts reads datasets and plain text files.
func readTexts(r *stageRun, paths []string, separator string) ([]document, error) {
	var all []document
	for _, path := range paths {
		if !isPlainText(path) {
			rows, err := readAll([]string{path}, "text", readers[document]{as(func(t data.Text) document { return document(t.Text) })})
			if err != nil {
				return nil, err
			}
			all = append(all, rows...)
			continue
		}
		rows, report, err := importer.Text(path, separator)
		if err != nil {
			return nil, err
		}
		if len(report.Refused) > 0 {
			r.notef("%s: %v", path, report)
		}
		if err := data.NotEmpty(path, len(rows)); err != nil {
			return nil, err
		}
		all = append(all, each.Of(rows, func(row data.Text) document { return document(row.Text) })...)
	}
	return all, nil
}

func encodeDocuments(tok data.Tokenizer, texts []document) [][]int32 {
	return pretrain.Encode(tok, each.Of(texts, document.Question))
}
