// Package data holds what goes between the stages of training: datasets in Arrow files, the chat template, and the ragged
// batches that a model reads. Package importer makes datasets of other people's files, package curate chooses rows.
//
// It implements the data side of Llama 2 (Touvron et al. 2023, arXiv 2307.09288): the chat format of its reference code,
// the loss on answers only (section 3.1), the preference data with four ratings and safety labels (section 3.2.1, table 6)
// and the choice of the turns that count, which Ghost Attention needs (section 3.3).
//
// # Legend
//
// N token slots and S segments are the budget of a micro-batch; n and s are what is used. Slot i is the state after token
// i. Its action, and its target, is token i+1. What belongs to an action (mask, log-probability, advantage) lies in the
// slot it is taken from. A mask of 1 counts, 0 does not.
//
// # Use
//
// Text to batches, as supervised fine-tuning does it:
//
//	conversations, report, err := importer.ShareGPT("chats.json") // report names the rows it refused
//	train, heldOut, err := curate.Split(conversations, 0.05, seed)
//	err = data.Write("train.arrow", train, data.Lineage{Stage: "import"})
//
//	template, err := data.Llama2Template(tok)
//	for i, c := range train {
//		examples[i], err = template.EncodeDialog(c.Messages, data.AllTurns)
//		items[i] = []int{len(examples[i].Tokens)}
//	}
//	batches, err := data.Batches(items, data.Shuffled(len(items), seed, epoch), 64, 4096, 32)
//	for _, i := range batches[0][0] { // first optimisation batch, first micro-batch
//		_, err = ragged.AppendExample(examples[i])
//	}
//
// docs/data.md has the columns of every dataset.
//
// # Concurrency
//
// Functions keep no state and may be called at the same time. A Template may be shared if its tokenizer may. A Ragged
// and a Reader belong to one goroutine at a time.
//
// # Differences from the paper
//
// The paper concatenates prompts and answers to fill each sequence of 4096 tokens, so that attention goes on across
// examples. Here examples are packed side by side and each is a segment of its own, which attention never leaves.
// No example is cut; one that is longer than the budget is an error.
//
// The paper's special token between prompt and answer is the chat format's [/INST].
package data
