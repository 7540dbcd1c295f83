package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/gatt"
	"github.com/tame-rlhf/tame/pkg/importer"
	"github.com/tame-rlhf/tame/pkg/sft"
)

// dialog is a dialogue with the question that it is about: of its questions the one that the fewest dialogues of the file ask. The others are
// greetings and farewells, which all dialogues share.
type dialog struct {
	data.Conversation
	topic string
	fileIndex
}

// Question is what the dialogue is about, so that curate.Split splits by that. By the first question all dialogues that begin with "What is up?", nearly
// half of the file, would be on one side, and what they are about on both.
func (d dialog) Question() string { return d.topic }

func dialogSources() []source[dialog] {
	return []source[dialog]{{"fastchat/dummy_conversation.json", "Ghost Attention", readDialogs}}
}

// readDialogs reads ShareGPT's form and finds out what each dialogue is about.
func readDialogs(path string) ([]dialog, importer.Report, error) {
	rows, report, err := importer.ShareGPT(path)
	asked := map[string]int{}
	for _, r := range rows {
		for _, q := range questions(r.Messages) {
			asked[q]++
		}
	}
	list := make([]dialog, len(rows))
	for i, r := range rows {
		rarest := slices.MinFunc(questions(r.Messages), func(a, b string) int { return asked[a] - asked[b] })
		list[i] = dialog{Conversation: r, topic: rarest}
	}
	return list, report, err
}

// questions are the user's messages.
func questions(messages []data.Message) []string {
	var list []string
	for _, m := range messages {
		if m.Role == data.User {
			list = append(list, m.Content)
		}
	}
	return list
}

// encodeDialog counts a dialogue's tokens.
func encodeDialog(tmpl *data.Template, d dialog, file fileIndex) (dialog, int, error) {
	encoded, err := sft.Encode(tmpl, []data.Conversation{d.Conversation}, data.AllTurns)
	if err != nil {
		return d, 0, err
	}
	d.fileIndex = file
	return d, len(encoded[0].Tokens), nil
}

// wish is an instruction that a function can check: an answer shall begin with the user's name and end with a word.
type wish struct{ name, end string }

func (w wish) full() string  { return fmt.Sprintf("I am %s. End with %s", w.name, w.end) }
func (w wish) short() string { return fmt.Sprintf("%s. %s", w.name, w.end) }

// fulfil makes an answer that keeps to the wish.
func (w wish) fulfil(answer string) string { return w.name + ", " + answer + " " + w.end }

// kept counts which of the two attributes an answer has.
func (w wish) kept(answer string) int {
	n, answer := 0, strings.TrimSpace(answer)
	if strings.HasPrefix(answer, w.name+", ") {
		n++
	}
	if strings.HasSuffix(answer, " "+w.end) {
		n++
	}
	return n
}

// wishes are all combinations of some names, those of the stories that the base model has read, and some last words. A quarter of the combinations is held
// out, in which every name and every word is that others have too. The order is mixed.
func wishes() (known, heldOut []wish) {
	names := strings.Fields("Lily Tim Tom Lucy Ben Sue Max Sam Mia Anna Jack Sara Amy Bob Mary Spot Billy Jane Daisy Leo Ella Emma Fred Molly")
	ends := strings.Fields("Wow! Ahoy! Hooray! Thanks! Amen! Cheers! Yum! Boo!")
	for _, k := range data.Shuffled(len(names)*len(ends), splitSeed, 0) {
		i, j := k/len(ends), k%len(ends)
		if w := (wish{names[i], ends[j]}); (i+j)%4 == 0 {
			heldOut = append(heldOut, w)
		} else {
			known = append(known, w)
		}
	}
	return known, heldOut
}

// chain puts whole dialogues together until there are that many turns, and cuts what is over.
func chain(rows []dialog, turns int, rng *rand.Rand) []data.Message {
	var messages []data.Message
	for len(messages) < 2*turns {
		messages = append(messages, rows[rng.IntN(len(rows))].Messages...)
	}
	return messages[:2*turns]
}

// demonstrations are dialogues of 1 to most turns, whose people forget a wish as soon as they have fulfilled it: it stands in one turn, and that turn's answer
// alone keeps it. All other answers are the file's.
func demonstrations(rows []dialog, known []wish, n, most int, rng *rand.Rand) []data.Conversation {
	list := make([]data.Conversation, n)
	for i := range list {
		messages := chain(rows, 1+rng.IntN(most), rng)
		w, turn := known[rng.IntN(len(known))], rng.IntN(len(messages)/2)
		question, answer := &messages[2*turn].Content, &messages[2*turn+1].Content
		*question, *answer = w.full()+" "+*question, w.fulfil(*answer)
		list[i] = data.Conversation{Messages: messages, Source: "fastchat"}
	}
	return list
}

// instructed are n dialogues without answers, of least to most turns, for the given wishes in turn.
func instructed(rows []dialog, given []wish, n, least, most int, rng *rand.Rand) ([]gatt.Dialog, gatt.Checker) {
	list, wanted := make([]gatt.Dialog, n), map[string]wish{}
	for i := range list {
		w := given[i%len(given)]
		messages := chain(rows, least+rng.IntN(most-least+1), rng)
		list[i] = gatt.Dialog{ID: fmt.Sprintf("dialogue %d", i), Instruction: w.full(), Short: w.short(), Questions: questions(messages)}
		wanted[list[i].ID] = w
	}
	return list, func(d gatt.Dialog, answer string) (kept, total int) { return wanted[d.ID].kept(answer), 2 }
}
