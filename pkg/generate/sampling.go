package generate

import (
	"fmt"
	"math"

	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/setting"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// Sampling says how to sample answers. The configs of the stages that sample embed it: its settings
// have the same names, meanings and defaults in all of them.
type Sampling struct {
	// MaxNewTokens is the greatest length of an answer in tokens, the stop token included. The
	// model's MaxSeqLen limits it further. Default 256.
	MaxNewTokens int
	// Temperature T divides the logits before the softmax. 0 is greedy decoding: the most probable
	// token, the lowest id on a tie. All greedy answers to a prompt are the same, so 0 is refused
	// where several answers to a prompt are compared, and in PPO. Default 1.
	Temperature float64
	// TopP keeps the most probable tokens until their probabilities add up to at least TopP. 1 keeps
	// all. PPO refuses anything else. Default 1.
	TopP float64
	// TopK keeps the TopK most probable tokens, before TopP is applied. 0 keeps all. PPO refuses
	// anything else. Default 0.
	TopK int
	// Stop are the ids that end an answer. They belong to it. Default 2, Llama's end of sequence.
	Stop []int32
	// Vocab is the number of ids, from 0 on, that can be sampled: that of the tokenizer, where the
	// model's vocabulary is padded to more. 0 is all of the model's. Default 0.
	Vocab int
	// Seed keys the random streams of answers, together with the request's ID and the sample's index,
	// and all other random numbers of a stage that samples. Default 0.
	Seed uint64
	// Slots is the number of samples computed at a time. It decides speed and memory, not results.
	// Default 64.
	Slots int
	// MaxCacheBytes bounds the memory of keys and values: if that of all slots is more, there are
	// fewer slots. 0 sets no bound. Default 0.
	MaxCacheBytes int64
	// Logits, if not nil, may change the logits of each token before it is sampled: see LogitsFunc.
	// Being code, it is not part of what identifies a run.
	Logits LogitsFunc `json:"-"`
	// OnProgress, if not nil, is called with the number of samples done and their total whenever some
	// have ended, on the goroutine that called Generate or Converse. For dialogues the numbers are
	// those of turns, turns that will not take place included.
	OnProgress func(done, total int) `json:"-"`
}

// DefaultSampling samples from the whole distribution at temperature 1.
func DefaultSampling() Sampling {
	return Sampling{MaxNewTokens: 256, Temperature: 1, TopP: 1, Stop: []int32{2}, Slots: 64}
}

// Validate reports every setting that makes no sense.
func (c Sampling) Validate() error {
	check := setting.NewChecks("generate: Sampling")
	check.AtLeast("MaxNewTokens", c.MaxNewTokens, 1)
	CheckTemperature(check, "Temperature", c.Temperature)
	check.That(c.TopP > 0 && c.TopP <= 1, "TopP", c.TopP, "a number in (0, 1] (1 keeps all tokens)")
	check.That(c.TopK >= 0, "TopK", c.TopK, "at least 0 (0 keeps all tokens)")
	check.AtLeast("Slots", c.Slots, 1)
	check.AtLeast("Vocab", c.Vocab, 0)
	check.That(c.MaxCacheBytes >= 0, "MaxCacheBytes", c.MaxCacheBytes, "at least 0 (0 sets no bound)")
	for i, id := range c.Stop {
		check.That(id >= 0 && (c.Vocab <= 0 || int(id) < c.Vocab), fmt.Sprintf("Stop[%d]", i), id, "an id of at least 0 that can be sampled (Vocab)")
	}
	return check.Err()
}

// CheckTemperature reports a temperature that makes no sense: logits are divided by it in float32.
func CheckTemperature(check *setting.Checks, path string, t float64) {
	by := 1 / float32(t)
	check.That(t == 0 || t > 0 && by > 0 && !math.IsInf(float64(by), 0), path, t,
		"0 (greedy), or a number from 3e-39 to 3e38, as float32 can hold it")
}

// Fit sets Stop to the ids that end an answer of the model, and Vocab to the ids that the tokenizer knows. tok may be nil: then all ids of
// the model can be sampled.
func (c *Sampling) Fit(p *model.Params, tok *tokenizer.Tokenizer) {
	c.Stop, c.Vocab = p.Ends(), 0
	if tok != nil {
		c.Vocab = Known(tok, p.Config().VocabSize)
	}
}

// Known is the Sampling.Vocab of a tokenizer: its size where the model's vocabulary is padded to
// more, else 0.
func Known(tok *tokenizer.Tokenizer, vocab int) int {
	if n := tok.VocabSize(); n < vocab {
		return n
	}
	return 0
}

// MostTokens is how many tokens the answers of one call of Generate or Converse can have at most: 8 GiB of ids and
// log-probabilities. Ask for fewer answers at a time.
const MostTokens = 1 << 30

// CheckTokens refuses so many answers in one call, each of up to MaxNewTokens, if they can be more than most tokens.
func (c Sampling) CheckTokens(answers, most int) error {
	if length := max(c.MaxNewTokens, 1); answers > most/length {
		return fmt.Errorf("generate: %d answers of up to %d tokens can be more than %d tokens at a time: ask for fewer answers, or lower MaxNewTokens", answers, length, most)
	}
	return nil
}

// ValidateFinished is Validate where that many answers to a prompt are compared, and only finished
// ones are used; use says what for, such as "chosen".
func (c Sampling) ValidateFinished(samples int, use string) error {
	check := setting.NewChecks("generate: Sampling")
	check.Nested("", c.Validate())
	check.That(c.Temperature != 0 || samples == 1, "Temperature", c.Temperature, "a positive number with more than one sample: greedy answers to a prompt are all the same")
	check.That(len(c.Stop) > 0, "Stop", c.Stop, "the EOS of the tokenizer: only finished answers are "+use)
	return check.Err()
}
