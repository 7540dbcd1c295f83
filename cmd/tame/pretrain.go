package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/pretrain"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
	"github.com/tame-rlhf/tame/pkg/train"
)

// pretrainConfig is the configuration of `tame pretrain`.
type pretrainConfig struct {
	// Model is a model to go on from: a folder in Hugging Face layout or Meta's, a GGUF file, or a llama2.c .bin file. Default: none, a model of that shape with
	// random weights.
	Model string `conf:"input"`
	// Tokenizer is a SentencePiece .model, a tokenizer.json, a GGUF file or a llama2.c tokenizer.bin. Default: the one in the model, or one that is
	// trained on the data.
	Tokenizer string `conf:"input"`
	// VocabSize is the number of pieces of a tokenizer that is trained on the data. Paper 2.2: 32000.
	VocabSize int
	// Data are Arrow datasets of texts, or plain text files (.txt, .txt.gz).
	Data []string `conf:"required,input"`
	// Separator stands between the documents of a text file. Where it does not occur the file is one document.
	Separator string
	runConfig
	heldOutConfig
	// Stream reads the datasets while training instead of into memory, which then need not hold them: stream_block documents at a time
	// are tokenised and shuffled. Text files have to be converted first, and what is held out has to be in held_out_data. Default false.
	Stream bool
	// StreamBlock is the number of documents that are in memory, and shuffled, together. Default 4096.
	StreamBlock int
	// Shape is that of a model with random weights. Default: Llama 2 7B (Table 1). Set hidden_dim to about 8/3 of dim, head_dim to
	// dim / num_heads.
	Shape model.Config `conf:"omit=vocab_size bos eos"`
	pretrain.Config
}

func pretrainStage() stage[pretrainConfig] {
	return stage[pretrainConfig]{
		name: "pretrain", short: "Train a language model on text (section 2)",
		long: "Trains a language model on text: one of random weights, with a tokenizer trained on the same text if there is none, or a given one.",
		defaults: func() pretrainConfig {
			return pretrainConfig{
				VocabSize: 32000, Separator: data.DefaultSeparator, StreamBlock: 4096, runConfig: runConfig{CheckpointEvery: 50},
				Shape: model.Llama2_7B(), Config: pretrain.DefaultConfig(),
			}
		},
		check: func(c *pretrainConfig) error {
			return errors.Join(c.runConfig.check(), c.heldOutConfig.check(c.EvalEvery), c.checkStream(), c.Shape.Validate(), c.Config.Validate())
		},
		plan: func(c *pretrainConfig) plan {
			return plan{runConfig: c.runConfig, seed: c.Seed, inputs: slices.Concat([]string{c.Model, c.Tokenizer}, c.Data, c.HeldOutData)}
		},
		run: runPretrain,
	}
}

// document is a text for data.Split.
type document string

// Question is what data.Split goes by: the document itself.
func (d document) Question() string { return string(d) }

func runPretrain(ctx context.Context, j *job, c *pretrainConfig) error {
	var texts []document // of a stream none
	heldOut, err := readTexts(j, c.HeldOutData, c.Separator)
	if err != nil {
		return err
	}
	if !c.Stream {
		all, err := readTexts(j, c.Data, c.Separator)
		if err != nil {
			return err
		}
		var share []document
		if texts, share, err = data.Split(all, c.HeldOut, c.SplitSeed); err != nil {
			return err
		}
		heldOut = append(heldOut, share...)
	}
	p, tok, err := c.start(ctx, j, texts)
	if err != nil {
		return err
	}
	if c.Stream {
		j.notef("a model of %d weights", p.NumParams())
	} else {
		j.notef("a model of %d weights, %d documents", p.NumParams(), len(texts))
	}
	heldDocs := encodeDocuments(tok, heldOut)
	held := windows(heldDocs, min(p.Config().MaxSeqLen, c.MicroTokens))
	evaluation := &sftEvaluation{Rows: len(heldOut)}
	if len(held) > 0 {
		if evaluation.Base, err = lossOn(ctx, p, held, c.MicroTokens, c.MicroSegments); err != nil {
			return err
		}
	}
	cfg := c.Config
	cfg.Checkpointing = j.checkpointing(tok)
	var done func()
	cfg.OnStep, done = j.onStep("pretrain")
	var report train.Report
	if heldDocs = evaluated(heldDocs, cfg.EvalEvery); c.Stream {
		report, err = pretrain.TrainStream(ctx, p, pretrain.Stream{Files: c.Data, Tokenizer: tok, Block: c.StreamBlock}, heldDocs, cfg)
	} else {
		report, err = pretrain.Train(ctx, p, encodeDocuments(tok, texts), heldDocs, cfg)
	}
	if err != nil {
		return err
	}
	done()
	text := fmt.Sprintf("%d steps, %d tokens; loss of the last step %.3f", report.Steps, report.Tokens, report.Loss) + ending(report)
	if len(held) == 0 {
		return j.finishModel(p, tok, nil, text)
	}
	if evaluation.Loss, err = lossOn(ctx, p, held, c.MicroTokens, c.MicroSegments); err != nil {
		return err
	}
	text += fmt.Sprintf("\nheld out: %d documents, loss %.3f before and %.3f after (nats per token)", evaluation.Rows, evaluation.Base, evaluation.Loss)
	return j.finishModel(p, tok, evaluation, text)
}

// start is the model and the tokenizer: those given, or new ones.
func (c *pretrainConfig) start(ctx context.Context, j *job, texts []document) (*model.Params, *tokenizer.Tokenizer, error) {
	if c.Model != "" {
		p, tok, _, err := modelConfig{c.Model, c.Tokenizer}.load()
		return p, tok, err
	}
	shape := c.Shape
	shape.VocabSize = c.VocabSize
	if err := checkMemory(shape, machineMemory()); err != nil {
		return nil, nil, err
	}
	tok, err := loadTokenizer(c.Tokenizer, "")
	if err != nil {
		return nil, nil, err
	}
	if tok == nil {
		cfg := tokenizer.DefaultTrainConfig()
		cfg.VocabSize = c.VocabSize
		j.notef("training a tokenizer of %d pieces", cfg.VocabSize)
		sequence := documentTexts(texts)
		var broken error // of reading
		if c.Stream {
			sequence = streamedTexts(c.Data, &broken)
		}
		if tok, err = tokenizer.Train(ctx, sequence, cfg); broken != nil || err != nil {
			return nil, nil, errors.Join(broken, err)
		}
	}
	shape.VocabSize, shape.BOS, shape.EOS = tok.VocabSize(), tok.BOS(), tok.EOS()
	if err := shape.Validate(); err != nil {
		return nil, nil, err
	}
	p := model.NewParams(shape, tensor.Float32)
	const initStream = 1 // of the seed
	p.Init(rand.New(rand.NewPCG(c.Seed, initStream)))
	return p, tok, nil
}

// checkStream refuses what a stream cannot do.
func (c *pretrainConfig) checkStream() error {
	var errs []error
	if c.StreamBlock < 1 {
		errs = append(errs, fmt.Errorf("stream_block is %d, want at least 1", c.StreamBlock))
	}
	if c.Stream && c.HeldOut > 0 {
		errs = append(errs, fmt.Errorf("held_out is %v, want 0 with stream: give held_out_data", c.HeldOut))
	}
	for _, path := range c.Data {
		if c.Stream && isPlainText(path) {
			errs = append(errs, fmt.Errorf("data has %s, want datasets with stream: tame convert data %s %s.arrow --as text", path, path, path))
		}
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
func readTexts(j *job, paths []string, separator string) ([]document, error) {
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
		rows, report, err := data.ImportText(path, separator)
		if err != nil {
			return nil, err
		}
		if len(report.Refused) > 0 {
			j.notef("%s: %v", path, report)
		}
		if err := data.NotEmpty(path, len(rows)); err != nil {
			return nil, err
		}
		for _, row := range rows {
			all = append(all, document(row.Text))
		}
	}
	return all, nil
}

func documentTexts(texts []document) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, text := range texts {
			if !yield(string(text)) {
				return
			}
		}
	}
}

func encodeDocuments(tok data.Tokenizer, texts []document) [][]int32 {
	return pretrain.Encode(tok, slices.Collect(documentTexts(texts)))
}

// windows cuts documents for an evaluation; every token but a window's first counts.
func windows(docs [][]int32, size int) []data.Example {
	var list []data.Example
	for _, doc := range docs {
		for window := range slices.Chunk(doc, size) {
			if len(window) > 1 {
				list = append(list, data.Join(nil, window))
			}
		}
	}
	return list
}
