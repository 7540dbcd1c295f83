package curate_test

import (
	"fmt"

	"github.com/tame-rlhf/tame/pkg/curate"
	"github.com/tame-rlhf/tame/pkg/data"
)

func ExampleSplit() {
	var rows []data.Prompt
	for i := range 1000 {
		rows = append(rows, data.Prompt{Messages: []data.Message{{Role: data.User, Content: fmt.Sprint("question ", i)}}})
	}
	train, heldOut, err := curate.Split(rows, 0.1, 1)
	fmt.Println(len(train), len(heldOut), err)
	// Output: 896 104 <nil>
}

func ExampleDedup() {
	var dedup curate.Dedup
	for _, text := range []string{"once upon a time", "Once upon a time", " once  upon a\ntime"} {
		fmt.Println(dedup.Seen(data.Text{Text: text}))
	}
	// Output:
	// false
	// false
	// true
}
