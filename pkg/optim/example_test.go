package optim_test

import (
	"fmt"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/optim"
)

// Minimise (w - 3)^2 with clipped gradients.
func ExampleAdamW() {
	w := tensor.New(tensor.WithShape(1), tensor.WithBacking([]float64{0}))
	params := []optim.Param{{Name: "w", Value: w}}
	opt := &optim.AdamW{Beta1: 0.9, Beta2: 0.95, Eps: 1e-5}
	schedule := optim.Cosine{Peak: 0.3, Min: 0, Warmup: 5, Total: 100}

	for s := range schedule.Total {
		x := w.Data().([]float64)[0]
		grads := []*tensor.Dense{tensor.New(tensor.WithShape(1), tensor.WithBacking([]float64{2 * (x - 3)}))}
		norm, err := optim.GlobalNorm(nil, grads)
		if err != nil {
			fmt.Println(err)
			return
		}
		if err := opt.Step(params, grads, schedule.LR(s), optim.ClipScale(norm, 1)); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Printf("%.1f after %d steps\n", w.Data(), opt.Steps())
	// Output: [3.0] after 100 steps
}

func ExampleCosine() {
	schedule := optim.Cosine{Peak: 1, Min: 0.1, Warmup: 2, Total: 6}
	for s := range 7 {
		fmt.Printf("%.3f ", schedule.LR(s))
	}
	// Output: 0.500 1.000 1.000 0.868 0.550 0.232 0.100
}

func ExampleClipScale() {
	fmt.Printf("%.3f %.3f\n", optim.ClipScale(0.5, 1), optim.ClipScale(4, 1))
	// Output: 1.000 0.250
}
