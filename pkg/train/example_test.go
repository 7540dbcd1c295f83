package train_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/ops"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/train"
)

// languageModel builds a tiny Llama and its mean negative log-likelihood.
func languageModel() (*model.Inputs, *model.Trunk, train.Terms, error) {
	cfg := model.Config{
		Dim: 16, NumLayers: 1, NumHeads: 2, NumKVHeads: 2, HeadDim: 8, HiddenDim: 32, VocabSize: 12,
		MaxSeqLen: 16, NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}
	params := model.NewParams(cfg, tensor.Float32)
	params.Init(rand.New(rand.NewPCG(1, 2)))
	in := model.NewInputs(tensor.Float32, 16, 2) // 16 token slots, 2 segments
	trunk, err := model.NewTrunk(in, params, "policy")
	if err != nil {
		return nil, nil, train.Terms{}, err
	}
	logp, err := trunk.LogProbs()
	if err != nil {
		return nil, nil, train.Terms{}, err
	}
	x := ops.Expr(in.G)
	loss := x.Neg(x.MaskedMean(logp, in.Mask, in.Scalar(train.ScalarTokens)))
	return in, trunk, train.Terms{Loss: loss}, x.Err()
}

// counting is a batch of one micro-batch: the sequence 1 3 4 5 6 7 2, whose first token is not counted.
func counting() ([]*data.Ragged, error) {
	batch := data.NewRagged(16, 2)
	_, err := batch.Append([]int32{1, 3, 4, 5, 6, 7, 2}, []bool{false, true, true, true, true, true, true})
	return []*data.Ragged{batch}, err
}

func ExampleNewStep() {
	in, trunk, terms, err := languageModel()
	if err != nil {
		fmt.Println(err)
		return
	}
	step, err := train.NewStep(in, terms, []train.Network{{
		Name: "policy", Trunk: trunk, Optim: optim.DefaultAdamW(),
		Schedule: optim.Cosine{Peak: 1e-2, Min: 1e-3, Warmup: 5, Total: 50}, MaxGradNorm: 1,
	}}, train.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	batch, err := counting()
	if err != nil {
		fmt.Println(err)
		return
	}
	for i := range 50 {
		r, err := step.Run(context.Background(), batch)
		if err != nil {
			fmt.Println(err)
			return
		}
		if i == 0 || i == 49 {
			fmt.Printf("step %d: loss %.1f over %d tokens\n", r.Step, r.Loss, r.Tokens)
		}
	}
	// Output:
	// step 0: loss 2.5 over 6 tokens
	// step 49: loss 0.1 over 6 tokens
}

func ExampleNewForward() {
	in, trunk, terms, err := languageModel()
	if err != nil {
		fmt.Println(err)
		return
	}
	forward, err := train.NewForward(in, []*gorgonia.Node{terms.Loss}, []*model.Trunk{trunk})
	if err != nil {
		fmt.Println(err)
		return
	}
	batch, err := counting()
	if err != nil {
		fmt.Println(err)
		return
	}
	values, err := forward.Run(context.Background(), batch[0])
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("loss %.1f, log 12 is %.1f\n", values[0][0], math.Log(12))
	// Output: loss 2.5, log 12 is 2.5
}

func ExampleSaveCheckpoint() {
	dir, err := os.MkdirTemp("", "train")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	_, trunk, _, err := languageModel()
	if err != nil {
		fmt.Println(err)
		return
	}
	// A stage also asks its Step: step.Checkpoint(c) before, step.Restore(c) after.
	c := &train.Checkpoint{Params: trunk.Params(), State: train.State{Stage: "sft", Step: 3}}
	if err := train.SaveCheckpoint(filepath.Join(dir, "sft"), c); err != nil {
		fmt.Println(err)
		return
	}
	got, err := train.LoadCheckpoint(context.Background(), filepath.Join(dir, "sft"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(got.State.Stage, got.State.Step, got.Params.NumParams() == c.Params.NumParams())
	// Output: sft 3 true
}

func ExampleRecorder() {
	r := train.NewRecorder(os.Stdout)
	r.Now = nil // no time, so that the line is always the same
	onStep := r.OnStep
	onStep(train.StepInfo{Stage: "sft", Step: 1, Total: 10, Metrics: map[string]float64{"loss": 2.5, "entropy": math.NaN()}})
	fmt.Println(r.Err())
	// Output:
	// {"stage":"sft","step":1,"total":10,"metrics":{"entropy":null,"loss":2.5}}
	// <nil>
}

func ExampleGrad() {
	g := gorgonia.NewGraph()
	a := gorgonia.NewVector(g, tensor.Float32, gorgonia.WithName("a"), gorgonia.WithShape(3))
	b := gorgonia.NewVector(g, tensor.Float32, gorgonia.WithName("b"), gorgonia.WithShape(3))
	x := ops.Expr(g)
	loss := x.Sum(x.Square(a))
	grads, err := train.Grad(loss, []*gorgonia.Node{a, b})
	fmt.Println(grads[0].Shape(), grads[1] == nil, err)
	// Output: (3) true <nil>
}

// failing is a writer that fails after its first line.
type failing struct{ lines int }

var errFull = errors.New("full")

func (f *failing) Write(p []byte) (int, error) {
	if f.lines++; f.lines > 1 {
		return 0, errFull
	}
	return len(p), nil
}

func TestRecorder(t *testing.T) {
	var buf bytes.Buffer
	r := train.NewRecorder(&buf)
	r.OnStep(train.StepInfo{Stage: "ppo", Step: 1, Total: 2, Metrics: map[string]float64{"a<b": math.Inf(1)}})
	assert.Regexp(t, `^\{"time":"20\d\d-.*Z","stage":"ppo","step":1,"total":2,"metrics":\{"a<b":null\}\}\n$`, buf.String())

	r = train.NewRecorder(&failing{})
	for i := range 3 {
		r.OnStep(train.StepInfo{Step: i})
	}
	assert.ErrorIs(t, r.Err(), errFull)
	assert.ErrorContains(t, r.Err(), "train: recording step 1")
}
