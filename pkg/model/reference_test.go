package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/model/arch"
	"github.com/tame-rlhf/tame/pkg/ops"
)

// refLlama is Llama 2 written down plainly: one sequence, float64, all positions recomputed, no shared code. It takes the weights under
// their Hugging Face names.
type refLlama struct {
	cfg Config
	w   map[string][]float64
}

func newRef(p *Params) refLlama {
	return refLlama{cfg: p.Config(), w: byHFName(p)}
}

// hidden gives the final-normed state of each token.
func (r refLlama) hidden(tokens []int32) [][]float64 {
	c := r.cfg
	var xs [][]float64
	for _, id := range tokens {
		xs = append(xs, append([]float64(nil), r.w["model.embed_tokens.weight"][int(id)*c.Dim:][:c.Dim]...))
	}
	for l := range c.NumLayers {
		w := func(name string) []float64 { return r.w[fmt.Sprintf("model.layers.%d.%s.weight", l, name)] }
		var qs, ks, vs [][]float64
		for pos, x := range xs {
			n := refNorm(x, w("input_layernorm"), c.NormEps)
			qs = append(qs, r.rotate(refMul(w("self_attn.q_proj"), n), pos))
			ks = append(ks, r.rotate(refMul(w("self_attn.k_proj"), n), pos))
			vs = append(vs, refMul(w("self_attn.v_proj"), n))
		}
		for t, x := range xs {
			out := make([]float64, c.NumHeads*c.HeadDim)
			for h := range c.NumHeads {
				kv := h / (c.NumHeads / c.NumKVHeads)
				p, sum := make([]float64, t+1), 0.0
				for u := range p {
					for i := range c.HeadDim {
						p[u] += qs[t][h*c.HeadDim+i] * ks[u][kv*c.HeadDim+i]
					}
					p[u] = math.Exp(p[u] / math.Sqrt(float64(c.HeadDim)))
					sum += p[u]
				}
				for u := range p {
					for i := range c.HeadDim {
						out[h*c.HeadDim+i] += p[u] / sum * vs[u][kv*c.HeadDim+i]
					}
				}
			}
			for i, v := range refMul(w("self_attn.o_proj"), out) {
				x[i] += v
			}
			n := refNorm(x, w("post_attention_layernorm"), c.NormEps)
			gate, up := refMul(w("mlp.gate_proj"), n), refMul(w("mlp.up_proj"), n)
			for i, g := range gate {
				up[i] *= g / (1 + math.Exp(-g))
			}
			for i, v := range refMul(w("mlp.down_proj"), up) {
				x[i] += v
			}
		}
	}
	for t := range xs {
		xs[t] = refNorm(xs[t], r.w["model.norm.weight"], c.NormEps)
	}
	return xs
}

// rotate turns the pair (i, i+D/2) of each head by the angle pos * theta^(-2i/D).
func (r refLlama) rotate(x []float64, pos int) []float64 {
	d := r.cfg.HeadDim
	y := make([]float64, len(x))
	for i := range x {
		j := i % d % (d / 2)
		sin, cos := math.Sincos(float64(pos) * math.Pow(r.cfg.RopeTheta, -2*float64(j)/float64(d)))
		if i%d < d/2 {
			y[i] = x[i]*cos - x[i+d/2]*sin
		} else {
			y[i] = x[i]*cos + x[i-d/2]*sin
		}
	}
	return y
}

// logProbs gives the log-probabilities over the vocabulary from a state.
func (r refLlama) logProbs(h []float64, temp float64) []float64 {
	w := r.w["lm_head.weight"]
	if r.cfg.TieEmbeddings {
		w = r.w["model.embed_tokens.weight"]
	}
	z, sum := refMul(w, h), 0.0
	for i := range z {
		z[i] /= temp
		sum += math.Exp(z[i])
	}
	for i := range z {
		z[i] -= math.Log(sum)
	}
	return z
}

func (r refLlama) score(h []float64) float64 {
	return refMul(r.w[arch.ScoreWeight], h)[0] + r.w[arch.ScoreBias][0]
}

func refNorm(x, w []float64, eps float64) []float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = v / math.Sqrt(sum/float64(len(x))+eps) * w[i]
	}
	return y
}

// refMul is w x for w of (out, in) rows.
func refMul(w, x []float64) []float64 {
	y := make([]float64, len(w)/len(x))
	for i := range y {
		for j, v := range x {
			y[i] += w[i*len(x)+j] * v
		}
	}
	return y
}

// shapes are the kinds of models that must work.
func shapes() map[string]Config {
	shape := func(change func(*Config)) Config {
		c := tiny()
		change(&c)
		return c
	}
	return map[string]Config{
		"gqa":            shape(func(*Config) {}),
		"mha":            shape(func(c *Config) { c.NumKVHeads = 4 }),
		"mqa":            shape(func(c *Config) { c.NumKVHeads = 1 }),
		"tied":           shape(func(c *Config) { c.TieEmbeddings = true }),
		"head width 12":  shape(func(c *Config) { c.HeadDim, c.NumHeads = 12, 2 }),
		"head width 2":   shape(func(c *Config) { c.HeadDim, c.NumHeads, c.NumKVHeads = 2, 6, 3 }),
		"one head":       shape(func(c *Config) { c.NumHeads, c.NumKVHeads, c.HeadDim = 1, 1, 24 }),
		"one layer":      shape(func(c *Config) { c.NumLayers = 1 }),
		"one token":      shape(func(c *Config) { c.VocabSize, c.BOS, c.EOS = 1, -1, -1 }),
		"odd width":      shape(func(c *Config) { c.Dim, c.HiddenDim = 23, 7 }),
		"large eps":      shape(func(c *Config) { c.NormEps = 0.1 }),
		"rope theta 5e5": shape(func(c *Config) { c.RopeTheta = 5e5 }),
	}
}

func TestGraphMatchesReference(t *testing.T) {
	const temp = 0.7
	for name, cfg := range shapes() {
		t.Run(name, func(t *testing.T) {
			p := randomParams(cfg, tensor.Float64, 3)
			rng := rand.New(rand.NewPCG(4, 4))
			var sequences [][]int32
			for _, n := range []int{1, 9, 70, 3} { // 70: more than one block of keys
				sequences = append(sequences, randomTokens(rng, n, cfg.VocabSize))
			}
			b := pack(t, 90, 6, sequences...)
			var nodes gorgonia.Nodes
			g := newGraph(t, p, b.N, b.S, func(_ *Inputs, trunk *Trunk) []*gorgonia.Node {
				nodes = gorgonia.Nodes{
					trunk.Hidden, node(t)(trunk.LogProbs()), node(t)(trunk.Entropy()), node(t)(trunk.TokenScores()), node(t)(trunk.SegmentScores()),
				}
				return nodes
			})
			f, err := g.in.NewFeed(g.prog)
			require.NoError(t, err)
			require.NoError(t, f.Load(b, map[string]float64{"temperature": temp}))
			require.NoError(t, g.prog.Run(t.Context()))
			var got [][]float64
			for _, n := range nodes {
				buf, err := g.prog.Buffer(n)
				require.NoError(t, err)
				got = append(got, buf.F64)
			}

			ref := newRef(p)
			hidden, logp, ent := make([]float64, b.N*cfg.Dim), make([]float64, b.N), make([]float64, b.N)
			scores, segScores := make([]float64, b.N), make([]float64, b.S)
			for seg, tokens := range sequences {
				lo, _ := b.Span(seg)
				for i, h := range ref.hidden(tokens) {
					copy(hidden[(lo+i)*cfg.Dim:], h)
					scores[lo+i] = ref.score(h)
					segScores[seg] = ref.score(h)
					if i == len(tokens)-1 {
						continue
					}
					all := ref.logProbs(h, temp)
					logp[lo+i] = all[tokens[i+1]]
					for _, v := range all {
						ent[lo+i] -= v * math.Exp(v)
					}
				}
			}
			for i, want := range [][]float64{hidden, logp, ent, scores, segScores} {
				assert.InDeltaSlice(t, want, got[i], 1e-11, "output %d", i)
			}
			n, s := b.Used()
			for i, used := range []int{n * cfg.Dim, n, n, n, s} {
				for _, v := range got[i][used:] {
					require.Zero(t, v, "unused slots of output %d", i)
				}
			}
		})
	}
}

// The derivative along a random direction of each weight agrees with the graph's gradient.
func TestGradientsMatchDifferences(t *testing.T) {
	for name, cfg := range shapes() {
		t.Run(name, func(t *testing.T) {
			p := randomParams(cfg, tensor.Float64, 5)
			rng := rand.New(rand.NewPCG(6, 6))
			b := pack(t, 20, 3, randomTokens(rng, 7, cfg.VocabSize), randomTokens(rng, 5, cfg.VocabSize))
			coef := b.TokenColumn("coef")
			for i := range 12 {
				coef[i] = float32(rng.NormFloat64())
			}
			var loss *gorgonia.Node
			var grads gorgonia.Nodes
			g := newGraph(t, p, b.N, b.S, func(in *Inputs, trunk *Trunk) []*gorgonia.Node {
				x := ops.Expr(in.G)
				sum := x.Sum(x.Mul(x.Add(node(t)(trunk.LogProbs()), node(t)(trunk.Entropy())), in.TokenColumn("coef")))
				sum = x.Add(sum, x.Sum(x.Square(node(t)(trunk.TokenScores()))))
				loss = x.Add(sum, x.Sum(node(t)(trunk.SegmentScores())))
				require.NoError(t, x.Err())
				var err error
				grads, err = gorgonia.Grad(loss, trunk.ParamNodes()...)
				require.NoError(t, err)
				return append(gorgonia.Nodes{loss}, grads...)
			})
			values := g.run(t, b, append(gorgonia.Nodes{loss}, grads...)...)
			for i, q := range p.All() {
				w := floats[float64](q.Value)
				dir, want := make([]float64, len(w)), 0.0
				for j := range dir {
					dir[j] = rng.NormFloat64()
					want += dir[j] * values[1+i][j]
				}
				at := func(step float64) float64 {
					for j := range w {
						w[j] += step * dir[j]
					}
					v := g.run(t, b, loss)[0][0]
					for j := range w {
						w[j] -= step * dir[j]
					}
					return v
				}
				const h = 1e-5
				got := (at(h) - at(-h)) / (2 * h)
				assert.InDelta(t, got, want, 1e-6*(1+math.Abs(want)), q.Name)
			}
		})
	}
}
