package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/each"
	"github.com/tame-rlhf/tame/internal/golden"
)

// suggests finds what a message tells a user to run or to give: a command, a flag, a key, a setting by its name in Go, a call in Python or Go.
var suggests = regexp.MustCompile(strings.Join([]string{
	`\btame (` + strings.Join(each.Of(rootCommand().Commands(), (*cobra.Command).Name), "|") + `)\b`,
	`(give|as|with|mean|change|such as|or give|start .*with|lists?)\s+--[a-z%]|, and --as|--help|--set [a-z%]+.*=|\(--[a-z]+ `,
	`(give|set|name one by) [a-z_]+: |\b(lower|raise|give|set) [a-z]+_[a-z_]+|\([a-z]+\.[a-z_]+,|\bgive it too|\bsay [a-z]+ %`,
	`\b(start again|resume it|go on) with: |Set it with\n|(convert it first|such rows out): `,
	`(^| )(iconv -f|unzip|7z x|tar -xf|git lfs|jq -c|(xz|bzip2|lz4|gzip|zstd) -dc)\b|on purpose, delete %s`,
	`save_pretrained|json\.dumps|contiguous\(\)|flatten_indices|--version 0`,
	`\b((or )?(lower|raise|set|use|give)|(it|them|number) with|such as|as) ([a-z]+\.[A-Z]\w+|[A-Z][a-z0-9]+(\.?[A-Z]\w*)+)|or use [A-Z]`,
	`\bgive (one of |a dataset as )?("|FILE)|\bor all of "|: name (one|the dialect|it)\b|\bgive a reward model|\bgive the helpfulness|\bgive (the|another) (separator|file|output|name)|\bleave the separator`,
}, "|"))

// messages are the texts of a source file that may be shown while a command runs, with %s for what is put in: all strings but the help of
// commands and flags.
func messages(t *testing.T, path string) (texts []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	require.NoError(t, err)
	var visit func(n ast.Node) bool
	visit = func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && slices.Contains([]string{"Use", "Short", "Long", "short", "long", "Title"}, key.Name) {
				return false
			}
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.SelectorExpr); ok && (strings.HasSuffix(f.Sel.Name, "Var") || f.Sel.Name == "MustCompile") {
				return false
			}
		case *ast.GenDecl:
			return n.Tok != token.IMPORT
		case *ast.BinaryExpr, *ast.BasicLit:
			if text, ok := textOf(n.(ast.Expr)); ok {
				texts = append(texts, text)
				for _, part := range operands(n.(ast.Expr)) {
					ast.Inspect(part, visit)
				}
				return false
			}
		}
		return true
	}
	ast.Inspect(file, visit)
	return texts
}

// operands are what a sum adds up, but for its literals: calls may have texts of their own.
func operands(e ast.Expr) []ast.Expr {
	switch e := e.(type) {
	case *ast.BasicLit:
		return nil
	case *ast.BinaryExpr:
		return append(operands(e.X), operands(e.Y)...)
	}
	return []ast.Expr{e}
}

// textOf is a string, with what is not known put in as %s. ok says that something of it is known.
func textOf(e ast.Expr) (text string, ok bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			text, err := strconv.Unquote(e.Value)
			return text, err == nil
		}
	case *ast.BinaryExpr:
		left, isLeft := textOf(e.X)
		right, isRight := textOf(e.Y)
		return left + right, e.Op == token.ADD && (isLeft || isRight)
	}
	return "%s", false
}

// Whatever a message tells a user to run or to give is in the table of hints, whose tests cause the message and do what it says.
func TestHintsAreTried(t *testing.T) {
	tried := map[string]bool{}
	root := filepath.Join(golden.Dir(t), "..", "..", "..")
	for _, dir := range []string{"cmd", "pkg", "internal"} {
		require.NoError(t, filepath.WalkDir(filepath.Join(root, dir), func(path string, entry fs.DirEntry, err error) error {
			if entry != nil && entry.Name() == "faults" { // a program of tests, with command lines of its own
				return fs.SkipDir
			}
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			for _, text := range messages(t, path) {
				if !suggests.MatchString(text) {
					continue
				}
				i := slices.IndexFunc(hints, func(h hint) bool { return strings.Contains(text, h.words) })
				if i < 0 {
					name, _ := filepath.Rel(root, path)
					t.Errorf("%s tells what to do: %q\nadd to hints (hints_table_test.go) some of its words and a test that causes it and does what it says", name, text)
					continue
				}
				tried[hints[i].words] = true
			}
			return nil
		}))
	}
	for _, h := range hints {
		assert.True(t, tried[h.words], "no message has %q any more: take it out of hints", h.words)
		if h.in != "" {
			folder, test, _ := strings.Cut(h.in, " ")
			assert.True(t, hasTest(t, filepath.Join(root, folder), test), "%s is no test that is there", h.in)
		}
	}
}

// hasTest says whether a folder has the test of that name.
func hasTest(t *testing.T, folder, test string) bool {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	require.NoError(t, err)
	return slices.ContainsFunc(paths, func(path string) bool {
		raw, err := os.ReadFile(path)
		require.NoError(t, err)
		return strings.Contains(string(raw), "\nfunc "+test+"(t *testing.T) {")
	})
}
