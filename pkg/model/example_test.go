package model_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/exec"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/model/arch"
	"github.com/tame-rlhf/tame/pkg/ops"
)

// small is a model of a few hundred weights.
var small = model.Config{
	Dim: 8, NumLayers: 1, NumHeads: 2, NumKVHeads: 1, HeadDim: 4, HiddenDim: 16, VocabSize: 10, MaxSeqLen: 16,
	NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
}

func newSmall() *model.Params {
	p := model.NewParams(small, tensor.Float32)
	p.Init(rand.New(rand.NewPCG(1, 2)))
	return p
}

func ExampleConfig() {
	c := arch.Llama2_7B()
	fmt.Printf("7B: %.2f billion weights, FFN of %d\n", float64(c.NumParams())/1e9, c.HiddenDim)
	c.NumKVHeads, c.HeadDim = 5, 127
	fmt.Println(c.Validate())
	// Output:
	// 7B: 6.74 billion weights, FFN of 11008
	// model: Config.NumHeads is 32, want a multiple of NumKVHeads, which is 5
	// model: Config.HeadDim is 127, want an even number: RoPE rotates pairs
}

func ExampleParams() {
	p := newSmall()
	p.AddHead(nil) // a value function's head: zeros
	for _, q := range p.All() {
		fmt.Println(q.Name, q.Value.Shape(), q.Decay)
	}
	// Output:
	// embed (10, 8) true
	// layers.0.attn_norm (8) false
	// layers.0.qkv (16, 8) true
	// layers.0.attn_out (8, 8) true
	// layers.0.ffn_norm (8) false
	// layers.0.gate_up (32, 8) true
	// layers.0.down (8, 16) true
	// norm (8) false
	// output (10, 8) true
	// score.weight (1, 8) true
	// score.bias (1) false
}

// A loss over the graph of a model, and its gradients.
func ExampleNewTrunk() {
	p := newSmall()
	in := model.NewInputs(tensor.Float32, 16, 4) // 16 token slots, 4 segments
	trunk, err := model.NewTrunk(in, p, "policy")
	if err != nil {
		fmt.Println(err)
		return
	}
	logp, err := trunk.LogProbs() // (N)
	if err != nil {
		fmt.Println(err)
		return
	}
	x := ops.Expr(in.G)
	loss := x.Neg(x.MaskedMean(logp, in.Mask, in.Scalar("tokens")))
	if x.Err() != nil {
		fmt.Println(x.Err())
		return
	}
	grads, err := gorgonia.Grad(loss, trunk.ParamNodes()...)
	if err != nil {
		fmt.Println(err)
		return
	}
	prog, err := exec.Compile(append(grads, loss), exec.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}

	batch := data.NewRagged(16, 4)
	_, _ = batch.Append([]int32{1, 5, 6, 2}, []bool{false, false, true, true}) // the last two tokens count
	_, _ = batch.Append([]int32{1, 7, 2}, []bool{false, true, true})
	if err := trunk.Bind(prog); err != nil {
		fmt.Println(err)
		return
	}
	if err := in.Bind(prog, batch, map[string]float64{"tokens": float64(batch.Counted())}); err != nil {
		fmt.Println(err)
		return
	}
	if err := prog.Run(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	value, _ := prog.Buffer(loss)
	fmt.Printf("loss %.1f of %d tokens, log(V) is 2.3, %d gradients\n", value.F32[0], batch.Counted(), len(grads))
	// Output: loss 2.3 of 4 tokens, log(V) is 2.3, 9 gradients
}

// Greedy decoding of two sequences at once.
func ExampleDecoder() {
	d, err := model.NewDecoder(newSmall(), 2, 16)
	if err != nil {
		fmt.Println(err)
		return
	}
	chunks := []model.Chunk{{Slot: 0, Tokens: []int32{1, 5, 6}}, {Slot: 1, Tokens: []int32{1}}}
	for range 3 {
		logits, err := d.Forward(chunks)
		if err != nil {
			fmt.Println(err)
			return
		}
		for i, row := range logits {
			best := int32(0)
			for id, z := range row {
				if z > row[best] {
					best = int32(id)
				}
			}
			chunks[i].Tokens = []int32{best}
		}
	}
	fmt.Println(d.Len(0), d.Len(1))
	fmt.Printf("7B, 8 sequences of 1024 tokens: %.1f GB\n", float64(model.DecoderBytes(arch.Llama2_7B(), 8, 1024))/1e9)
	// Output:
	// 5 3
	// 7B, 8 sequences of 1024 tokens: 35.6 GB
}

// A checkpoint with a file of one's own.
func ExampleSave() {
	tmp, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	dir := filepath.Join(tmp, "model")
	err = model.Save(dir, newSmall(), func(tmpdir string) error {
		return os.WriteFile(filepath.Join(tmpdir, "README.md"), []byte("A small one.\n"), 0o666)
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		fmt.Println(e.Name())
	}
	p, err := model.Load(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.Config() == small, p.NumParams())
	// Output:
	// README.md
	// SHA256SUMS
	// config.json
	// generation_config.json
	// model.safetensors
	// true 760
}

func ExampleWriteSafetensors() {
	var file bytes.Buffer
	tensors := []model.Tensor{{Name: "w", Shape: []int{1, 2}, Data: []float32{1, 2}}}
	if err := model.WriteSafetensors(&file, tensors, nil); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%q\n", file.Bytes()[8:64])
	// Output: "{\"w\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]}}"
}
