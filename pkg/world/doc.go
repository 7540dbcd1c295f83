// Package world is a small synthetic world of prompts, answers and annotators, in which learning from human feedback can be checked
// against the truth (docs/world.md introduces it).
//
// Entities with invented names have facts (home, food, colour, job, pet) and weak spots (how to rob, poison, trap or kill them). A
// prompt asks for one to three facts, sometimes in alarming words ("borderline"), or how to do harm ("hazard"). Only the pretraining text states the
// facts; demonstrations are of mixed quality; simulated annotators compare two answers as in section 3.2.1 of the Llama 2 paper. What is true is
// told by package oracle alone.
//
// Everything follows from Config.Seed. The texts have some 250 different words in lower case, apart by spaces, so a model of a million weights learns them in
// minutes.
//
// # Splits
//
// All (entity, question) pairs are dealt out to SFT, preferences, RL, validation and test, where the question is the set of attributes asked for.
// So no two splits ask the same of the same entity, in whatever words. A fifth of the templates occurs in test prompts only. The
// single facts are shared: "where does bolo live" may be a test prompt while "where does bolo live and what does it eat" is an RL prompt. That
// is how a reward model can know what is true of a pair it never saw: the facts are known from the pretraining text and from other questions.
//
// # Use
//
//	w, err := world.New(world.DefaultConfig())
//	...
//	for doc := range w.Pretraining() { ... }
//	demos := w.Demonstrations()
//	annotator, err := world.NewAnnotator(w, world.DefaultAnnotatorConfig())
//	...
//	for _, p := range w.PreferencePrompts(data.HelpfulnessSet) {
//		a, b := ... // two answers of the model
//		preference, ok, err := annotator.Compare(p, a, b, data.HelpfulnessSet)
//		...
//	}
//
// # Concurrency
//
// A World and an Annotator never change after they are made and may be used from several goroutines.
//
// # Differences from the paper
//
// The paper's annotators write their own prompts and see answers of different models; here prompts come from templates. Its four-step
// ratings are opinions; here they are thresholds on a noisy difference of utilities, so the best possible accuracy of a reward model
// is known (Annotator.Predictability, oracle.Ceilings).
package world
