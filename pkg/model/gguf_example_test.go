package model_test

import (
	"fmt"
	"os"
	"path/filepath"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/model"
)

// A model goes to llama.cpp in 8 bits a weight, and comes back.
func ExampleSaveGGUF() {
	dir, err := os.MkdirTemp("", "tame")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	cfg := model.Config{
		Dim: 64, NumLayers: 2, NumHeads: 8, NumKVHeads: 4, HeadDim: 8, HiddenDim: 160, VocabSize: 100, MaxSeqLen: 32,
		NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}
	path := filepath.Join(dir, "model.gguf")
	if err := model.SaveGGUF(path, model.NewParams(cfg, tensor.Float32), model.Q8_0, nil); err != nil {
		panic(err)
	}
	p, err := model.Load(path)
	if err != nil {
		panic(err)
	}
	fmt.Println(p.NumParams(), "weights,", p.Config() == cfg)
	// Output: 99136 weights, true
}

// Meta's form, as torch.load and Llama's own code read it.
func ExampleSaveMeta() {
	dir, err := os.MkdirTemp("", "tame")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	cfg := model.Config{
		Dim: 64, NumLayers: 2, NumHeads: 8, NumKVHeads: 4, HeadDim: 8, HiddenDim: 160, VocabSize: 100, MaxSeqLen: 4096,
		NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}
	out := filepath.Join(dir, "llama")
	if err := model.SaveMeta(out, model.NewParams(cfg, tensor.Float32), model.BF16, nil); err != nil {
		panic(err)
	}
	params, err := os.ReadFile(filepath.Join(out, "params.json"))
	if err != nil {
		panic(err)
	}
	p, err := model.Load(out)
	if err != nil {
		panic(err)
	}
	fmt.Print(string(params))
	fmt.Println(p.Config() == cfg)
	// Output:
	// {"dim":64,"n_layers":2,"n_heads":8,"n_kv_heads":4,"vocab_size":100,"multiple_of":160,"ffn_dim_multiplier":0.9411764705882353,"norm_eps":0.00001}
	// true
}
