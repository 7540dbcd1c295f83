package eval

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/model/arch"
)

// attentionOf is the attention of a model of one layer, written from the weights: norm, projection, rotation as a complex product, softmax. (H, T, T)
func attentionOf(p *model.Params, ids []int32) [][][]float64 {
	c := p.Config()
	weight := map[string][]float32{}
	for _, q := range p.All() {
		weight[q.Name] = q.Value.Float32s()
	}
	project := func(i, column int) []float64 { // D columns of the projection of token i, rotated
		x, square := make([]float64, c.Dim), 0.0
		for e := range x {
			x[e] = float64(weight["embed"][int(ids[i])*c.Dim+e])
			square += x[e] * x[e] / float64(c.Dim)
		}
		y := make([]float64, c.HeadDim)
		for d := range y {
			for e := range x {
				y[d] += x[e] / math.Sqrt(square+c.NormEps) * float64(weight["layers.0.attn_norm"][e]) * float64(weight["layers.0.qkv"][(column+d)*c.Dim+e])
			}
		}
		half := c.HeadDim / 2
		for d := range half {
			sin, cos := math.Sincos(float64(i) * math.Pow(c.RopeTheta, -float64(d)/float64(half)))
			z := complex(y[d], y[d+half]) * complex(cos, sin)
			y[d], y[d+half] = real(z), imag(z)
		}
		return y
	}
	out := make([][][]float64, c.NumHeads)
	for h := range out {
		for i := range ids {
			row, sum := make([]float64, len(ids)), 0.0
			q := project(i, h*c.HeadDim)
			for j := range i + 1 {
				if c.Window > 0 && j <= i-c.Window {
					continue
				}
				dot := 0.0
				for d, k := range project(j, (c.NumHeads+h/(c.NumHeads/c.NumKVHeads))*c.HeadDim) {
					dot += q[d] * k
				}
				row[j] = math.Exp(dot / math.Sqrt(float64(c.HeadDim)))
				sum += row[j]
			}
			for j := range row {
				row[j] /= sum
			}
			out[h] = append(out[h], row)
		}
	}
	return out
}

func TestAttention(t *testing.T) {
	c := tinyModel(t, 16, 1).Config()
	c.NumHeads, c.NumKVHeads = 4, 2
	testAttention(t, c)
	c.Family, c.Window = arch.FamilyMistral, 3
	testAttention(t, c)
}

func testAttention(t *testing.T, c model.Config) {
	p := model.NewParams(c, tensor.Float32)
	rng := rand.New(rand.NewPCG(4, 4))
	p.Init(rng)
	for _, q := range p.All() {
		for i, x := 0, q.Value.Float32s(); i < len(x); i++ {
			x[i] = float32(rng.NormFloat64())
		}
	}
	queries := []AttentionQuery{ // of different lengths, in one micro-batch
		{Tokens: []int32{1, 5, 9, 3, 7, 2}, From: []Span{{3, 5}}, To: []Span{{1, 3}}},
		{Tokens: []int32{1, 4, 4, 8, 6, 11, 10, 2, 3}, From: []Span{{2, 3}, {7, 9}}, To: []Span{{0, 2}, {1, 5}}},
	}
	got, err := Attention(context.Background(), p, queries, 16, 4)
	require.NoError(t, err)
	for n, l := range queries {
		want := attentionOf(p, l.Tokens)
		from, to := [][]int{{3, 4}, {2, 7, 8}}[n], [][]int{{1, 2}, {0, 1, 2, 3, 4}}[n]
		require.Len(t, got[n].Share, 1)
		mean, peak := 0.0, 0.0
		for h := range want {
			share := 0.0
			for _, i := range from {
				for _, j := range to {
					share += want[h][i][j] / float64(len(from))
				}
			}
			assert.InDelta(t, share, got[n].Share[0][h], 1e-5, "head %d", h)
			mean += share / float64(len(want))
		}
		assert.InDelta(t, mean, got[n].Mean(), 1e-5)
		require.Len(t, got[n].Map, len(from))
		for k, i := range from {
			top := 0.0
			for j := range l.Tokens {
				largest := 0.0
				for h := range want {
					largest = max(largest, want[h][i][j])
				}
				assert.InDelta(t, largest, got[n].Map[k][j], 1e-5)
				for _, x := range to {
					if x == j {
						top = max(top, largest)
					}
				}
			}
			peak += top / float64(len(from))
		}
		assert.InDelta(t, peak, got[n].Peak, 1e-5)
	}
}

// All attention of a token adds up to 1 in every head, and tokens do not see what comes after them.
func TestAttentionAddsUp(t *testing.T) {
	p := tinyModel(t, 16, 2)
	tokens := []int32{1, 5, 9, 3, 7, 2, 4}
	all, err := Attention(context.Background(), p, []AttentionQuery{
		{Tokens: tokens, From: []Span{{0, 7}}, To: []Span{{0, 7}}},
		{Tokens: tokens, From: []Span{{0, 3}}, To: []Span{{3, 7}}},
	}, 8, 1)
	require.NoError(t, err)
	for h, x := range all[0].Share[0] {
		assert.InDelta(t, 1, x, 1e-12, "head %d", h)
		assert.Zero(t, all[1].Share[0][h])
	}
	assert.Zero(t, all[1].Peak)
}

func TestAttentionRefuses(t *testing.T) {
	p := tinyModel(t, 16, 2)
	ids := []int32{1, 5, 9}
	span := []Span{{0, 1}}
	for want, l := range map[string]AttentionQuery{
		"want at least one span":        {Tokens: ids, From: span},
		"span 0 to 4: want a part of":   {Tokens: ids, From: span, To: []Span{{0, 4}}},
		"span 2 to 2: want a part of":   {Tokens: ids, From: []Span{{2, 2}}, To: span},
		"17 tokens, the model's contex": {Tokens: make([]int32, 17), From: span, To: span},
		"99":                            {Tokens: []int32{99}, From: span, To: span},
	} {
		_, err := Attention(context.Background(), p, []AttentionQuery{l}, 32, 1)
		assert.ErrorContains(t, err, want)
	}
	none, err := Attention(context.Background(), p, nil, 8, 1)
	assert.NoError(t, err)
	assert.Empty(t, none)
}
