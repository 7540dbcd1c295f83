package optim_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/optim"
)

func vec(x ...float64) *tensor.Dense {
	return tensor.New(tensor.WithShape(len(x)), tensor.WithBacking(x))
}

func data(t *tensor.Dense) []float64 { return t.Data().([]float64) }

// A first step moves a weight by lr*g/(|g|+eps), whatever the betas; so does every further step with the same gradient.
func TestAdamWConstantGradient(t *testing.T) {
	const lr, g, eps = 0.1, 0.5, 1e-5
	opt := optim.DefaultAdamW()
	w, norm := vec(2, -2), vec(1)
	params := []optim.Param{{Name: "w", Value: w, Decay: true}, {Name: "norm", Value: norm}}
	wantW, wantNorm := []float64{2, -2}, 1.0
	for range 5 {
		require.NoError(t, opt.Step(params, []*tensor.Dense{vec(g, -g), vec(g)}, lr, 1))
		move := lr * g / (g + eps)
		wantW[0] = wantW[0]*(1-lr*0.1) - move
		wantW[1] = wantW[1]*(1-lr*0.1) + move
		wantNorm -= move // no decay
		assert.InDelta(t, wantW[0], data(w)[0], 1e-14)
		assert.InDelta(t, wantW[1], data(w)[1], 1e-14)
		assert.InDelta(t, wantNorm, data(norm)[0], 1e-14)
	}
	assert.Equal(t, 5, opt.Steps())
}

// Two steps by hand: g = 1, then g = -1.
//
//	t=1: m = 0.1, v = 0.05, m^ = 1, v^ = 1:                              p = 1 - 0.1/(1+eps)
//	t=2: m = 0.09-0.1 = -0.01, m^ = -0.01/0.19, v^ = 0.0975/0.0975 = 1:  p += 0.1*(0.01/0.19)/(1+eps)
func TestAdamWTwoStepsByHand(t *testing.T) {
	const eps = 1e-5
	opt := optim.DefaultAdamW()
	p := vec(1)
	params := []optim.Param{{Name: "p", Value: p}}
	require.NoError(t, opt.Step(params, []*tensor.Dense{vec(1)}, 0.1, 1))
	assert.InDelta(t, 1-0.1/(1+eps), data(p)[0], 1e-15)
	require.NoError(t, opt.Step(params, []*tensor.Dense{vec(-1)}, 0.1, 1))
	assert.InDelta(t, 1-0.1/(1+eps)+0.1*(0.01/0.19)/(1+eps), data(p)[0], 1e-15)

	s := opt.State()
	assert.InDelta(t, -0.01, data(s.Moments[0].M)[0], 1e-15)
	assert.InDelta(t, 0.0975, data(s.Moments[0].V)[0], 1e-15)
}

// Without the square root's and the means' corrections, eps 1 shows where eps stands: beside the corrected root.
func TestAdamWEpsIsAddedAfterTheCorrection(t *testing.T) {
	opt := optim.DefaultAdamW()
	opt.Eps = 1
	p := vec(0)
	require.NoError(t, opt.Step([]optim.Param{{Name: "p", Value: p}}, []*tensor.Dense{vec(3)}, 0.1, 1))
	assert.InDelta(t, -0.1*3/(3+1), data(p)[0], 1e-15)
}

func TestAdamWScalesGradients(t *testing.T) {
	a, b := vec(1, 2, 3), vec(1, 2, 3)
	one, two := optim.DefaultAdamW(), optim.DefaultAdamW()
	require.NoError(t, one.Step([]optim.Param{{Name: "p", Value: a}}, []*tensor.Dense{vec(1, -4, 8)}, 0.1, 0.25))
	require.NoError(t, two.Step([]optim.Param{{Name: "p", Value: b}}, []*tensor.Dense{vec(0.25, -1, 2)}, 0.1, 1))
	assert.Equal(t, data(b), data(a))
}

// The float32 pass follows the float64 pass over many steps, on a tensor long enough for every loop.
func TestAdamWFloat32(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const n = 1003
	w32, w64 := make([]float32, n), make([]float64, n)
	for i := range w32 {
		w32[i] = float32(rng.NormFloat64())
		w64[i] = float64(w32[i])
	}
	p32 := []optim.Param{{Name: "p", Value: tensor.New(tensor.WithShape(17, 59), tensor.WithBacking(w32)), Decay: true}}
	p64 := []optim.Param{{Name: "p", Value: tensor.New(tensor.WithShape(17, 59), tensor.WithBacking(w64)), Decay: true}}
	o32, o64 := optim.DefaultAdamW(), optim.DefaultAdamW()
	for range 20 {
		g32, g64 := make([]float32, n), make([]float64, n)
		for i := range g32 {
			g32[i] = float32(rng.NormFloat64())
			g64[i] = float64(g32[i])
		}
		require.NoError(t, o32.Step(p32, []*tensor.Dense{tensor.New(tensor.WithShape(17, 59), tensor.WithBacking(g32))}, 1e-2, 0.5))
		require.NoError(t, o64.Step(p64, []*tensor.Dense{tensor.New(tensor.WithShape(17, 59), tensor.WithBacking(g64))}, 1e-2, 0.5))
	}
	for i := range w32 {
		require.InDelta(t, w64[i], float64(w32[i]), 2e-6, "element %d", i)
	}
}

func TestAdamWRestoreGoesOnWithTheSameBits(t *testing.T) {
	grads := [][]*tensor.Dense{}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 6 {
		grads = append(grads, []*tensor.Dense{vec(rng.NormFloat64(), rng.NormFloat64()), vec(rng.NormFloat64())})
	}
	fresh := func() []optim.Param {
		return []optim.Param{{Name: "w", Value: vec(1, 2), Decay: true}, {Name: "b", Value: vec(3)}}
	}
	straight, params := optim.DefaultAdamW(), fresh()
	for _, g := range grads {
		require.NoError(t, straight.Step(params, g, 0.1, 1))
	}

	first, cut := optim.DefaultAdamW(), fresh()
	for _, g := range grads[:3] {
		require.NoError(t, first.Step(cut, g, 0.1, 1))
	}
	second := optim.DefaultAdamW()
	require.NoError(t, second.Restore(cut, first.State()))
	assert.Equal(t, 3, second.Steps())
	for _, g := range grads[3:] {
		require.NoError(t, second.Step(cut, g, 0.1, 1))
	}
	for i := range params {
		assert.Equal(t, data(params[i].Value), data(cut[i].Value), params[i].Name)
	}
	// Restore copied: the first optimiser's moments are where they were.
	assert.NotEqual(t, data(first.State().Moments[0].M), data(second.State().Moments[0].M))
}

func TestAdamWRefuses(t *testing.T) {
	p := []optim.Param{{Name: "p", Value: vec(1, 2)}}
	g := []*tensor.Dense{vec(1, 1)}
	step := func(o *optim.AdamW, p []optim.Param, g []*tensor.Dense, lr, scale float64) error {
		return o.Step(p, g, lr, scale)
	}
	used := optim.DefaultAdamW()
	require.NoError(t, used.Step(p, g, 0, 1))
	half := tensor.New(tensor.WithShape(2), tensor.WithBacking([]float32{1, 1}))
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"count":     {step(used, p, nil, 1, 1), "0 gradients for 1 parameters"},
		"nil":       {step(used, p, []*tensor.Dense{nil}, 1, 1), "gradient of p is nil"},
		"shape":     {step(used, p, []*tensor.Dense{vec(1)}, 1, 1), "gradient of p is (1) of float64, want (2) of float64"},
		"dtype":     {step(used, p, []*tensor.Dense{half}, 1, 1), "gradient of p is (2) of float32"},
		"lr":        {step(used, p, g, math.NaN(), 1), "learning rate is NaN"},
		"scale":     {step(used, p, g, 1, math.Inf(1)), "gradient scale is +Inf"},
		"renamed":   {step(used, []optim.Param{{Name: "q", Value: vec(1, 2)}}, g, 1, 1), `parameter 0 is "q"`},
		"reshaped":  {step(used, []optim.Param{{Name: "p", Value: vec(1)}}, g, 1, 1), "parameter p is (1)"},
		"more":      {step(used, append(p, p...), g, 1, 1), "made for 1 parameters, got 2"},
		"twice":     {optim.DefaultAdamW().Init(append(p, p...)), `two parameters are named "p"`},
		"none":      {optim.DefaultAdamW().Init(nil), "no parameters"},
		"settings":  {(&optim.AdamW{Beta1: 1, Beta2: 1, WeightDecay: -1}).Init(p), "AdamW.Eps is 0"},
		"int":       {optim.DefaultAdamW().Init([]optim.Param{{Name: "p", Value: tensor.New(tensor.Of(tensor.Int32), tensor.WithShape(2))}}), "is int32"},
		"no moment": {used.Restore(p, optim.State{}), `no moments of "p"`},
		"other moment": {used.Restore(p, optim.State{Moments: []optim.Moment{
			{Name: "p", M: vec(0, 0), V: vec(0, 0)}, {Name: "x", M: vec(0), V: vec(0)}}}), `moments of "x", which is no parameter`},
		"moment shape": {used.Restore(p, optim.State{Moments: []optim.Moment{{Name: "p", M: vec(0), V: vec(0, 0)}}}), "saved m of p is (1)"},
		"steps":        {used.Restore(p, optim.State{Steps: -1}), "-1 steps"},
	} {
		assert.ErrorContains(t, c.err, c.want, name)
	}
	assert.Equal(t, 1, used.Steps(), "a refused step or restore changes nothing")
	assert.Equal(t, []float64{1, 2}, data(p[0].Value))

	view, err := tensor.New(tensor.WithShape(2, 2), tensor.WithBacking([]float64{1, 2, 3, 4})).Slice(nil, tensor.S(0))
	require.NoError(t, err)
	assert.ErrorContains(t, optim.DefaultAdamW().Init([]optim.Param{{Name: "p", Value: view.(*tensor.Dense)}}), "is a view")
}

// A factor multiplies the learning rate of its parameter alone, decay included: the step of the rate times the factor.
func TestLRFactor(t *testing.T) {
	stepped := func(lr, factor float64) []float32 {
		o := optim.DefaultAdamW()
		if factor != 1 {
			o.SetLRFactor("b", factor)
		}
		value := func() *tensor.Dense { return tensor.New(tensor.WithShape(2), tensor.WithBacking([]float32{1, -2})) }
		params := []optim.Param{{Name: "a", Value: value(), Decay: true}, {Name: "b", Value: value(), Decay: true}}
		g := tensor.New(tensor.WithShape(2), tensor.WithBacking([]float32{0.5, 0.25}))
		require.NoError(t, o.Step(params, []*tensor.Dense{g, g}, lr, 1))
		return append(params[0].Value.Float32s(), params[1].Value.Float32s()...)
	}
	got := stepped(0.5, 0.25)
	assert.Equal(t, stepped(0.5, 1)[:2], got[:2])
	assert.Equal(t, stepped(0.125, 1)[2:], got[2:])
	assert.Equal(t, []float32{1, -2}, stepped(0.5, 0)[2:])
}
