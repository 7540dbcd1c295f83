package tokenizer_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// trained makes a small tokenizer with the chat markers.
func trained() *tokenizer.Tokenizer {
	cfg := tokenizer.DefaultTrainConfig()
	cfg.VocabSize = 280
	text := []string{"the cat sat on the mat", "the rat sat on the cat"}
	tok, err := tokenizer.Train(context.Background(), slices.Values(text), cfg)
	if err != nil {
		panic(err)
	}
	return tok
}

func ExampleTrain() {
	tok := trained()
	fmt.Println(tok.VocabSize(), tok.BOS(), tok.EOS(), tok.UNK(), tok.PAD())
	for id := int32(263); id < 269; id++ { // the first merges
		fmt.Printf("%s ", tok.Piece(id))
	}
	fmt.Println()
	// Output:
	// 280 1 2 0 -1
	// at he ▁t ▁the on ▁c
}

func ExampleTokenizer_Encode() {
	tok := trained()
	for _, id := range tok.Encode("[INST] the hat: 3 €[/INST]") {
		fmt.Printf("%s|", tok.Piece(id))
	}
	fmt.Println()
	// Output:
	// ▁|[INST]|▁the|▁|h|at|<0x3A>|▁|<0x33>|▁|<0xE2>|<0x82>|<0xAC>|[/INST]|
}

func ExampleTokenizer_Decode() {
	tok := trained()
	ids := append([]int32{tok.BOS()}, tok.Encode("the hat: 3 €")...)
	text, err := tok.Decode(ids)
	fmt.Printf("%q %v\n", text, err)
	_, err = tok.Decode([]int32{280})
	fmt.Println(err)
	// Output:
	// "the hat: 3 €" <nil>
	// tokenizer: decode: position 0: id 280 is not in the vocabulary of 280 pieces
}

func ExampleStream() {
	tok := trained()
	s := tok.NewStream()
	for _, id := range tok.Encode("the €") {
		text, err := s.Next(id)
		if err != nil {
			panic(err)
		}
		fmt.Printf("%q ", text)
	}
	fmt.Printf("%q\n", s.Flush())
	// Output:
	// "the" " " "" "" "€" ""
}

func ExampleLoadModel() {
	var file bytes.Buffer
	if err := trained().WriteModel(&file); err != nil {
		panic(err)
	}
	tok, err := tokenizer.LoadModel(&file)
	if err != nil {
		panic(err)
	}
	id, ok := tok.ID("[INST]")
	fmt.Println(id, ok, tok.Type(id))
	// Output:
	// 3 true user-defined
}

// Byte-level BPE gives any text back, and writes what transformers opens.
func ExampleTrainByteLevel() {
	cfg := tokenizer.DefaultByteLevelConfig()
	cfg.VocabSize = 270
	tok, err := tokenizer.TrainByteLevel(context.Background(), slices.Values([]string{"the cat and the hat, the mat and the rat"}), cfg)
	if err != nil {
		panic(err)
	}
	ids := tok.Encode("the hat 猫")
	for _, id := range ids[:4] {
		fmt.Printf("%q ", tok.Piece(id))
	}
	text, err := tok.Decode(ids)
	fmt.Printf("%q %v\n", text, err)
	fmt.Println(tok.Piece(tok.BOS()), tok.Piece(tok.EOS()), tok.AddsBOS())
	// Output:
	// "the" "Ġ" "h" "at" "the hat 猫" <nil>
	// <|begin_of_text|> <|end_of_text|> true
}
