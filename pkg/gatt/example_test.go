package gatt_test

import (
	"context"
	"fmt"
	"log"
	"math/rand/v2"
	"strings"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/gatt"
	"github.com/tame-rlhf/tame/pkg/model"
)

// letters is a tokenizer of single characters and the marks of the chat format.
type letters struct{}

const alphabet = " abcdefghijklmnopqrstuvwxyz?"

func (letters) Encode(text string) (ids []int32) {
	for len(text) > 0 {
		switch {
		case strings.HasPrefix(text, "[INST]"):
			ids, text = append(ids, 3), text[6:]
		case strings.HasPrefix(text, "[/INST]"):
			ids, text = append(ids, 4), text[7:]
		default:
			ids, text = append(ids, 5+int32(strings.IndexByte(alphabet, text[0]))), text[1:]
		}
	}
	return ids
}

func (letters) Decode(ids []int32) (string, error) {
	var s strings.Builder
	for _, id := range ids {
		if id >= 5 {
			s.WriteByte(alphabet[id-5])
		}
	}
	return s.String(), nil
}

func (letters) BOS() int32 { return 1 }
func (letters) EOS() int32 { return 2 }

// tinyModel stands in for the newest chat model.
func tinyModel() *model.Params {
	p := model.NewParams(model.Config{
		Dim: 16, NumLayers: 1, NumHeads: 2, NumKVHeads: 2, HeadDim: 8, HiddenDim: 32, VocabSize: 5 + len(alphabet),
		MaxSeqLen: 1000, NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}, tensor.Float32)
	p.Init(rand.New(rand.NewPCG(1, 2)))
	return p
}

var dialogs = []gatt.Dialog{
	{ID: "1", Instruction: "act as napoleon", Short: "figure napoleon", Questions: []string{"who are you?", "what do you eat?"}},
	{ID: "2", Instruction: "love chess", Questions: []string{"what is new?", "and what is old?", "why?"}},
}

func config() gatt.Config {
	cfg := gatt.DefaultConfig()
	cfg.Stop, cfg.ShortShare = []int32{2}, 1
	return cfg
}

func ExampleTalk() {
	tmpl, err := data.Llama2Template(letters{})
	if err != nil {
		log.Fatal(err)
	}
	talks, err := gatt.Talk(context.Background(), tinyModel(), tmpl, letters{}, dialogs, config())
	if err != nil {
		log.Fatal(err)
	}
	for _, t := range talks {
		for _, turn := range t.Turns {
			user, _ := letters{}.Decode(turn.Prompt)
			fmt.Printf("dialogue %s: %s, answered: %v\n", t.Dialog.ID, strings.TrimSpace(user), len(turn.Answer) > 0)
		}
	}
	// Output:
	// dialogue 1: act as napoleon who are you?, answered: true
	// dialogue 1: act as napoleon what do you eat?, answered: true
	// dialogue 2: love chess what is new?, answered: true
	// dialogue 2: love chess and what is old?, answered: true
	// dialogue 2: love chess why?, answered: true
}

func ExampleExamples() {
	tmpl, err := data.Llama2Template(letters{})
	if err != nil {
		log.Fatal(err)
	}
	answer := func(text string) []int32 { return append(letters{}.Encode(" "+text+" "), 2) } // as a model would sample it
	talks := []gatt.Transcript{{Dialog: dialogs[0], Turns: []gatt.Turn{
		{Answer: answer("i am napoleon"), Text: "i am napoleon"},
		{Answer: answer("poulet marengo"), Text: "poulet marengo"},
	}}}
	examples, err := gatt.Examples(tmpl, talks, config())
	if err != nil {
		log.Fatal(err)
	}
	var all, counted []int32
	for i, id := range examples[0].Tokens {
		all = append(all, id)
		if examples[0].Weights[i] == 1 {
			counted = append(counted, id)
		}
	}
	text, _ := letters{}.Decode(all)
	last, _ := letters{}.Decode(counted)
	fmt.Println(strings.TrimSpace(text))
	fmt.Println("loss on:", strings.TrimSpace(last))
	// Output:
	// figure napoleon who are you?  i am napoleon  what do you eat?  poulet marengo
	// loss on: poulet marengo
}

func ExampleEvaluate() {
	tmpl, err := data.Llama2Template(letters{})
	if err != nil {
		log.Fatal(err)
	}
	kept := func(d gatt.Dialog, answer string) (kept, total int) {
		if strings.Contains(answer, "napoleon") {
			return 1, 1
		}
		return 0, 1
	}
	points, _, err := gatt.Evaluate(context.Background(), tinyModel(), tmpl, letters{}, dialogs, kept, config(), 1, 2, 3)
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range points {
		fmt.Printf("turn %d: %v of %d dialogues\n", p.Turn, p.Kept, p.Kept.N)
	}
	// Output:
	// turn 1: 0.000 [0.000, 0.658] of 2 dialogues
	// turn 2: 0.000 [0.000, 0.658] of 2 dialogues
	// turn 3: 0.000 [0.000, 0.793] of 1 dialogues
}
