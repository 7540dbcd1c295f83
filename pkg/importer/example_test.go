package importer_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

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
