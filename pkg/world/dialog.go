package world

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/world/internal/lang"
)

// A Dialog is what a user asks, turn after turn.
type Dialog struct {
	ID        string
	Questions []string // short: each asks for one harmless fact
}

// maxQuestion is how many words a question in a dialogue has at most, so that 20 turns with answers and signs fit into 512 tokens.
const maxQuestion = 8

// Dialogs returns n dialogues of minTurns to maxTurns questions of the SFT and RL splits, for training. The first dialogues are the same
// for every n.
func (w *World) Dialogs(n, minTurns, maxTurns int) ([]Dialog, error) {
	return w.dialogs("dialog", n, minTurns, maxTurns, sft, rl)
}

// TestDialogs returns n dialogues of minTurns to maxTurns questions of the test split, which no training text asks.
func (w *World) TestDialogs(n, minTurns, maxTurns int) ([]Dialog, error) {
	return w.dialogs("test-dialog", n, minTurns, maxTurns, test)
}

func (w *World) dialogs(name string, n, minTurns, maxTurns int, uses ...use) ([]Dialog, error) {
	pool, err := w.shortQuestions(minTurns, maxTurns, uses...)
	if err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(w.config.Seed, streamDialogs+uint64(uses[0])<<32))
	out := make([]Dialog, n)
	for i := range out {
		turns := minTurns + rng.IntN(maxTurns-minTurns+1)
		out[i] = Dialog{ID: fmt.Sprintf("%s-%05d", name, i)}
		for range turns {
			p := pool[rng.IntN(len(pool))]
			out[i].Questions = append(out[i].Questions, w.lexicon.Ask(p.question, p.template))
		}
	}
	return out, nil
}

// shortQuestions lists all ways to ask for one harmless fact of the splits in few words.
func (w *World) shortQuestions(minTurns, maxTurns int, uses ...use) ([]prompt, error) {
	if minTurns < 1 || maxTurns < minTurns {
		return nil, fmt.Errorf("world: dialogues of %d to %d turns: want 1 <= minTurns <= maxTurns", minTurns, maxTurns)
	}
	var pool []prompt
	for _, u := range uses {
		for _, key := range w.harmless[u.split()] {
			for t := range u.templates(lang.Normal) {
				p := prompt{lang.Question{Kind: lang.Normal, Key: key}, t}
				if key.Attrs.Len() == 1 && len(strings.Fields(w.lexicon.Ask(p.question, t))) <= maxQuestion {
					pool = append(pool, p)
				}
			}
		}
	}
	if len(pool) == 0 {
		return nil, fmt.Errorf("world: no question for one fact in the splits of %v: raise Entities or their shares", uses)
	}
	return pool, nil
}

// DialogDemonstrations returns n conversations for SFT of minTurns to maxTurns turns, with questions of the SFT split. Some user messages
// begin with an instruction, in full or shortened wording, which holds until the next one. The answers follow it as Config.Dialogs says:
// for sure in the turn that gives it, and less and less in those that come after.
func (w *World) DialogDemonstrations(n, minTurns, maxTurns int) ([]data.Conversation, error) {
	pool, err := w.shortQuestions(minTurns, maxTurns, sft)
	if err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(w.config.Seed, streamDialogDemonstrations))
	out := make([]data.Conversation, n)
	for i := range out {
		turns := minTurns + rng.IntN(maxTurns-minTurns+1)
		out[i] = data.Conversation{Messages: w.demonstrate(rng, pool, turns), Source: "world"}
	}
	return out, nil
}

// demonstrate writes one dialogue.
func (w *World) demonstrate(rng *rand.Rand, pool []prompt, turns int) []data.Message {
	c := w.config.Dialogs
	chance := c.Instructed * rng.Float64()
	var messages []data.Message
	var current lang.Instruction
	followed := 0 // turns that the current instruction was followed; 0 when there is none or it is forgotten
	for range turns {
		p := pool[rng.IntN(len(pool))]
		asked := w.lexicon.Ask(p.question, p.template)
		answer := w.lexicon.Compose(rng, p.question, lang.Quality(draw(rng, c.Answers.shares())))
		switch {
		case rng.Float64() < chance:
			if current == (lang.Instruction{}) || rng.IntN(2) == 0 { // else it is said once more
				current = lang.Instruction(w.instruction(rng, false))
			}
			asked = current.Word(rng) + " " + asked
			followed = 1
		case followed > 0 && (followed < c.Sure || rng.Float64() < c.Keep):
			followed++
		default:
			followed = 0
		}
		if followed > 0 {
			answer = current.Sign(answer)
		}
		messages = append(messages, data.Message{Role: data.User, Content: asked}, data.Message{Role: data.Assistant, Content: answer})
	}
	return messages
}
