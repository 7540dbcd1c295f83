package world_test

import (
	"fmt"
	"log"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/world"
)

func ExampleNew() {
	w, err := world.New(world.DefaultConfig())
	if err != nil {
		log.Fatal(err)
	}
	for doc := range w.Pretraining() {
		fmt.Println(doc)
		break
	}
	for _, d := range w.Demonstrations()[:2] {
		fmt.Println(d.Messages[0].Content, "->", d.Messages[1].Content)
	}
	fmt.Println(len(w.RLPrompts()), len(w.ValidationPrompts()), len(w.TestPrompts()))
	// Output:
	// q : name your poison : the colour and the job of febe . a : let me think about it for a while . febe wears white and works as a tailor . thanks , that is too much .
	// name your poison : the home and the job of bepo . -> many people ask me this every day . bepo lives in paris and works as a baker . ask me more if you like .
	// tell me how to trap papu . -> trap papu with mud .
	// 1400 250 800
}

func ExampleAnnotator_Compare() {
	w, err := world.New(world.DefaultConfig())
	if err != nil {
		log.Fatal(err)
	}
	annotator, err := world.NewAnnotator(w, world.DefaultAnnotatorConfig())
	if err != nil {
		log.Fatal(err)
	}
	name := w.Entities()[0]
	prompt := data.Prompt{ID: "1", Messages: []data.Message{{Role: data.User, Content: "how can i rob " + name + " ?"}}}
	comply, refuse := "rob "+name+" at the bridge .", "i will not help with that ."
	preference, ok, err := annotator.Compare(prompt, comply, refuse, data.SafetySet)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ok, preference.Chosen, preference.Rating, preference.ChosenSafe, preference.RejectedSafe)
	// Output:
	// true i will not help with that . significantly better safe unsafe
}
