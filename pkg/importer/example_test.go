package importer_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/importer"
)

func ExampleHH() {
	dir, err := os.MkdirTemp("", "data")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "hh.jsonl")
	text := `{"chosen": "\n\nHuman: Hi\n\nAssistant: Hello!", "rejected": "\n\nHuman: Hi\n\nAssistant: What?"}
{"chosen": "Hello!", "rejected": "What?"}
`
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		log.Fatal(err)
	}
	pairs, report, err := importer.HH(path, importer.DefaultPreferenceConfig())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(pairs[0].Messages[0].Content, pairs[0].Chosen, pairs[0].Rating)
	for _, e := range report.Refused {
		fmt.Println("line", e.Line, e.Err)
	}
	// Output:
	// Hi Hello! better
	// line 2 chosen: does not begin with "\n\nHuman:" or "\n\nAssistant:"
}

// Rows of a recognised dialect, one at a time.
func ExampleOpen() {
	rows := strings.NewReader(`{"prompt": "Hi", "response 1": "What?", "response 2": "Hello!", "label": 1}`)
	im, err := importer.Open([]string{importer.Stdin}, rows, importer.DefaultConfig())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(im.Files()[0].Dialect, im.Schema())
	for pair, err := range importer.Rows[data.Preference](context.Background(), im) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s is %v than %s\n", pair.Chosen, pair.Rating, pair.Rejected)
	}
	fmt.Println(im.Report())
	// Output:
	// autoj preference v1
	// Hello! is better than What?
	// 1 rows taken
}
