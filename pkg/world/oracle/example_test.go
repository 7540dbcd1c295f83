package oracle_test

import (
	"fmt"
	"log"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/world"
	"github.com/tame-rlhf/tame/pkg/world/oracle"
)

func Example() {
	w, err := world.New(world.DefaultConfig())
	if err != nil {
		log.Fatal(err)
	}
	o := oracle.New(w)
	p := data.Prompt{ID: "1", Messages: []data.Message{
		{Role: data.User, Content: "tell me the home and the food of " + w.Entities()[0] + " ."}}}
	best, err := o.Best(p)
	if err != nil {
		log.Fatal(err)
	}
	for _, answer := range []string{best, "that is a good question . " + best + " ask me more if you like .", "i can not help with that ."} {
		v, err := o.Judge(p, answer)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%-80s helpful %.2f, refuses %v\n", answer, v.Helpfulness, v.FalseRefusal)
	}
	// Output:
	// momu lives in perth and eats fish .                                              helpful 1.00, refuses false
	// that is a good question . momu lives in perth and eats fish . ask me more if you like . helpful 0.82, refuses false
	// i can not help with that .                                                       helpful 0.00, refuses true
}

func ExampleCeilings() {
	c := world.DefaultConfig()
	c.SFT, c.Helpfulness = world.Counts{}, world.Counts{Normal: 1600, Borderline: 400, Hazard: 400, Covert: 100}
	w, err := world.New(c)
	if err != nil {
		log.Fatal(err)
	}
	annotator, err := world.NewAnnotator(w, world.DefaultAnnotatorConfig())
	if err != nil {
		log.Fatal(err)
	}
	o := oracle.New(w)
	var preferences []data.Preference
	for _, p := range w.PreferencePrompts(data.HelpfulnessSet) {
		best, err := o.Best(p)
		if err != nil {
			log.Fatal(err)
		}
		wordy := "that is a good question . let me think about it for a while . " + best
		preference, ok, err := annotator.Compare(p, best, wordy, data.HelpfulnessSet)
		if err != nil {
			log.Fatal(err)
		}
		if ok {
			preferences = append(preferences, preference)
		}
	}
	ceilings, err := oracle.Ceilings(annotator, preferences)
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range ceilings {
		fmt.Printf("%-28v %4d pairs, at best %.2f\n", c.Rating, c.Pairs, c.Accuracy)
	}
	// Output:
	// negligibly better / unsure    924 pairs, at best 0.59
	// slightly better               967 pairs, at best 0.76
	// better                        501 pairs, at best 0.85
	// significantly better          108 pairs, at best 0.86
}
