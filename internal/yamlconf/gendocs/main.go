// Command gendocs collects the comments of configuration fields for yamlconf.Print:
//
//	//go:generate go run ../../internal/yamlconf/gendocs ../.. fielddocs.json
//
// The first argument is the module's root, the second the file to write. It looks at all struct types named Config, or ending so, in the
// packages of the list below, and at what they are made of.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// sources are the packages whose configs have a form in YAML.
var sources = []string{
	"cmd/tame", "pkg/data", "pkg/distill", "pkg/gatt", "pkg/generate", "pkg/model", "pkg/model/arch", "pkg/optim", "pkg/pipeline", "pkg/ppo", "pkg/pretrain", "pkg/rejection",
	"pkg/rewardmodel", "pkg/sft", "pkg/tokenizer", "pkg/train",
}

// parts are structs inside of configs.
var parts = map[string]bool{"Margins": true, "Calibration": true, "Sampling": true, "Settings": true, "Budget": true, "Passes": true, "RopeScaling": true}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "gendocs: want the module's root and a file to write")
		os.Exit(2)
	}
	text, err := generate(os.Args[1])
	if err == nil {
		err = os.WriteFile(os.Args[2], text, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gendocs:", err)
		os.Exit(1)
	}
}

// generate is the text of the file: a JSON object of the comments.
func generate(root string) ([]byte, error) {
	docs := map[string]string{}
	for _, source := range sources {
		files, err := sourceFiles(filepath.Join(root, source))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
			if err != nil {
				return nil, err
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				spec, ok := n.(*ast.TypeSpec)
				if !ok {
					return true
				}
				if fields, ok := spec.Type.(*ast.StructType); ok && (strings.HasSuffix(spec.Name.Name, "Config") || parts[spec.Name.Name]) {
					addFields(docs, parsed.Name.Name+"."+spec.Name.Name, fields)
				}
				return false
			})
		}
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "\t")
	err := encoder.Encode(docs)
	return b.Bytes(), err
}

// sourceFiles are a package's files without tests, in order. A package that is not there has none.
func sourceFiles(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	return slices.DeleteFunc(files, func(name string) bool { return strings.HasSuffix(name, "_test.go") }), err
}

// addFields adds the comment of each field that has one. Of several in one line the first has it, as in the source.
func addFields(docs map[string]string, owner string, fields *ast.StructType) {
	for _, f := range fields.Fields.List {
		doc := f.Doc.Text()
		if doc == "" {
			doc = f.Comment.Text()
		}
		doc = strings.Join(strings.Fields(doc), " ")
		if doc == "" || len(f.Names) == 0 || !f.Names[0].IsExported() {
			continue
		}
		docs[owner+"."+f.Names[0].Name] = doc
	}
}
