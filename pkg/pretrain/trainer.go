package pretrain

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/ops"
	"github.com/tame-rlhf/tame/pkg/run"
	"github.com/tame-rlhf/tame/pkg/train"
)

// Encode turns texts into documents: BOS, the ids, EOS. A tokenizer without BOS or EOS (-1) leaves it out, and so does one whose files say that
// texts have no BOS in front (AddsBOS of *tokenizer.Tokenizer).
func Encode(tok data.Tokenizer, texts []string) [][]int32 {
	bos := tok.BOS()
	if says, ok := tok.(interface{ AddsBOS() bool }); ok && !says.AddsBOS() {
		bos = -1
	}
	docs := make([][]int32, len(texts))
	for i, text := range texts {
		doc := tok.Encode(text)
		if bos >= 0 {
			doc = slices.Insert(doc, 0, bos) // a long one has room for it: no second copy
		}
		if eos := tok.EOS(); eos >= 0 {
			doc = append(doc, eos)
		}
		docs[i] = doc
	}
	return docs
}

// Train trains p in place on the documents for cfg.Steps steps, over as many epochs as that takes;
// their order is shuffled again in each. heldOut are documents that are evaluated every
// Config.EvalEvery steps, nil for none. See train.Fit for stopping and resuming.
func Train(ctx context.Context, p *model.Params, docs, heldOut [][]int32, cfg Config) (train.Report, error) {
	size, err := windowSize(p, cfg)
	if err != nil {
		return train.Report{}, err
	}
	if err := checkTokens(p, "document", docs); err != nil {
		return train.Report{}, err
	}
	all := cut(docs, size)
	if len(all) == 0 {
		return train.Report{}, fmt.Errorf("pretrain: no document of two tokens or more: %w", data.ErrEmpty)
	}
	return fit(ctx, p, &windows{all: all, tokens: cfg.BatchTokens, seed: cfg.Seed}, cfg, run.Items((*run.Digest).Tokens, docs), heldOut, cfg)
}

// windowSize is the number of tokens of the longest window, for settings and a model that are valid.
func windowSize(p *model.Params, cfg Config) (int, error) {
	if err := cfg.Validate(); err != nil {
		return 0, err
	}
	if p == nil {
		return 0, errors.New("pretrain: the model is nil")
	}
	if p.Config().MaxSeqLen < 2 {
		return 0, fmt.Errorf("pretrain: the model has a context of %d tokens, want at least 2", p.Config().MaxSeqLen)
	}
	return min(p.Config().MaxSeqLen, cfg.MicroTokens), nil
}

func checkTokens(p *model.Params, name string, docs [][]int32) error {
	for i, doc := range docs {
		if err := p.Config().CheckTokens(doc); err != nil {
			return fmt.Errorf("pretrain: %s %d: %w", name, i, err)
		}
	}
	return nil
}

// fit trains on windows; settings and items, which writes what the windows are of, identify the run.
func fit(ctx context.Context, p *model.Params, source train.Source[[]int32], settings any, items func(*run.Digest), heldOut [][]int32, cfg Config) (train.Report, error) {
	if err := checkTokens(p, "held-out document", heldOut); err != nil {
		return train.Report{}, err
	}
	report, err := train.Fit(ctx, p, train.Task[[]int32]{
		Stage: "pretrain", Config: settings, Data: items, Digest: (*run.Digest).Tokens,
		Steps: cfg.Steps, Warmup: cfg.WarmupSteps,
		Source:  source,
		Lengths: func(window []int32) []int { return []int{len(window)} },
		Add: func(r *data.Ragged, window []int32) error {
			_, err := r.Append(window, slices.Repeat([]bool{true}, len(window)))
			return err
		},
		Loss:    loss,
		HeldOut: cut(heldOut, min(p.Config().MaxSeqLen, cfg.MicroTokens)),
		Fields:  train.PlanFields{Owner: "pretrain: Config", Warmup: "WarmupSteps", Steps: "Steps", Epochs: "Steps"},
	}, cfg.Settings)
	if err != nil {
		return report, fmt.Errorf("pretrain: %w", err)
	}
	return report, nil
}

// loss is the mean negative log-likelihood of all tokens but the first of each window.
func loss(g train.Graph) (train.Terms, error) {
	logProbs, err := g.Trunk.LogProbs()
	if err != nil {
		return train.Terms{}, err
	}
	x := ops.Expr(g.In.G)
	mean := x.MaskedMean(logProbs, g.In.Mask, g.In.Scalar(train.ScalarTokens))
	return train.Terms{Loss: x.Neg(mean)}, x.Err()
}
