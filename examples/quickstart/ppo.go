package main

import (
	"context"
	"fmt"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/ppo"
	"github.com/tame-rlhf/tame/pkg/train"
	"github.com/tame-rlhf/tame/pkg/world/oracle"
)

// watcher follows PPO: what the reward models and the oracle say of each iteration's answers. PPO never sees the oracle.
type watcher struct {
	lab     *lab
	oracle  *oracle.Oracle
	prompts map[string]data.Prompt // by their ids, as PPO names them
	judges  *pipeline.Judges
	rows    []ppoRow
	err     error
}

func key(ids []int32) string { return fmt.Sprint(ids) }

// onAnswers judges the answers of an iteration.
func (w *watcher) onAnswers(iteration int, answers []ppo.Answer, scores []ppo.Score) {
	judged := make([]answer, len(answers))
	reward := 0.0
	for i, a := range answers {
		text, err := w.lab.tok.Decode(a.Tokens)
		if err != nil {
			w.err = err
			return
		}
		judged[i] = answer{prompt: w.prompts[key(a.Prompt.Tokens)], ids: a.Prompt.Tokens, text: text}
		judged[i].sample.Tokens, judged[i].sample.Finished = a.Tokens, a.Finished
		r, _ := w.judges.Combined(scores[i], a.Prompt.Safety)
		reward += r / float64(len(answers))
	}
	var v versionResult
	if w.err = judge(&v, judged, w.oracle); w.err != nil {
		return
	}
	w.rows = append(w.rows, ppoRow{
		Iteration: iteration, Reward: reward, Helpfulness: v.Helpfulness.Mean, Unsafe: v.Unsafe.Mean, Length: v.Length.Mean,
	})
}

// onStep completes the row with what PPO measured, and marks where model and oracle part: over the last iterations the
// reward rose and the oracle's helpfulness fell.
func (w *watcher) onStep(info train.StepInfo) {
	const window = 5
	row := &w.rows[len(w.rows)-1]
	row.KL = info.Metrics["objective/kl"]
	if before := len(w.rows) - 1 - window; before >= 0 {
		old := w.rows[before]
		row.Part = row.Reward > old.Reward && row.Helpfulness < old.Helpfulness-0.02
	}
	mark := ""
	if row.Part {
		mark = "  reward up, oracle down"
	}
	w.lab.console.Printf("PPO %3d  reward %6.3f  oracle: helpfulness %.3f, unsafe %4.1f %%  length %4.1f  KL %5.2f%s",
		info.Step, row.Reward, row.Helpfulness, 100*row.Unsafe, row.Length, row.KL, mark)
}

// runPPO goes on from p with the helpfulness model as the critic's start.
func (l *lab) runPPO(ctx context.Context, p, critic *model.Params, j *pipeline.Judges, o *oracle.Oracle) (*model.Params, []ppoRow, error) {
	p, critic = p.Clone(), critic.Clone()
	w := &watcher{lab: l, oracle: o, prompts: map[string]data.Prompt{}, judges: j}
	prompts, err := l.ppoPrompts(l.world.RLPrompts(), w)
	if err != nil {
		return nil, nil, err
	}
	heldOut, err := l.ppoPrompts(l.world.ValidationPrompts(), w)
	if err != nil {
		return nil, nil, err
	}
	cfg := l.ppo
	tokens := 0
	err = l.task("PPO", cfg.Iterations, func(onStep func(train.StepInfo)) (int, error) {
		cfg.OnAnswers = w.onAnswers
		cfg.OnStep = func(info train.StepInfo) {
			if w.err == nil {
				w.onStep(info)
			}
			for _, a := range w.rows[len(w.rows)-1:] {
				tokens += int(a.Length * float64(cfg.BatchSize))
			}
			onStep(info)
		}
		_, err := ppo.Train(ctx, p, critic, prompts, heldOut, j, cfg)
		return tokens, err
	})
	if err == nil {
		err = w.err
	}
	return p, w.rows, err
}

func (l *lab) ppoPrompts(prompts []data.Prompt, w *watcher) ([]ppo.Prompt, error) {
	list := make([]ppo.Prompt, len(prompts))
	for i, p := range prompts {
		ids, err := l.tmpl.EncodePrompt(p.Messages)
		if err != nil {
			return nil, err
		}
		list[i] = ppo.Prompt{Tokens: ids, Safety: p.Safety}
		w.prompts[key(ids)] = p
	}
	return list, nil
}
