package main

import (
	"fmt"

	"github.com/tame-rlhf/tame/examples/internal/lab"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/ppo"
)

// watcher shows the progress of the iteration, and what the oracle says of PPO's answers. PPO never sees the oracle.
type watcher struct {
	chain *chain
	show  func(pipeline.Event)
	byID  map[string]data.Prompt
	err   error
}

// watch is told of every moment of the iteration.
func (w *watcher) watch(e pipeline.Event) {
	w.show(e)
	if kl, ok := e.Metrics["objective/kl"]; ok && w.err == nil {
		w.onIteration(e, kl)
	}
}

// onSamples judges the answers of an iteration of PPO.
func (w *watcher) onSamples(iteration int, answers []data.Answer, scores []ppo.Score) {
	if w.byID == nil {
		w.byID = map[string]data.Prompt{}
		for _, p := range w.chain.World.RLPrompts() {
			w.byID[p.ID] = p
		}
	}
	judged := make([]lab.Answer, len(answers))
	reward := 0.0
	for i, a := range answers {
		text, err := w.chain.Tok.Decode(a.Tokens)
		if err != nil {
			w.err = err
			return
		}
		judged[i] = lab.Answer{Answer: a, Asked: w.byID[a.Prompt.ID], Text: text}
		r, _ := ppo.Combine(scores[i], a.Prompt.Safety, w.chain.Iteration.PPO.SafetyThreshold)
		reward += r / float64(len(answers))
	}
	var v lab.Measure
	if w.err = v.Judge(judged, w.chain.oracle); w.err != nil {
		return
	}
	w.chain.results.PPO = append(w.chain.results.PPO, ppoRow{
		Iteration: iteration, Reward: reward, Helpfulness: v.Helpfulness.Mean, Unsafe: v.Unsafe.Mean, Length: v.Length.Mean,
	})
}

// onIteration completes the row with what PPO measured, and marks where model and oracle part: over the last iterations the
// reward rose and the oracle's helpfulness fell.
func (w *watcher) onIteration(e pipeline.Event, kl float64) {
	const window = 5
	rows := w.chain.results.PPO
	row := &rows[len(rows)-1]
	row.KL = kl
	if before := len(rows) - 1 - window; before >= 0 {
		old := rows[before]
		row.Part = row.Reward > old.Reward && row.Helpfulness < old.Helpfulness-0.02
	}
	mark := ""
	if row.Part {
		mark = "  reward up, oracle down"
	}
	w.chain.Console.Printf("PPO %3d  reward %6.3f  oracle: helpfulness %.3f, unsafe %4.1f %%  length %4.1f  KL %5.2f%s",
		e.Done, row.Reward, row.Helpfulness, 100*row.Unsafe, row.Length, row.KL, mark)
}

// control is a run that has to gain less.
type control int

const (
	controlNone     control = iota
	controlShuffled         // preference labels are shuffled
	controlSFT              // further SFT on demonstrations instead of learning from feedback
)

func (c control) String() string { return [...]string{"none", "shuffled", "sft"}[c] }

// parseControl reads the flag.
func parseControl(name string) (control, error) {
	for c := controlNone; c <= controlSFT; c++ {
		if c.String() == name {
			return c, nil
		}
	}
	return 0, fmt.Errorf("-control is %q, want none, shuffled or sft", name)
}
