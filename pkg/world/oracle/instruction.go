package oracle

import (
	"github.com/tame-rlhf/tame/pkg/world"
	"github.com/tame-rlhf/tame/pkg/world/internal/lang"
)

// Kept counts how many of an instruction's attributes an answer keeps, and how many there are: it begins with the figure's name, ends with
// the language's word, and says that it enjoys the hobby and no other.
func Kept(i world.Instruction, answer string) (kept, total int) {
	in := lang.Instruction(i)
	return in.Kept(answer), in.Attributes()
}
