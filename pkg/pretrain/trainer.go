package pretrain

import (
	"context"
	"errors"
	"fmt"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/ops"
	"github.com/tame-rlhf/tame/pkg/run"
	"github.com/tame-rlhf/tame/pkg/train"
)

// Encode turns texts into documents: BOS, the ids, EOS. A tokenizer without BOS or EOS (-1) leaves it out.
func Encode(tok data.Tokenizer, texts []string) [][]int32 {
	docs := make([][]int32, len(texts))
	for i, text := range texts {
		var doc []int32
		if bos := tok.BOS(); bos >= 0 {
			doc = append(doc, bos)
		}
		doc = append(doc, tok.Encode(text)...)
		if eos := tok.EOS(); eos >= 0 {
			doc = append(doc, eos)
		}
		docs[i] = doc
	}
	return docs
}

// Report is what Train did.
type Report struct {
	Steps  int     // optimisation steps
	Tokens int     // tokens read
	Loss   float64 // of the last step, in nats per token
}

// Train trains p in place on the documents for cfg.Steps steps, over as many epochs as that takes; their order is
// shuffled anew in each. When the context ends, p holds the weights of the last finished step. With Config.Keep a run that
// was stopped goes on where it was.
func Train(ctx context.Context, p *model.Params, docs [][]int32, cfg Config) (Report, error) {
	var report Report
	if err := cfg.Validate(); err != nil {
		return report, err
	}
	if p == nil {
		return report, errors.New("pretrain: the model is nil")
	}
	for i, doc := range docs {
		if err := p.Config().CheckTokens(doc); err != nil {
			return report, fmt.Errorf("pretrain: document %d: %w", i, err)
		}
	}
	if p.Config().MaxSeqLen < 2 {
		return report, fmt.Errorf("pretrain: the model has a context of %d tokens, want at least 2", p.Config().MaxSeqLen)
	}
	windows := cut(docs, min(p.Config().MaxSeqLen, cfg.MicroTokens))
	if len(windows) == 0 {
		return report, fmt.Errorf("pretrain: no document of two tokens or more: %w", data.ErrEmpty)
	}

	// 1. Build the graph: trunk, loss, gradients.
	step, err := newStep(p, cfg)
	if err != nil {
		return report, err
	}
	batch := train.NewBatch(cfg.MicroTokens, cfg.MicroSegments)
	reader := &reader{windows: windows, seed: cfg.Seed}

	// 2. Go on where an earlier run stopped.
	kept, err := cfg.Keep.Begin("pretrain", cfg, func(d *run.Digest) {
		for _, doc := range docs {
			d.Tokens(doc)
		}
	}, p, step, &report)
	if err != nil {
		return report, fmt.Errorf("pretrain: %w", err)
	}
	for range report.Steps {
		reader.take(cfg.BatchTokens)
	}

	for report.Steps < cfg.Steps {
		// 3. Take windows until the batch has its tokens, and pack them into micro-batches.
		picked, lengths := reader.take(cfg.BatchTokens)
		plan, err := data.Pack(lengths, cfg.MicroTokens, cfg.MicroSegments)
		if err != nil {
			return report, fmt.Errorf("pretrain: %w", err)
		}
		micro, err := batch.Fill(plan, func(r *data.Ragged, i int) error {
			_, err := r.Append(picked[i], everything(len(picked[i])))
			return err
		})
		if err != nil {
			return report, fmt.Errorf("pretrain: %w", err)
		}

		// 4. One optimisation step on the whole batch.
		result, err := step.Run(ctx, micro)
		if err != nil {
			return report, kept.Stopped(report, fmt.Errorf("pretrain: step %d: %w", report.Steps, err))
		}

		// 5. Report and keep.
		report.Steps++
		report.Loss = result.Loss
		report.Tokens += train.UsedTokens(micro)
		if cfg.OnStep != nil {
			cfg.OnStep(train.StepInfo{Stage: "pretrain", Step: report.Steps, Total: cfg.Steps, Metrics: map[string]float64{
				"loss":          result.Loss,
				"num_tokens":    float64(report.Tokens),
				"learning_rate": result.LR["model"],
				"grad_norm":     result.GradNorm["model"],
				"epoch":         reader.epochs(),
			}})
		}
		if err := kept.Stepped(report); err != nil {
			return report, fmt.Errorf("pretrain: %w", err)
		}
	}
	return report, nil
}

func newStep(p *model.Params, cfg Config) (*train.Step, error) {
	in := model.NewInputs(tensor.Float32, cfg.MicroTokens, cfg.MicroSegments)
	trunk, err := model.NewTrunk(in, p, "model")
	if err != nil {
		return nil, fmt.Errorf("pretrain: %w", err)
	}
	logProbs, err := trunk.LogProbs()
	if err != nil {
		return nil, fmt.Errorf("pretrain: %w", err)
	}
	x := ops.Expr(in.G)
	loss := x.Neg(x.MaskedMean(logProbs, in.Mask, in.Scalar(train.ScalarTokens)))
	if err := x.Err(); err != nil {
		return nil, fmt.Errorf("pretrain: loss: %w", err)
	}
	return train.NewStep(in, train.Terms{Loss: loss}, []train.Network{{
		Name:        "model",
		Trunk:       trunk,
		Params:      p,
		Optim:       cfg.Optim.AdamW(),
		Schedule:    cfg.Optim.Cosine(cfg.MinLRRatio, cfg.WarmupSteps, cfg.Steps),
		MaxGradNorm: cfg.Optim.MaxGradNorm,
	}}, train.Options{Recompute: cfg.Recompute})
}
