package generate

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/backend"
	"github.com/tame-rlhf/tame/pkg/backend/cpu"
	"github.com/tame-rlhf/tame/pkg/model"
)

func tinyConfig() model.Config {
	return model.Config{
		Dim: 16, NumLayers: 2, NumHeads: 4, NumKVHeads: 2, HeadDim: 4, HiddenDim: 24, VocabSize: 13, MaxSeqLen: 24,
		NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}
}

// tinyModel draws weights large enough that what came before matters to the next token.
func tinyModel(t testing.TB, seed uint64) *model.Params {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 5))
	p := model.NewParams(tinyConfig(), tensor.Float32)
	for _, q := range p.All() {
		x := q.Value.Float32s()
		std := 0.7
		if q.Decay && q.Name != "embed" {
			std = 1.2 / math.Sqrt(float64(q.Value.Shape()[1]))
		}
		for i := range x {
			x[i] = float32(std * rng.NormFloat64())
		}
	}
	return p
}

// scripted is a decoder whose logits are a plain function of the sequence in the slot. It checks what it is asked for.
type scripted struct {
	t      testing.TB
	logits func(sequence []int32) []float32
	slots  [][]int32
	passes int
	tokens int // that entered
	most   int // that may enter in one pass; 0: any number
}

func newScripted(t testing.TB, slots int, logits func([]int32) []float32) *scripted {
	return &scripted{t: t, logits: logits, slots: make([][]int32, slots)}
}

func (d *scripted) Backend() backend.Backend { return cpu.Backend{} }

func (d *scripted) Forward(chunks []model.Chunk) ([][]float32, error) {
	d.passes++
	var out [][]float32
	before := d.tokens
	for _, c := range chunks {
		d.tokens += len(c.Tokens)
		d.slots[c.Slot] = append(d.slots[c.Slot], c.Tokens...)
		out = append(out, d.logits(d.slots[c.Slot]))
	}
	require.True(d.t, d.most == 0 || d.tokens-before <= d.most, "%d tokens in one pass", d.tokens-before)
	return out, nil
}

func (d *scripted) Reset(slot int)        { d.slots[slot] = nil }
func (d *scripted) CopySlot(dst, src int) { d.slots[dst] = append([]int32(nil), d.slots[src]...) }
