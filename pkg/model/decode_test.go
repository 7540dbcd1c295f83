package model

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Decoding gives the bits of the graph's forward: the first ratio of PPO is exactly 1.
func TestDecoderHasBitsOfGraph(t *testing.T) {
	for name, cfg := range shapes() {
		t.Run(name, func(t *testing.T) {
			p := randomParams(cfg, tensor.Float32, 7)
			rng := rand.New(rand.NewPCG(8, 8))
			sequences := [][]int32{randomTokens(rng, 5, cfg.VocabSize), randomTokens(rng, 131, cfg.VocabSize), randomTokens(rng, 64, cfg.VocabSize)}
			b := pack(t, 210, 4, sequences...)
			var logp *gorgonia.Node
			g := newGraph(t, p, b.N, b.S, func(_ *Inputs, trunk *Trunk) []*gorgonia.Node {
				logp = node(t)(trunk.LogProbs())
				return []*gorgonia.Node{logp}
			})
			want := g.run(t, b, logp)[0]
			d, err := NewDecoder(p, 3, 131)
			require.NoError(t, err)
			for seg, tokens := range sequences {
				lo, hi := b.Span(seg)
				assert.Equal(t, want[lo:hi-1], widen(decoderLogProbs(t, d, 2-seg, tokens)))
			}
		})
	}
}

// Neither the way a sequence is cut into chunks nor what is decoded beside it changes a bit.
func TestDecoderChunks(t *testing.T) {
	cfg := tiny()
	p := randomParams(cfg, tensor.Float32, 9)
	rng := rand.New(rand.NewPCG(10, 10))
	const slots = 5
	d, err := NewDecoder(p, slots, 160)
	require.NoError(t, err)
	alone, err := NewDecoder(p, 1, 160)
	require.NoError(t, err)

	sequences := make([][]int32, slots)
	for round := range 12 {
		var chunks []Chunk
		for _, slot := range rng.Perm(slots)[:1+rng.IntN(slots)] {
			n := 1 + rng.IntN(4)
			if round%4 == 0 {
				n = rng.IntN(40) + 1
			}
			if len(sequences[slot])+n > 160 {
				d.Reset(slot)
				sequences[slot] = nil
			}
			chunk := Chunk{Slot: slot, Tokens: randomTokens(rng, n, cfg.VocabSize)}
			sequences[slot] = append(sequences[slot], chunk.Tokens...)
			chunks = append(chunks, chunk)
		}
		got, err := d.Forward(chunks)
		require.NoError(t, err)
		for i, c := range chunks {
			require.Equal(t, len(sequences[c.Slot]), d.Len(c.Slot))
			alone.Reset(0)
			want, err := alone.Forward([]Chunk{{Slot: 0, Tokens: sequences[c.Slot]}})
			require.NoError(t, err)
			require.Equal(t, want[0], got[i])
		}
	}
}

func TestDecoderCopySlot(t *testing.T) {
	cfg := tiny()
	d, err := NewDecoder(randomParams(cfg, tensor.Float32, 11), 3, 20)
	require.NoError(t, err)
	forward := func(slot int, tokens ...int32) []float32 {
		out, err := d.Forward([]Chunk{{slot, tokens}})
		require.NoError(t, err)
		return append([]float32(nil), out[0]...)
	}
	forward(0, 9, 8, 7)
	forward(2, 1, 2, 3, 4, 5)
	d.CopySlot(2, 0)
	assert.Equal(t, 3, d.Len(2))
	a, b := forward(0, 6), forward(2, 6)
	assert.Equal(t, a, b)
	assert.NotEqual(t, a, forward(0, 6), "one token further on")
	d.CopySlot(0, 0)
	assert.Equal(t, 5, d.Len(0))
}

func TestDecoderSetParams(t *testing.T) {
	cfg := tiny()
	p, q := randomParams(cfg, tensor.Float32, 12), randomParams(cfg, tensor.Float32, 13)
	d, err := NewDecoder(p, 1, 8)
	require.NoError(t, err)
	fresh, err := NewDecoder(q, 1, 8)
	require.NoError(t, err)
	_, err = d.Forward([]Chunk{{0, []int32{1, 2}}})
	require.NoError(t, err)
	require.NoError(t, d.SetParams(q))
	assert.Zero(t, d.Len(0))
	got, err := d.Forward([]Chunk{{0, []int32{3, 4}}})
	require.NoError(t, err)
	want, err := fresh.Forward([]Chunk{{0, []int32{3, 4}}})
	require.NoError(t, err)
	assert.Equal(t, want, got)

	// Training goes on while the decoder works: its weights are a copy.
	for _, w := range q.All() {
		fill(w.Value, func() float64 { return math.NaN() })
	}
	d.Reset(0)
	again, err := d.Forward([]Chunk{{0, []int32{3, 4}}})
	require.NoError(t, err)
	assert.Equal(t, want, again)

	cfg.NormEps = 1e-6
	assert.ErrorContains(t, d.SetParams(randomParams(cfg, tensor.Float32, 12)), "another Config")
}

func TestDecoderRefuses(t *testing.T) {
	cfg := tiny()
	p := randomParams(cfg, tensor.Float32, 14)
	d, err := NewDecoder(p, 2, 4)
	require.NoError(t, err)
	_, err = d.Forward([]Chunk{{0, []int32{1, 2, 3}}})
	require.NoError(t, err)
	for _, c := range []struct {
		want   string
		chunks []Chunk
	}{
		{"slot 2 of 2", []Chunk{{2, []int32{1}}}},
		{"slot -1", []Chunk{{-1, []int32{1}}}},
		{"no tokens", []Chunk{{1, nil}}},
		{"room for 4", []Chunk{{1, []int32{1}}, {0, []int32{1, 2}}}},
		{"vocabulary of 31", []Chunk{{1, []int32{31}}}},
		{"token -1", []Chunk{{1, []int32{-1}}}},
		{"two chunks for slot 1", []Chunk{{1, []int32{1}}, {1, []int32{1}}}},
		{"3 chunks for 2 slots", []Chunk{{0, []int32{1}}, {1, []int32{1}}, {1, []int32{1}}}},
	} {
		_, err := d.Forward(c.chunks)
		assert.ErrorContains(t, err, c.want)
		assert.Equal(t, []int{3, 0}, []int{d.Len(0), d.Len(1)}, "an error changes nothing")
	}

	for want, make := range map[string]func() (*Decoder, error){
		"0 slots":           func() (*Decoder, error) { return NewDecoder(p, 0, 4) },
		"MaxSeqLen 160":     func() (*Decoder, error) { return NewDecoder(p, 1, 161) },
		"float64":           func() (*Decoder, error) { return NewDecoder(p.As(tensor.Float64), 1, 4) },
		"no output":         func() (*Decoder, error) { q := p.Clone(); q.DropOutput(); return NewDecoder(q, 1, 4) },
		"Dim is 0, want 1 ": func() (*Decoder, error) { return NewDecoder(NewParams(Config{MaxSeqLen: 9}, tensor.Float32), 1, 4) },
	} {
		_, err := make()
		assert.ErrorContains(t, err, want)
	}
}

// A step of decoding allocates nothing.
func TestDecoderAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("under the race detector pools drop what they hold")
	}
	cfg := tiny()
	d, err := NewDecoder(randomParams(cfg, tensor.Float32, 15), 4, 100)
	require.NoError(t, err)
	chunks := []Chunk{{0, []int32{1}}, {1, []int32{2}}, {2, []int32{3}}, {3, []int32{4}}}
	assert.Zero(t, testing.AllocsPerRun(20, func() {
		_, err = d.Forward(chunks)
	}))
	require.NoError(t, err)
}

func TestDecoderBytes(t *testing.T) {
	c := tiny()
	before := DecoderBytes(c, 2, 32)                                  // caches keep keys for runs of 32 tokens
	perToken := int64(2 * c.NumLayers * c.NumKVHeads * c.HeadDim * 4) // keys and values
	rope := int64(c.HeadDim * 4)
	assert.Equal(t, 2*32*perToken+32*rope, DecoderBytes(c, 2, 64)-before)
	assert.Equal(t, 2*perToken/2+rope, DecoderBytes(c, 2, 64)-DecoderBytes(c, 2, 63), "a value more, the key has its place")
	assert.Greater(t, before, 4*c.NumParams()-4*int64(c.Dim*(2*c.NumLayers+1)), "all matrices are packed")
}
