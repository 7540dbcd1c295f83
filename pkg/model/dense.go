package model

import (
	"fmt"
	"math/rand/v2"

	"gorgonia.org/tensor"
)

// float is the element type of weights and activations.
type float interface{ float32 | float64 }

func checkDType(dt tensor.Dtype) error {
	if dt != tensor.Float32 && dt != tensor.Float64 {
		return fmt.Errorf("model: dtype is %v, want tensor.Float32 or tensor.Float64", dt)
	}
	return nil
}

func zeros(dt tensor.Dtype, shape ...int) *tensor.Dense {
	return tensor.New(tensor.Of(dt), tensor.WithShape(shape...))
}

// floats is the backing slice of a tensor of T.
func floats[T float](d *tensor.Dense) []T { return d.Data().([]T) }

// fill calls next for each element in order.
func fill(d *tensor.Dense, next func() float64) {
	switch x := d.Data().(type) {
	case []float32:
		for i := range x {
			x[i] = float32(next())
		}
	case []float64:
		for i := range x {
			x[i] = next()
		}
	}
}

func fillNormal(d *tensor.Dense, rng *rand.Rand, std float64) {
	fill(d, func() float64 { return std * rng.NormFloat64() })
}

// convert copies a tensor into one of another dtype.
func convert(d *tensor.Dense, dt tensor.Dtype) *tensor.Dense {
	out := zeros(dt, d.Shape()...)
	switch x := d.Data().(type) {
	case []float32:
		i := -1
		fill(out, func() float64 { i++; return float64(x[i]) })
	case []float64:
		i := -1
		fill(out, func() float64 { i++; return x[i] })
	}
	return out
}
