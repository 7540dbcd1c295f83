package model_test

import (
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/model"
)

// A checkpoint in bfloat16, in files of at most 40 kB, as it is shared with others. transformers opens the folder with
// AutoModelForCausalLM.from_pretrained.
func ExampleSaveAs() {
	root, err := os.MkdirTemp("", "tame")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(root)
	dir := filepath.Join(root, "llama")
	p := model.NewParams(model.Config{
		Dim: 32, NumLayers: 1, NumHeads: 4, NumKVHeads: 2, HeadDim: 8, HiddenDim: 96, VocabSize: 256, MaxSeqLen: 64,
		NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}, tensor.Float32)
	p.Init(rand.New(rand.NewPCG(1, 2)))

	cfg := model.DefaultSaveConfig()
	cfg.DType, cfg.MaxShardBytes = model.BF16, 40_000
	if err := model.SaveAs(dir, p, cfg, nil); err != nil {
		log.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range files {
		fmt.Println(f.Name())
	}
	again, err := model.Load(dir)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(again.NumParams() == p.NumParams())
	// Output:
	// SHA256SUMS
	// config.json
	// generation_config.json
	// model-00001-of-00002.safetensors
	// model-00002-of-00002.safetensors
	// model.safetensors.index.json
	// true
}
