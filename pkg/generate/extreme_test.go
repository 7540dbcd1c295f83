package generate

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/backend/cpu"
)

var inf = float32(math.Inf(1))

// TestColdestTemperatures: logits / T that float32 cannot hold are no reason to stop, or to draw anything but the greatest.
func TestColdestTemperatures(t *testing.T) {
	for _, temperature := range []float64{3e-39, 1e-38, 1e-30, 1e-10} {
		for _, topP := range []float64{1, 0.9, 1e-9} {
			for _, logits := range [][]float32{{1, 3, 2}, {-3, -1, -2}, {-1e30, 3e38, -inf}, {0, 1e-3, -5}} {
				cfg := DefaultSampling()
				cfg.Temperature, cfg.TopP = temperature, topP
				require.NoError(t, cfg.Validate())
				id, logProb, err := newSampler(cpu.Backend{}.Float32(), cfg).next(logits, LogitsContext{}, stream(1, 2, 3))
				require.NoError(t, err)
				assert.EqualValues(t, 1, id)
				assert.Zero(t, logProb)
			}
		}
	}
}

func TestTemperaturesFloat32CannotHold(t *testing.T) {
	for _, temperature := range []float64{1e-39, 1e-46, 1e-300, 3.5e38, 1e300, -1, math.NaN(), math.Inf(1)} {
		cfg := DefaultSampling()
		cfg.Temperature = temperature
		assert.ErrorContains(t, cfg.Validate(), "Temperature", temperature)
	}
}

// TestDamagedLogits: weights that have diverged give an error in every way of sampling.
func TestDamagedLogits(t *testing.T) {
	nan := float32(math.NaN())
	for _, logits := range [][]float32{{nan, 1, 2}, {1, 2, nan}, {inf, 1, 2}, {-inf, -inf, -inf}} {
		for _, temperature := range []float64{0, 1e-38, 0.7, 1} {
			for _, topP := range []float64{1, 0.5} {
				cfg := DefaultSampling()
				cfg.Temperature, cfg.TopP = temperature, topP
				_, _, err := newSampler(cpu.Backend{}.Float32(), cfg).next(logits, LogitsContext{}, stream(1, 2, 3))
				assert.ErrorIs(t, err, errNotFinite, "%v at %v, %v", logits, temperature, topP)
			}
		}
	}
}

// FuzzSampler: any logits and settings give an id that may be drawn and its log-probability, or an error.
func FuzzSampler(f *testing.F) {
	f.Add([]byte{0, 0, 128, 63, 255, 255, 127, 127}, 1e-38, 0.9, 0, 0, uint64(1))
	f.Add([]byte{0, 0, 192, 127, 0, 0, 128, 255}, 0.0, 1.0, 3, 1, uint64(2))
	f.Add([]byte{0, 0, 128, 255, 0, 0, 0, 0, 255, 255, 127, 255}, 0.7, 1e-300, 1, 2, uint64(3))
	f.Fuzz(func(t *testing.T, raw []byte, temperature, topP float64, topK, vocab int, seed uint64) {
		cfg := DefaultSampling()
		cfg.Temperature, cfg.TopP, cfg.TopK, cfg.Vocab, cfg.Stop = temperature, topP, topK, vocab, nil
		logits := make([]float32, len(raw)/4)
		for i := range logits {
			logits[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
		if cfg.Validate() != nil || len(logits) == 0 {
			t.Skip()
		}
		id, logProb, err := newSampler(cpu.Backend{}.Float32(), cfg).next(logits, LogitsContext{}, stream(seed, 0, 0))
		if err != nil {
			return
		}
		if id < 0 || int(id) >= len(logits) || vocab > 0 && int(id) >= vocab {
			t.Fatalf("id %d of %d logits, vocabulary %d", id, len(logits), vocab)
		}
		if !isFinite(logProb) || logProb > 1e-3 {
			t.Fatalf("log-probability %v of id %d", logProb, id)
		}
	})
}

// TestTooManyAnswers is refused before memory is taken.
func TestTooManyAnswers(t *testing.T) {
	p, cfg := tinyModel(t, 1), tinyGenerate(t)
	for _, n := range []int{1e9, math.MaxInt} {
		requests := []Request{{Prompt: []int32{1}, ID: 1, Samples: n}, {Prompt: []int32{1}, ID: 2, Samples: n}}
		_, err := Generate(t.Context(), p, requests, cfg)
		assert.ErrorContains(t, err, "can be more than 1073741824 tokens at a time")
	}
}
