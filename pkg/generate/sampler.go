package generate

import (
	"cmp"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/tame-rlhf/tame/pkg/backend"
)

// errNotFinite says that a model has diverged.
var errNotFinite = errors.New("the logits are not finite: the weights have diverged or are damaged")

// stream is the random source of one sample. ChaCha8 takes the whole key as its seed, so two samples share a stream only
// if they share all three numbers.
func stream(seed, id uint64, sample int) *rand.Rand {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[0:], seed)
	binary.LittleEndian.PutUint64(key[8:], id)
	binary.LittleEndian.PutUint64(key[16:], uint64(sample))
	return rand.New(rand.NewChaCha8(key))
}

// answer is one that is being sampled.
type answer struct {
	out *Sample
	at  LogitsContext // but for Answer
	cfg Sampling
	rng *rand.Rand
}

func newAnswer(out *Sample, cfg Sampling, at LogitsContext) answer {
	return answer{out, at, cfg, stream(cfg.Seed, at.ID, at.Sample)}
}

// draw adds the next token, given the logits (V) before it.
func (a *answer) draw(s *sampler, logits []float32) error {
	at := a.at
	at.Answer = a.out.Tokens
	id, logProb, err := s.next(logits, at, a.rng)
	if err != nil {
		return err
	}
	a.out.Tokens, a.out.LogProbs = append(a.out.Tokens, id), append(a.out.LogProbs, logProb)
	a.out.Finished = slices.Contains(a.cfg.Stop, id)
	return nil
}

// ended reports whether no token follows, in a context of that many tokens.
func (a *answer) ended(context int) bool {
	n := len(a.out.Tokens)
	return a.out.Finished || n >= a.cfg.MaxNewTokens || len(a.at.Prompt)+n >= context
}

// sampler draws tokens. Its scratch is reused from token to token.
type sampler struct {
	math        backend.Vectors[float32] // of the decoder's backend, so that log-probabilities have the bits of the training graph
	temperature float64
	topP        float64
	topK        int
	change      LogitsFunc // nil for none
	vocab       int        // ids that may be drawn; 0: all

	most float32   // the greatest of z
	own  []float32 // (V) logits that change may write to
	z, p []float32 // (V) logits / T, probabilities
	ids  []int32   // candidates, the most probable first
	kept []float32 // their z
}

func newSampler(math backend.Vectors[float32], cfg Sampling) *sampler {
	return &sampler{math: math, temperature: cfg.Temperature, topP: cfg.TopP, topK: cfg.TopK, change: cfg.Logits, vocab: cfg.Vocab}
}

// next draws a token from logits (V), which stay as they are, and gives the log-probability it was
// drawn with.
func (s *sampler) next(logits []float32, at LogitsContext, rng *rand.Rand) (id int32, logProb float32, err error) {
	if m := float64(s.math.Max(logits)); math.IsNaN(m) || math.IsInf(m, 0) {
		return 0, 0, errNotFinite
	}
	if s.change != nil {
		if logits, err = s.changed(logits, at); err != nil {
			return 0, 0, err
		}
	}
	logits = s.known(logits)
	if s.temperature == 0 {
		best, lse := argmax(logits), s.math.LogSumExp(logits)
		if !isFinite(lse) {
			return 0, 0, errNotFinite
		}
		return int32(best), logits[best] - lse, nil
	}
	if !s.temper(logits) {
		return 0, 0, errNotFinite
	}
	if s.topP == 1 && (s.topK == 0 || s.topK >= len(logits)) {
		i, lp, err := s.draw(s.z, rng)
		return int32(i), lp, err
	}
	s.cut()
	i, lp, err := s.draw(s.kept, rng)
	return s.ids[i], lp, err
}

// known leaves out the logits of ids that may not be drawn.
func (s *sampler) known(logits []float32) []float32 {
	if s.vocab > 0 && s.vocab < len(logits) {
		return logits[:s.vocab]
	}
	return logits
}

// temper sets s.z to the logits, divided by the temperature as the training graph divides them. Where the greatest would be
// infinite then, it is subtracted first, which changes the bits and not the distribution. It reports whether the greatest is
// finite, and with it their LogSumExp.
func (s *sampler) temper(logits []float32) bool {
	s.z = append(s.z[:0], logits...)
	s.math.Temper(s.z, float32(s.temperature))
	if s.most = s.math.Max(s.z); isFinite(s.most) {
		return true
	}
	most := s.math.Max(logits)
	for i, x := range logits {
		s.z[i] = x - most
	}
	s.math.Temper(s.z[:len(logits)], float32(s.temperature))
	s.most = s.math.Max(s.z)
	return isFinite(s.most)
}

func isFinite(x float32) bool { return !math.IsNaN(float64(x)) && !math.IsInf(float64(x), 0) }

// draw inverts the cumulative distribution of softmax(z) at one uniform number.
func (s *sampler) draw(z []float32, rng *rand.Rand) (i int, logProb float32, err error) {
	lse := s.math.LogSumExp(z)
	total := s.softmax(z, lse)
	if math.IsNaN(total) {
		return 0, 0, errNotFinite
	}
	u := rng.Float64() * total
	last := 0
	for i, p := range s.p {
		if p == 0 {
			continue
		}
		last = i
		if u -= float64(p); u < 0 {
			break
		}
	}
	return last, z[last] - lse, nil
}

// softmax sets s.p = exp(z - lse) and returns their sum, 1 up to rounding.
func (s *sampler) softmax(z []float32, lse float32) (total float64) {
	s.p = slices.Grow(s.p[:0], len(z))[:len(z)]
	for i, x := range z {
		s.p[i] = x - lse
	}
	s.math.Exp(s.p, s.p)
	for _, p := range s.p {
		total += float64(p)
	}
	return total
}

// cut leaves the most probable tokens in s.ids and their logits in s.kept: first TopK, then the shortest list whose
// probabilities, renormalised after TopK, add up to TopP. Ties go to the lowest id.
func (s *sampler) cut() {
	k := s.topK
	if k == 0 || k > len(s.z) {
		k = len(s.z)
	}
	s.candidates(k)
	slices.SortFunc(s.ids, func(a, b int32) int { return cmp.Or(cmp.Compare(s.z[b], s.z[a]), cmp.Compare(a, b)) })
	s.ids = s.ids[:min(k, len(s.ids))]
	s.kept = s.kept[:0]
	for _, id := range s.ids {
		s.kept = append(s.kept, s.z[id])
	}
	if s.topP == 1 {
		return
	}
	norm := s.z // without TopK the list may lack improbable tokens, which count in the sum all the same
	if k < len(s.z) {
		norm = s.kept
	}
	lse := s.math.LogSumExp(norm)
	sum, n := 0.0, 0
	for n < len(s.kept) && (n == 0 || sum < s.topP) {
		sum += math.Exp(float64(s.kept[n] - lse))
		n++
	}
	s.ids, s.kept = s.ids[:n], s.kept[:n]
}

// candidates puts those tokens into s.ids that can be among the most probable ones asked for, so that a sort of the whole
// vocabulary is seldom needed: what lies below (1-TopP)/V adds up to less than 1-TopP, so TopP is reached without it.
func (s *sampler) candidates(k int) {
	floor := float32(math.Inf(-1))
	if k == len(s.z) {
		floor = s.math.LogSumExp(s.z) + float32(math.Log((1-s.topP)/float64(len(s.z)))) - 1e-3 // rounding must not lose one
		floor = min(floor, s.most)                                                             // of huge logits, the greatest
	}
	s.ids = s.ids[:0]
	for id, z := range s.z {
		if z >= floor {
			s.ids = append(s.ids, int32(id))
		}
	}
}

// argmax is the index of the greatest element, the first on a tie.
func argmax(x []float32) int {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}
