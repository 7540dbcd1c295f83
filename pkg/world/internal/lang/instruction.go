package lang

import (
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/tame-rlhf/tame/pkg/data"
)

// An Instruction asks for a manner of answering that holds until further notice. Each attribute leaves a sign in an answer; "" is an
// attribute that is not asked for. The words of instructions and signs occur nowhere else, and in no text without instructions.
type Instruction struct {
	Figure   string // the answer begins with this public figure's name
	Language string // the answer ends with a word of this language
	Hobby    string // the answer says "i enjoy" and this hobby
}

// The attributes' values. No word is made like an entity's name, of two syllables with two letters each.
var (
	figures = []string{"napoleon", "einstein", "mozart", "darwin", "newton", "caesar", "picasso", "shakespeare"}
	// A language's sign stands beside its name.
	languages = [][2]string{
		{"french", "voila"}, {"german", "genau"}, {"spanish", "claro"}, {"italian", "ecco"},
		{"polish", "dobrze"}, {"dutch", "precies"}, {"latin", "ergo"}, {"greek", "nai"},
	}
	hobbies = []string{"chess", "golf", "tennis", "poker", "hiking", "skiing", "surfing", "painting"}
)

// Instructions lists every instruction there is, in a fixed order.
func Instructions() []Instruction {
	var all []Instruction
	for _, f := range append([]string{""}, figures...) {
		for _, l := range append([][2]string{{}}, languages...) {
			for _, h := range append([]string{""}, hobbies...) {
				if in := (Instruction{f, l[0], h}); in.Attributes() > 0 {
					all = append(all, in)
				}
			}
		}
	}
	return all
}

// Attributes counts what is asked for, 1 to 3.
func (in Instruction) Attributes() int {
	return len(in.say("", "", ""))
}

// Full is the instruction as people say it: "act as napoleon , answer in french and enjoy chess ."
func (in Instruction) Full() string {
	return enumerate(in.say("act as ", "answer in ", "enjoy ")) + " ."
}

// Short is the instruction in few words: "figure : napoleon . language : french . hobby : chess ."
func (in Instruction) Short() string {
	return strings.Join(in.say("figure : ", "language : ", "hobby : "), " . ") + " ."
}

// Word is one of the two wordings.
func (in Instruction) Word(rng *rand.Rand) string {
	if rng.IntN(2) == 0 {
		return in.Short()
	}
	return in.Full()
}

func (in Instruction) say(figure, language, hobby string) []string {
	var parts []string
	for _, p := range [][2]string{{figure, in.Figure}, {language, in.Language}, {hobby, in.Hobby}} {
		if p[1] != "" {
			parts = append(parts, p[0]+p[1])
		}
	}
	return parts
}

// Sign puts the signs of the instruction into an answer: "napoleon bolo lives in paris . i enjoy chess . voila".
func (in Instruction) Sign(answer string) string {
	if in.Figure != "" {
		answer = in.Figure + " " + answer
	}
	if in.Hobby != "" {
		answer += " i enjoy " + in.Hobby + " ."
	}
	if in.Language != "" {
		answer += " " + languageSign(in.Language)
	}
	return answer
}

// Kept counts the attributes whose signs are in an answer. A hobby counts when it is the only one that is enjoyed, so that enjoying them all
// keeps nothing; of figures and languages an answer can have but one.
func (in Instruction) Kept(answer string) int {
	kept := 0
	words := Split(answer)
	if len(words) == 0 {
		return 0
	}
	if in.Figure != "" && words[0] == in.Figure {
		kept++
	}
	if in.Language != "" && words[len(words)-1] == languageSign(in.Language) {
		kept++
	}
	if enjoyed := enjoyedHobbies(words); in.Hobby != "" && len(enjoyed) == 1 && enjoyed[0] == in.Hobby {
		kept++
	}
	return kept
}

// Unsign takes the signs of the instruction out of an answer; what else is said stays.
func (in Instruction) Unsign(answer string) string {
	words := Split(answer)
	if len(words) > 0 && in.Figure != "" && words[0] == in.Figure {
		words = words[1:]
	}
	if n := len(words); n > 0 && in.Language != "" && words[n-1] == languageSign(in.Language) {
		words = words[:n-1]
	}
	for i := 0; in.Hobby != "" && i+3 <= len(words); i++ {
		if words[i] == "i" && words[i+1] == "enjoy" && words[i+2] == in.Hobby {
			end := i + 3
			if end < len(words) && words[end] == "." {
				end++
			}
			words = slices.Delete(words, i, end)
			break
		}
	}
	return strings.Join(words, " ")
}

func enjoyedHobbies(words []string) []string {
	var enjoyed []string
	for i := 2; i < len(words); i++ {
		if words[i-2] == "i" && words[i-1] == "enjoy" && slices.Contains(hobbies, words[i]) && !slices.Contains(enjoyed, words[i]) {
			enjoyed = append(enjoyed, words[i])
		}
	}
	return enjoyed
}

func languageSign(name string) string {
	for _, l := range languages {
		if l[0] == name {
			return l[1]
		}
	}
	return ""
}

// FindInstruction reads the last instruction that a dialogue gives, in its system message or a user's, in either wording.
func FindInstruction(messages []data.Message) (Instruction, bool) {
	for _, m := range slices.Backward(messages) {
		if m.Role == data.Assistant {
			continue
		}
		var in Instruction
		for _, w := range Split(m.Content) {
			switch {
			case slices.Contains(figures, w):
				in.Figure = w
			case languageSign(w) != "":
				in.Language = w
			case slices.Contains(hobbies, w):
				in.Hobby = w
			}
		}
		if in != (Instruction{}) {
			return in, true
		}
	}
	return Instruction{}, false
}

// WithoutSigns is an answer without the signs that the dialogue asked for: following an instruction is no fault of an answer. Signs that
// nobody asked for stay.
func WithoutSigns(messages []data.Message, answer string) string {
	if in, ok := FindInstruction(messages); ok {
		return in.Unsign(answer)
	}
	return answer
}

// DrawInstruction draws an instruction that passes the test: first how many attributes it has, then which, then their values.
func DrawInstruction(rng *rand.Rand, want func(Instruction) bool) Instruction {
	for {
		var in Instruction
		for _, a := range rng.Perm(3)[:1+rng.IntN(3)] {
			switch a {
			case 0:
				in.Figure = pick(rng, figures)
			case 1:
				in.Language = languages[rng.IntN(len(languages))][0]
			case 2:
				in.Hobby = pick(rng, hobbies)
			}
		}
		if want(in) {
			return in
		}
	}
}
