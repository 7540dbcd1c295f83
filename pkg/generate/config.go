package generate

import (
	"errors"
	"fmt"
	"math"
)

// Config says how to sample.
type Config struct {
	// MaxNewTokens is the greatest length of an answer in tokens, the stop token included. The model's MaxSeqLen limits it
	// further. Default 256.
	MaxNewTokens int
	// Temperature T divides the logits before the softmax. 0 is greedy decoding: the most probable token, the lowest id on
	// a tie. Default 1.
	Temperature float64
	// TopP keeps the most probable tokens until their probabilities add up to at least TopP. 1 keeps all. Default 1.
	TopP float64
	// TopK keeps the TopK most probable tokens, before TopP looks at them. 0 keeps all. Default 0.
	TopK int
	// Stop are the ids that end an answer. They belong to it. Default 2, Llama's end of sequence.
	Stop []int32
	// Seed keys all random streams, together with the ID of a Request or Turn and the sample's index. Default 0.
	Seed uint64
	// Slots is the number of samples computed at a time. It changes speed and memory, not results. Default 64.
	Slots int
	// MaxCacheBytes bounds the memory of keys and values: if that of all slots is more, there are fewer slots. 0 sets no bound.
	// Default 0.
	MaxCacheBytes int64
}

// DefaultConfig samples from the whole distribution at temperature 1.
func DefaultConfig() Config {
	return Config{MaxNewTokens: 256, Temperature: 1, TopP: 1, Stop: []int32{2}, Slots: 64}
}

// Validate reports every setting that makes no sense.
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, field string, value any, want string) {
		if !ok {
			errs = append(errs, fmt.Errorf("generate: Config.%s is %v, want %s", field, value, want))
		}
	}
	check(c.MaxNewTokens >= 1, "MaxNewTokens", c.MaxNewTokens, "at least 1")
	check(c.Temperature >= 0 && !math.IsInf(c.Temperature, 1), "Temperature", c.Temperature, "a number of at least 0 (0 is greedy)")
	check(c.TopP > 0 && c.TopP <= 1, "TopP", c.TopP, "a number in (0, 1] (1 keeps all tokens)")
	check(c.TopK >= 0, "TopK", c.TopK, "at least 0 (0 keeps all tokens)")
	check(c.Slots >= 1, "Slots", c.Slots, "at least 1")
	check(c.MaxCacheBytes >= 0, "MaxCacheBytes", c.MaxCacheBytes, "at least 0 (0 sets no bound)")
	for i, id := range c.Stop {
		check(id >= 0, fmt.Sprintf("Stop[%d]", i), id, "an id of at least 0")
	}
	return errors.Join(errs...)
}

// Request is one prompt to answer.
type Request struct {
	// Prompt is what the answers go on from, begin of sequence included. Not empty.
	Prompt []int32
	// ID keys the random streams of the samples: the same ID, seed and prompt give the same answers. Requests that shall
	// differ need IDs of their own.
	ID uint64
	// Samples is the number of answers, at least 1.
	Samples int
}

// Sample is one answer.
type Sample struct {
	// Tokens is the answer without the prompt, with the stop token if there is one.
	Tokens []int32
	// LogProbs holds log p of each token under the distribution it was sampled from: at Temperature, after TopK and TopP.
	// In greedy decoding it is that of the model itself, at temperature 1.
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
