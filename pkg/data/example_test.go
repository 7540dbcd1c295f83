package data_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/tame-rlhf/tame/pkg/data"
)

// Two sequences in one micro-batch; of the first, the last two tokens count.
func ExampleRagged() {
	batch := data.NewRagged(8, 2) // N = 8 slots, S = 2 segments
	if _, err := batch.Append([]int32{1, 10, 11, 2}, []bool{false, false, true, true}); err != nil {
		log.Fatal(err)
	}
	if _, err := batch.Append([]int32{1, 20, 2}, nil); err != nil {
		log.Fatal(err)
	}
	fmt.Println("tokens  ", batch.Tokens)
	fmt.Println("targets ", batch.Targets)
	fmt.Println("mask    ", batch.Mask)
	fmt.Println("segments", batch.Segments)
	fmt.Println("layout  ", batch.Layout)
	// Output:
	// tokens   [1 10 11 2 1 20 2 0]
	// targets  [10 11 2 -1 20 2 -1 -1]
	// mask     [0 1 1 0 0 0 0 0]
	// segments [0 0 0 0 1 1 1 -1]
	// layout   [2 0 4 7]
}

func ExamplePack() {
	micro, err := data.Pack([]int{700, 300, 650, 100, 250}, 1024, 4)
	fmt.Println(micro, err)
	_, err = data.Pack([]int{700, 2000}, 1024, 4)
	fmt.Println(err)
	// Output:
	// [[0 1] [2 3 4]] <nil>
	// data: sequence 1 has 2000 tokens, the budget of a micro-batch is 1024: leave it out or raise the budget
}

// Preference pairs stay together: each item is a pair of lengths.
func ExampleBatches() {
	pairs := [][]int{{30, 20}, {40, 50}, {10, 10}, {25, 25}, {5, 15}}
	batches, err := data.Batches(pairs, nil, 3, 100, 8) // three pairs an optimisation batch
	if err != nil {
		log.Fatal(err)
	}
	for i, micro := range batches {
		fmt.Println("batch", i, "micro-batches", micro)
	}
	// Output:
	// batch 0 micro-batches [[0 2] [1]]
	// batch 1 micro-batches [[3 4]]
}

func ExampleTemplate_EncodeDialog() {
	tok := newWords() // a toy tokenizer: pieces are words
	template, err := data.Llama2Template(tok)
	if err != nil {
		log.Fatal(err)
	}
	e, err := template.EncodeDialog([]data.Message{
		{Role: data.System, Content: "Be kind."},
		{Role: data.User, Content: "Hi"},
		{Role: data.Assistant, Content: "Hello there."},
		{Role: data.User, Content: "Bye"},
		{Role: data.Assistant, Content: "Bye bye!"},
	}, data.LastTurn)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%q\n", tok.marked(e)) // counted pieces in braces
	// Output:
	// "<s> [INST] <<SYS>>\nBe kind.\n<</SYS>>\n\nHi [/INST] Hello there. </s><s> [INST] Bye [/INST]{ Bye}{ bye!}{ }{</s>}"
}

// What was sampled is trained on as it is, without decoding it.
func ExampleJoin() {
	tok := newWords()
	template, err := data.Llama2Template(tok)
	if err != nil {
		log.Fatal(err)
	}
	prompt, err := template.EncodePrompt([]data.Message{{Role: data.User, Content: "Hi"}})
	if err != nil {
		log.Fatal(err)
	}
	sampled := append(tok.Encode("Hello"), tok.EOS())
	fmt.Println(tok.marked(data.Join(prompt, sampled)))
	// Output:
	// <s> [INST] Hi [/INST]{ Hello}{</s>}
}

func ExampleWrite() {
	dir, err := os.MkdirTemp("", "data")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "prompts.arrow")

	prompts := []data.Prompt{{ID: "1", Messages: []data.Message{{Role: data.User, Content: "Hi"}}}}
	if err := data.Write(path, prompts, data.Lineage{Stage: "example", Seed: 7}); err != nil {
		log.Fatal(err)
	}
	rows, lineage, err := data.Read[data.Prompt](path)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(rows[0].Messages[0].Content, lineage.Stage, lineage.Seed)
	// Output: Hi example 7
}

// A row type of one's own: fields with tags, and a name.
type score struct {
	Prompt string   `arrow:"prompt"`
	Scores []int32  `arrow:"scores"`
	Mean   *float64 `arrow:"mean"`
}

func (score) Schema() data.Schema { return data.Schema{Name: "score", Version: 1} }

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "data")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "scores.arrow")
	if err := data.Write(path, []score{{"a", []int32{3, 4}, nil}, {"b", []int32{5}, nil}}, data.Lineage{}); err != nil {
		log.Fatal(err)
	}
	r, err := data.Open[score](path)
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	for row, err := range r.Rows() { // one record batch in memory at a time
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(row.Prompt, row.Scores)
	}
	// Output:
	// a [3 4]
	// b [5]
}
