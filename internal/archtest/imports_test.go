package archtest

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/tame-rlhf/tame/"

// levels are the packages from the top to the bottom. A package imports only what stands below it. A name ending in /
// stands for all packages under it.
var levels = [][]string{
	{"cmd/"},
	{"examples/"},
	{"internal/console"}, // what mains print with
	{"pkg/pipeline"},
	{"pkg/pretrain", "pkg/sft", "pkg/rewardmodel", "pkg/rejection", "pkg/ppo", "pkg/gatt", "pkg/distill"},
	{"pkg/eval"},
	{"pkg/world/oracle"},
	{"pkg/world"},
	{"pkg/world/internal/"},
	{"pkg/losstest"},
	{"pkg/train/traintest"},
	{"pkg/train"},
	{"pkg/generate"},
	{"pkg/model"},
	{"pkg/model/internal/hf", "pkg/model/internal/meta", "pkg/model/internal/llamacpp", "pkg/model/internal/llama2c"},
	{"pkg/model/internal/safetensors", "pkg/model/internal/folder"},
	{"pkg/model/internal/file"},
	{"pkg/optim"},
	{"pkg/exec"},
	{"pkg/ops"},
	{"pkg/corpus", "pkg/curate", "pkg/importer", "pkg/run"},
	{"pkg/data"},
	{"internal/columnar"},
	{"internal/parquet"},
	{"pkg/tokenizer"},
	{"pkg/tokenizer/internal/"},
	{"pkg/backend/cpu"},
	{"pkg/backend"},
	{"pkg/blas"},
	{"internal/kern"},
	{"internal/parallel"},
	{"internal/yamlconf"}, // configurations of commands
	{"pkg/model/arch"},
	{"pkg/setting"},
	{"internal/chattemplate", "internal/enum", "internal/each", "internal/heap", "internal/memory", "internal/printable", "internal/pty", "internal/checksum", "internal/jsontext"},
	{"internal/gguf", "internal/pth", "internal/output", "internal/bounded"},
	{"internal/golden", "internal/archtest", "internal/faults", "internal/mutate", "internal/yamlconf/gendocs"},
}

// kernels are reached through a backend, so that another backend sees all of them. These packages alone import them.
const kernels = "internal/kern"

var callKernels = []string{"pkg/backend/cpu", "pkg/blas"}

// oracle knows the truth of the synthetic world. Training on it would be cheating.
const oracle = "pkg/world/oracle"

// pkg is what go list tells of one package, without tests.
type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

// list asks the go command for all packages of the module, by their paths inside it.
func list(t *testing.T) map[string]pkg {
	t.Helper()
	watch(t)
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Imports,Deps", module+"...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.Fatalf("go list: %s", exit.Stderr)
	}
	require.NoError(t, err)
	all := map[string]pkg{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else {
			require.NoError(t, err)
		}
		if p.ImportPath+"/" == module {
			continue // the root holds a document and no code
		}
		all[strings.TrimPrefix(p.ImportPath, module)] = p
	}
	require.Contains(t, all, "pkg/train")
	return all
}

// watch looks at every source file of the module. What go list reads is unknown to the cache of test results; what the test
// itself looks at is not, so a changed file runs the test anew.
func watch(t *testing.T) {
	t.Helper()
	for _, root := range []string{"cmd", "examples", "internal", "pkg"} {
		err := filepath.WalkDir("../../"+root, func(path string, _ fs.DirEntry, err error) error {
			if err == nil && filepath.Ext(path) == ".go" {
				_, err = os.Stat(path)
			}
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		})
		require.NoError(t, err)
	}
}

// level finds a package in the table, -1 if it is not there.
func level(path string) int {
	return slices.IndexFunc(levels, func(names []string) bool {
		return slices.ContainsFunc(names, func(name string) bool {
			return name == path || strings.HasSuffix(name, "/") && strings.HasPrefix(path, name)
		})
	})
}

// inside keeps the imports that are packages of the module, by their paths inside it.
func inside(paths []string) []string {
	var kept []string
	for _, p := range paths {
		if rest, ok := strings.CutPrefix(p, module); ok {
			kept = append(kept, rest)
		}
	}
	return kept
}

// violations lists what is wrong with the imports.
func violations(all map[string]pkg) []string {
	var wrong []string
	for path, p := range all {
		from := level(path)
		if from < 0 {
			wrong = append(wrong, path+" is not in the table of docs/architecture.md")
			continue
		}
		for _, dep := range inside(p.Imports) {
			if to := level(dep); to < from || to == from && !strings.Contains(dep, "/internal/") {
				wrong = append(wrong, path+" imports "+dep+", which does not stand below it")
			}
		}
		if slices.Contains(p.Imports, module+kernels) && !slices.Contains(callKernels, path) {
			wrong = append(wrong, path+" imports "+kernels+": only a backend and pkg/blas may")
		}
		free := strings.HasPrefix(path, "cmd/") || strings.HasPrefix(path, "examples/")
		if !free && path != oracle && slices.Contains(p.Deps, module+oracle) {
			wrong = append(wrong, path+" depends on the oracle: only commands, examples and tests may")
		}
	}
	for _, path := range []string{"pkg/data", "pkg/curate", "pkg/importer", "pkg/tokenizer", "pkg/backend", "pkg/backend/cpu", kernels} {
		for _, dep := range all[path].Deps {
			if strings.HasPrefix(dep, "gorgonia.org/") {
				wrong = append(wrong, path+" depends on "+dep)
			}
		}
	}
	slices.Sort(wrong)
	return wrong
}

func TestImports(t *testing.T) {
	assert.Empty(t, violations(list(t)))
}

// The rules find what they are for.
func TestRulesCatch(t *testing.T) {
	of := func(path string, imports ...string) map[string]pkg {
		p := pkg{ImportPath: module + path}
		for _, i := range imports {
			if !strings.Contains(i, ".") {
				i = module + i
			}
			p.Imports, p.Deps = append(p.Imports, i), append(p.Deps, i)
		}
		return map[string]pkg{path: p}
	}
	for want, all := range map[string]map[string]pkg{
		"pkg/ops imports pkg/train, which":     of("pkg/ops", "pkg/train"),
		"pkg/sft imports pkg/ppo, which":       of("pkg/sft", "pkg/ppo"),
		"pkg/new is not in the table":          of("pkg/new"),
		"pkg/ppo depends on the oracle":        of("pkg/ppo", oracle),
		"pkg/pipeline depends on the oracle":   of("pkg/pipeline", oracle),
		"pkg/world imports pkg/world/oracle":   of("pkg/world", oracle),
		"pkg/data depends on gorgonia.org/ten": of("pkg/data", "gorgonia.org/tensor"),
		"pkg/model imports internal/kern: onl": of("pkg/model", kernels),
		"pkg/backend depends on gorgonia.org/": of("pkg/backend", "gorgonia.org/tensor"),
	} {
		got := violations(all)
		if assert.NotEmpty(t, got, want) {
			assert.Contains(t, strings.Join(got, "\n"), want)
		}
	}
	for _, all := range []map[string]pkg{
		of("pkg/ppo", "pkg/train", "pkg/generate", "internal/parallel"), of("pkg/blas", kernels),
		of("examples/quickstart", oracle, "pkg/pipeline"),
		of("cmd/tame", oracle), of(oracle, "pkg/world"),
	} {
		assert.Empty(t, violations(all))
	}
}
