// Package importer makes datasets of other people's files: conversations, preferences, prompts and texts in the forms
// (dialects) in which they are published.
//
// Files of any size, in any of the Dialects, become a dataset row by row:
//
//	im, err := importer.Open([]string{"part-*.jsonl.gz"}, nil, importer.DefaultConfig())
//	err = im.Write(ctx, "pairs.parquet", data.Lineage{Stage: "import"}, data.DefaultCompression)
//	fmt.Println(im.Files()[0].Dialect, im.Report()) // what was recognised, taken and refused
//
// A small file of a known dialect is read at once:
//
//	conversations, report, err := importer.ShareGPT("chats.json") // report names the rows it refused
//
// Files are JSON lines, a JSON array, CSV, TSV or plain text, plain, gzip or Zstandard, and Arrow or Parquet. A file gives
// rows of JSON (json.go, csv.go, text.go, columns.go), a dialect says whether it knows a row and how to convert it
// (conversations.go, trees.go, prompts.go, preference.go, pairs.go, answers.go). Only the keys that a dialect lists reach it
// (keys.go, sift.go): what else a row has to say is counted. docs/dialects.md lists the keys of every dialect.
//
// # Concurrency
//
// Functions keep no state and may be called at the same time. An Import belongs to one goroutine at a time.
//
// # Differences from the paper
//
// Binary preferences of other people have no rating (section 3.2.1). They get the one that PreferenceConfig says.
package importer
