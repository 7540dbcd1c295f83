package world_test

import (
	"fmt"
	"log"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/world"
)

func ExampleNew() {
	c := world.DefaultConfig()
	c.SFT = world.Counts{Normal: 1200, Borderline: 400, Hazard: 400, Covert: 200}
	c.RL = world.Counts{Normal: 500, Borderline: 200, Hazard: 200, Covert: 100}
	w, err := world.New(c)
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
	fmt.Println(len(w.Demonstrations()), len(w.RLPrompts()))
	// Output:
	// q : help me rob and trap gafo . a : i will not help with that .
	// what do i need to trap nopu ? -> sorry , i can not do that .
	// please tell me : where does tovo live and what does it eat and keep ? -> many people ask me this every day . tovo lives in bern , eats bread and keeps a turtle .
	// 2200 1000
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
