package optim

import (
	"errors"
	"fmt"
	"math"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/backend"
	"github.com/tame-rlhf/tame/pkg/backend/cpu"
	"github.com/tame-rlhf/tame/pkg/setting"
)

// Param is a tensor that an optimiser changes.
type Param struct {
	// Name finds the tensor's moments again in a State. Unique.
	Name string
	// Value is changed in place. float32 or float64, any shape, contiguous.
	Value *tensor.Dense
	// Decay says whether weight decay shrinks the tensor: true for matrices, false for norms and biases.
	Decay bool
}

// AdamW is Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2), in PyTorch's form:
//
//	m  = Beta1*m + (1-Beta1)*g
//	v  = Beta2*v + (1-Beta2)*g*g
//	p -= lr*WeightDecay*p                     where Param.Decay, and
//	p -= lr * (m/(1-Beta1^t)) / (sqrt(v/(1-Beta2^t)) + Eps)
//
// The fields are used as they are: a zero is zero, not a default. The moments are made by Init or by the first Step.
// Do not copy an AdamW after that: the copies would share them.
type AdamW struct {
	// Beta1 is the decay of the mean of the gradients, in [0, 1). Paper 2.2: 0.9.
	Beta1 float64
	// Beta2 is the decay of the mean of their squares, in [0, 1). Paper 2.2: 0.95.
	Beta2 float64
	// Eps is added to the root of the second moment. Paper 2.2: 1e-5; 1e-8 makes the first PPO steps several times larger.
	Eps float64
	// WeightDecay is the share of a weight that goes per step and unit of learning rate. Paper 2.2: 0.1.
	WeightDecay float64

	steps   int
	moments []Moment
	backend backend.Backend    // nil for cpu.Backend
	factors map[string]float64 // of the learning rate, see SetLRFactor
}

// SetBackend changes what computes the steps. Nil means cpu.Backend.
func (o *AdamW) SetBackend(b backend.Backend) { o.backend = b }

// DefaultAdamW returns the settings of section 2.2 of the paper.
func DefaultAdamW() *AdamW {
	return &AdamW{Beta1: 0.9, Beta2: 0.95, Eps: 1e-5, WeightDecay: 0.1}
}

// Validate reports every setting that makes no sense.
func (o *AdamW) Validate() error {
	check := setting.NewChecks("optim: AdamW")
	check.ShareBelowOne("Beta1", o.Beta1)
	check.ShareBelowOne("Beta2", o.Beta2)
	check.Positive("Eps", o.Eps)
	check.NotNegative("WeightDecay", o.WeightDecay)
	return check.Err()
}

// Init makes the moments of params, all zero. It is an error to change the parameters afterwards.
func (o *AdamW) Init(params []Param) error {
	if err := o.Validate(); err != nil {
		return err
	}
	if o.moments != nil {
		return o.matches(params)
	}
	if len(params) == 0 {
		return errors.New("optim: AdamW has no parameters")
	}
	seen := make(map[string]bool, len(params))
	moments := make([]Moment, len(params))
	for i, p := range params {
		if seen[p.Name] {
			return fmt.Errorf("optim: two parameters are named %q", p.Name)
		}
		seen[p.Name] = true
		if err := checkTensor("parameter", p.Name, p.Value); err != nil {
			return err
		}
		moments[i] = Moment{
			Name: p.Name,
			M:    tensor.New(tensor.Of(p.Value.Dtype()), tensor.WithShape(p.Value.Shape().Clone()...)),
			V:    tensor.New(tensor.Of(p.Value.Dtype()), tensor.WithShape(p.Value.Shape().Clone()...)),
		}
	}
	o.moments = moments
	return nil
}

// SetLRFactor multiplies the learning rate of the parameter of that name, weight decay included.
func (o *AdamW) SetLRFactor(name string, factor float64) {
	if o.factors == nil {
		o.factors = map[string]float64{}
	}
	o.factors[name] = factor
}

// Steps is the number of steps done.
func (o *AdamW) Steps() int { return o.steps }

// Step changes params by one step along grads (same order and shapes) times gradScale, the clipping factor. Either all
// parameters change or, with an error, none. Gradients are not checked for NaN here. After the first step nothing is
// allocated.
func (o *AdamW) Step(params []Param, grads []*tensor.Dense, lr, gradScale float64) error {
	if err := o.Init(params); err != nil {
		return err
	}
	if len(grads) != len(params) {
		return fmt.Errorf("optim: %d gradients for %d parameters", len(grads), len(params))
	}
	for i, p := range params {
		if err := sameTensor("gradient of", p.Name, grads[i], p.Value); err != nil {
			return err
		}
	}
	if lr < 0 || math.IsNaN(lr) || math.IsInf(lr, 0) {
		return fmt.Errorf("optim: learning rate is %g, want a number of at least 0", lr)
	}
	if gradScale < 0 || math.IsNaN(gradScale) || math.IsInf(gradScale, 0) {
		return fmt.Errorf("optim: gradient scale is %g, want a number of at least 0", gradScale)
	}

	o.steps++
	for i, p := range params {
		m, v := o.moments[i].M, o.moments[i].V
		lr := lr
		if factor, ok := o.factors[p.Name]; ok {
			lr *= factor
		}
		if p.Value.Dtype() == tensor.Float32 {
			apply(o, p.Value.Float32s(), grads[i].Float32s(), m.Float32s(), v.Float32s(), lr, gradScale, p.Decay)
		} else {
			apply(o, p.Value.Float64s(), grads[i].Float64s(), m.Float64s(), v.Float64s(), lr, gradScale, p.Decay)
		}
	}
	return nil
}

// apply is the step of one parameter; o.steps counts it already.
func apply[T backend.Float](o *AdamW, p, g, m, v []T, lr, gradScale float64, decays bool) {
	decay := 0.0
	if decays {
		decay = o.WeightDecay
	}
	bias1 := 1 - math.Pow(o.Beta1, float64(o.steps))
	bias2 := 1 - math.Pow(o.Beta2, float64(o.steps))
	backend.Of[T](orCPU(o.backend)).AdamW(p, g, m, v, backend.AdamWStep{
		LR: lr, Beta1: o.Beta1, Beta2: o.Beta2, Eps: o.Eps, Decay: decay, Bias1: bias1, Bias2: bias2, GradScale: gradScale,
	})
}

// orCPU is the backend, or the default.
func orCPU(b backend.Backend) backend.Backend {
	if b == nil {
		return cpu.Backend{}
	}
	return b
}

// matches says whether params are the ones the moments were made for.
func (o *AdamW) matches(params []Param) error {
	if len(params) != len(o.moments) {
		return fmt.Errorf("optim: AdamW was made for %d parameters, got %d", len(o.moments), len(params))
	}
	for i, p := range params {
		if p.Name != o.moments[i].Name {
			return fmt.Errorf("optim: parameter %d is %q, AdamW was made for %q there", i, p.Name, o.moments[i].Name)
		}
		if err := sameTensor("parameter", p.Name, p.Value, o.moments[i].M); err != nil {
			return err
		}
	}
	return nil
}

// checkTensor says whether t is something an optimiser can work on.
func checkTensor(kind, name string, t *tensor.Dense) error {
	if t == nil {
		return fmt.Errorf("optim: %s %q is nil", kind, name)
	}
	if t.Dtype() != tensor.Float32 && t.Dtype() != tensor.Float64 {
		return fmt.Errorf("optim: %s %q is %v, want float32 or float64", kind, name, t.Dtype())
	}
	if t.RequiresIterator() || t.IsMasked() || !t.DataOrder().IsRowMajor() {
		return fmt.Errorf("optim: %s %q is a view, want a contiguous row-major tensor", kind, name)
	}
	return nil
}

// sameTensor says whether got has the dtype and shape of want. The words of its error are put together only if there is one.
func sameTensor(kind, name string, got, want *tensor.Dense) error {
	if got == nil {
		return fmt.Errorf("optim: %s %s is nil", kind, name)
	}
	if got.Dtype() != want.Dtype() || !got.Shape().Eq(want.Shape()) {
		return fmt.Errorf("optim: %s %s is %v of %v, want %v of %v", kind, name, got.Shape(), got.Dtype(), want.Shape(), want.Dtype())
	}
	return checkTensor(kind, name, got)
}
