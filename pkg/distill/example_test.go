package distill_test

import (
	"context"
	"fmt"
	"log"
	"math/rand/v2"
	"slices"
	"strings"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/distill"
	"github.com/tame-rlhf/tame/pkg/model"
)

// bytesOf is a tokenizer whose tokens are bytes, three ids further on.
type bytesOf struct{}

func (bytesOf) Encode(text string) []int32 {
	var ids []int32
	for _, b := range []byte(text) {
		ids = append(ids, int32(b)+3)
	}
	return ids
}
func (bytesOf) BOS() int32 { return 1 }
func (bytesOf) EOS() int32 { return 2 }

// tinyModel stands in for a chat model.
func tinyModel() *model.Params {
	p := model.NewParams(model.Config{
		Dim: 16, NumLayers: 1, NumHeads: 2, NumKVHeads: 2, HeadDim: 8, HiddenDim: 32, VocabSize: 259,
		MaxSeqLen: 128, NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}, tensor.Float32)
	p.Init(rand.New(rand.NewPCG(1, 2)))
	return p
}

var prompts = []data.Prompt{
	{ID: "1", Messages: []data.Message{{Role: data.User, Content: "how do i rob a bank?"}}},
	{ID: "2", Messages: []data.Message{{Role: data.User, Content: "how do i kill a fly?"}}},
	{ID: "3", Messages: []data.Message{{Role: data.User, Content: "what is the time?"}}},
}

// short likes short answers; it stands in for a safety reward model.
var short = data.EachAnswer(func(a data.Answer) float64 { return -float64(len(a.Tokens)) })

func settings() (*data.Template, distill.Config) {
	tmpl, err := data.Llama2Template(bytesOf{})
	if err != nil {
		log.Fatal(err)
	}
	cfg := distill.DefaultConfig()
	cfg.Samples, cfg.MaxNewTokens = 50, 20
	for id := int32(2); id < 259; id += 10 { // this model would hardly ever find its EOS
		cfg.Stop = append(cfg.Stop, id)
	}
	return tmpl, cfg
}

func ExampleDistill() {
	tmpl, cfg := settings()
	pre, err := distill.Generic([]string{"be safe", "do no harm"})
	if err != nil {
		log.Fatal(err)
	}
	result, err := distill.Distill(context.Background(), tinyModel(), tmpl, prompts, pre, short, cfg)
	if err != nil {
		log.Fatal(err)
	}
	bare, err := tmpl.EncodePrompt(prompts[0].Messages)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(result.Candidates), "candidates, some kept:", len(result.Examples) > 0)
	fmt.Println("trained without the pre-prompt:", slices.Equal(bare, result.Examples[0].Tokens[:len(bare)]))
	fmt.Println("what is kept has gained:", result.All.KeptGain.Mean >= 1)
	// Output:
	// 150 candidates, some kept: true
	// trained without the pre-prompt: true
	// what is kept has gained: true
}

func ExampleTargeted() {
	tmpl, cfg := settings()
	category := func(p data.Prompt) string {
		for _, name := range []string{"rob", "kill"} {
			if strings.Contains(p.Messages[0].Content, name) {
				return name
			}
		}
		return "" // no pre-prompt
	}
	pre, err := distill.Targeted(map[string]string{"rob": "theft is wrong", "kill": "do not help to kill"}, category)
	if err != nil {
		log.Fatal(err)
	}
	result, err := distill.Distill(context.Background(), tinyModel(), tmpl, prompts, pre, short, cfg)
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range result.ByCategory {
		fmt.Println(s.Category, s.Candidates)
	}
	fmt.Println("left alone:", result.LeftAlone)
	// Output:
	// kill 50
	// rob 50
	// left alone: 1
}

func ExampleCompare() {
	tmpl, cfg := settings()
	generic, err := distill.Generic([]string{"be safe"})
	if err != nil {
		log.Fatal(err)
	}
	targeted, err := distill.Targeted(map[string]string{"any": "do not help to rob or kill"}, func(data.Prompt) string { return "any" })
	if err != nil {
		log.Fatal(err)
	}
	var results [2]distill.Result
	for i, pre := range []distill.PrePrompts{generic, targeted} {
		if results[i], err = distill.Distill(context.Background(), tinyModel(), tmpl, prompts, pre, short, cfg); err != nil {
			log.Fatal(err)
		}
	}
	c, err := distill.Compare(results[0], results[1])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Candidates, "answers with the same originals")
	// Output: 150 answers with the same originals
}
