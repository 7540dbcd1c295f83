package generate

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/backend/cpu"
)

// forced leaves one token, which the place decides.
func forced(choose func(at LogitsContext) int32) LogitsFunc {
	return func(at LogitsContext, logits []float32) error {
		id := choose(at)
		for i := range logits {
			if int32(i) != id {
				logits[i] = float32(math.Inf(-1))
			}
		}
		return nil
	}
}

func sum(ids []int32) (n int32) {
	for _, id := range ids {
		n += id
	}
	return n
}

// TestLogitsSeeThePlace forces answers that can be computed by hand from what the function is given.
func TestLogitsSeeThePlace(t *testing.T) {
	p, cfg := tinyModel(t, 1), tinyGenerate(t)
	cfg.Stop, cfg.MaxNewTokens = nil, 5
	cfg.Logits = forced(func(at LogitsContext) int32 {
		return (sum(at.Prompt) + int32(at.ID) + 3*int32(at.Sample) + 5*sum(at.Answer) + int32(len(at.Answer))) % 13
	})
	for _, slots := range []int{1, 2, 64} {
		cfg.Slots = slots
		out, err := Generate(t.Context(), p, someRequests(), cfg)
		require.NoError(t, err)
		for i, r := range someRequests() {
			for k, s := range out[i] {
				var want []int32
				for n := range int32(5) {
					want = append(want, (sum(r.Prompt)+int32(r.ID)+3*int32(k)+5*sum(want)+n)%13)
				}
				assert.Equal(t, want, s.Tokens, "request %d, sample %d, %d slots", i, k, slots)
				assert.Equal(t, make([]float32, 5), s.LogProbs, "what is certain has log-probability 0")
			}
		}
	}
}

// TestLogitsSeeTheDialogue forces tokens by all that was said before the answer.
func TestLogitsSeeTheDialogue(t *testing.T) {
	p, cfg := tinyModel(t, 1), tinyGenerate(t)
	cfg.Stop, cfg.MaxNewTokens = []int32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 1
	cfg.Logits = forced(func(at LogitsContext) int32 { return (sum(at.Prompt) + int32(at.ID)) % 13 })
	out, err := Converse(t.Context(), p, [][]TurnRequest{{{Prompt: []int32{1, 4}, ID: 2}, {Prompt: []int32{6}, ID: 3}, {Prompt: []int32{5}}}}, cfg)
	require.NoError(t, err)
	var got []int32
	for _, s := range out[0] {
		got = append(got, s.Tokens...)
	}
	// 1+4+2 = 7; 1+4+7+6+3 = 21 = 8; 1+4+7+6+8+5 = 31 = 5.
	assert.Equal(t, []int32{7, 8, 5}, got)
}

// TestLogitsDistribution bans a token and wants the others' probabilities renormalised.
func TestLogitsDistribution(t *testing.T) {
	p := []float64{0.1, 0.4, 0.2, 0.3}
	logits := make([]float32, len(p))
	for i := range p {
		logits[i] = float32(math.Log(p[i]))
	}
	cfg := DefaultSampling()
	cfg.Logits = BanTokens(1)
	before := slices.Clone(logits)
	want := []float64{0.1 / 0.6, 0, 0.2 / 0.6, 0.3 / 0.6}
	counts := make([]int, len(p))
	const n = 20000
	s := newSampler(cpu.Backend{}.Float32(), cfg)
	for i := range n {
		id, lp, err := s.next(logits, LogitsContext{}, stream(5, uint64(i), 0))
		require.NoError(t, err)
		counts[id]++
		require.InDelta(t, math.Log(want[id]), lp, 2e-6)
	}
	assert.Zero(t, counts[1])
	assert.Greater(t, chiSquare(counts, want, n), 1e-3)
	assert.Equal(t, before, logits, "other samples read them too")

	cfg.Temperature = 0
	id, lp, err := newSampler(cpu.Backend{}.Float32(), cfg).next(logits, LogitsContext{}, nil)
	require.NoError(t, err)
	assert.EqualValues(t, 3, id, "the most probable token that is left")
	assert.InDelta(t, math.Log(0.5), lp, 1e-6)
}

// TestBan: a sequence is banned at its last id, after the ones before it.
func TestBan(t *testing.T) {
	banned := func(f LogitsFunc, answer ...int32) (ids []int) {
		logits := make([]float32, 9)
		require.NoError(t, f(LogitsContext{Prompt: []int32{4, 5}, Answer: answer}, logits))
		for id, z := range logits {
			if math.IsInf(float64(z), -1) {
				ids = append(ids, id)
			}
		}
		return ids
	}
	f := Ban([]int32{4, 5, 6}, []int32{5, 7}, []int32{8})
	assert.Equal(t, []int{8}, banned(f))
	assert.Equal(t, []int{8}, banned(f, 4), "4 5 6 needs 4 and 5")
	assert.Equal(t, []int{6, 7, 8}, banned(f, 1, 4, 5))
	assert.Equal(t, []int{7, 8}, banned(f, 4, 1, 5))
	assert.Equal(t, []int{8}, banned(f, 4, 5, 1))
	assert.Equal(t, []int{0, 3}, banned(BanTokens(3, 0), 1, 2))

	for want, f := range map[string]LogitsFunc{"id 9 is outside of the vocabulary of 9": BanTokens(9), "id -1 is outside": BanTokens(-1), "is empty": Ban(nil)} {
		assert.ErrorContains(t, f(LogitsContext{}, make([]float32, 9)), want)
	}
}

func TestLogitsErrors(t *testing.T) {
	p, cfg := tinyModel(t, 1), tinyGenerate(t)
	cfg.Stop = nil
	try := func(f LogitsFunc) error {
		cfg.Logits = f
		_, err := Generate(t.Context(), p, []Request{{Prompt: []int32{1}, ID: 7, Samples: 2}}, cfg)
		return err
	}
	third := func(z float32) LogitsFunc {
		return func(at LogitsContext, logits []float32) error {
			if len(at.Answer) == 2 {
				for i := range logits {
					logits[i] = z
				}
			}
			return nil
		}
	}
	err := try(third(float32(math.Inf(-1))))
	assert.ErrorContains(t, err, "generate: request 0 (ID 7), token 2 of the answer: Sampling.Logits has set every logit to -Inf")
	for _, z := range []float64{math.NaN(), math.Inf(1)} {
		err = try(third(float32(z)))
		assert.ErrorContains(t, err, "request 0 (ID 7), token 2 of the answer: Sampling.Logits has set a logit to NaN or +Inf")
	}
	own := errors.New("no such rule")
	assert.ErrorIs(t, try(func(LogitsContext, []float32) error { return own }), own)
}
