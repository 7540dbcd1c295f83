package generate

import "fmt"

// Request is one prompt to answer.
type Request struct {
	// Prompt is what the answers continue, begin of sequence included. Not empty.
	Prompt []int32
	// ID keys the random streams of the samples: the same ID, seed and prompt give the same answers.
	// Requests whose answers should differ need different IDs.
	ID uint64
	// Samples is the number of answers, at least 1.
	Samples int
}

// Sample is one answer.
type Sample struct {
	// Tokens is the answer without the prompt, with the stop token if there is one.
	Tokens []int32
	// LogProbs holds log p of each token under the distribution it was sampled from: after Logits, at
	// Temperature, after TopK and TopP. In greedy decoding it is that at temperature 1.
	LogProbs []float32
	// Finished says that a stop token ended the answer, not a length limit.
	Finished bool
}

// PromptTooLongError says that a prompt leaves no room for an answer in the model's context. Shorten the prompt.
type PromptTooLongError struct {
	Index  int    // index of the request
	ID     uint64 // its ID
	Length int    // tokens of its prompt
	Limit  int    // the greatest length, one less than the model's MaxSeqLen
}

// Error implements error.
func (e *PromptTooLongError) Error() string {
	return fmt.Sprintf("generate: request %d (ID %d): the prompt has %d tokens, the context leaves room for %d and an answer: shorten it",
		e.Index, e.ID, e.Length, e.Limit)
}
