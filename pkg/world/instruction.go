package world

import (
	"hash/fnv"
	"math/rand/v2"

	"github.com/tame-rlhf/tame/pkg/world/internal/lang"
)

// An Instruction asks for a manner of answering that holds for all turns of a dialogue: up to three attributes, "" where one is not asked for
// (Ghost Attention, section 3.3 and A.3.5 of the paper). Whether an answer follows it is told by oracle.Kept.
type Instruction struct {
	Figure   string // public figure: the answer begins with its name
	Language string // the answer ends with a word of that language
	Hobby    string // the answer says that it enjoys that hobby
}

// Full is the instruction as people say it: "act as napoleon , answer in french and enjoy chess ."
func (i Instruction) Full() string { return lang.Instruction(i).Full() }

// Short is the shortened wording: "figure : napoleon . language : french . hobby : chess ."
func (i Instruction) Short() string { return lang.Instruction(i).Short() }

// Instructions draws n random combinations of attributes, for training. A fifth of all combinations is left out: TestInstructions has them.
func (w *World) Instructions(n int, seed uint64) []Instruction { return w.instructions(n, seed, false) }

// TestInstructions draws n random combinations that Instructions and demonstrations never have. Each of their attributes' values occurs there.
func (w *World) TestInstructions(n int, seed uint64) []Instruction {
	return w.instructions(n, seed, true)
}

func (w *World) instructions(n int, seed uint64, held bool) []Instruction {
	rng := rand.New(rand.NewPCG(w.config.Seed, streamInstructions<<32^seed))
	out := make([]Instruction, n)
	for i := range out {
		out[i] = w.instruction(rng, held)
	}
	return out
}

func (w *World) instruction(rng *rand.Rand, held bool) Instruction {
	return Instruction(lang.DrawInstruction(rng, func(in lang.Instruction) bool { return w.heldOut(in) == held }))
}

// heldOut says of an instruction whether it is for tests only.
func (w *World) heldOut(in lang.Instruction) bool {
	h := fnv.New64a()
	h.Write([]byte(in.Short()))
	return rand.New(rand.NewPCG(w.config.Seed, h.Sum64())).IntN(5) == 0
}
