package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A mistake in a command line says what was meant. Each command is a process: a setting's value is read from its command line.
func TestMistakesInTheCommandLine(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "stories"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "sft.yaml"), []byte("model: storeis\ndata: [more/x.arrow]\noutput: o\n"), 0o644))
	for line, want := range map[string]string{
		"sfft":                        `tame has no command "sfft": did you mean tame sft?`,
		"data haed":                   `tame data has no command "haed": did you mean tame data head?`,
		"convert xyz":                 `tame convert has no command "xyz": want one of model, data`,
		"reward calibrat":             `did you mean tame reward calibrate?`,
		"sft sft.yaml":                `no argument "sft.yaml": give the file as --config sft.yaml`,
		"sft batch_size=3":            `give a setting as --set batch_size=3`,
		"sft --batch_size 3":          `--batch_size is no flag: it is a setting, give it as --set batch_size=3`,
		"sft --batch-size=3":          `give it as --set batch_size=3`,
		"rlhf --ppo.iterations 4":     `give it as --set ppo.iterations=4`,
		"sft --batch_sizee 3":         `unknown key "batch_sizee", did you mean batch_size?`,
		"sft --resum":                 `unknown flag --resum: did you mean --resume?`,
		"generate --modle x":          `unknown flag --modle: did you mean --model?`,
		"generate --nothing-like-it":  `unknown flag --nothing-like-it: tame generate --help lists them`,
		"generate --model stories in": `takes flags, and no argument "in"`,
		"convert model one":           `got 1 arguments, want: tame convert model IN OUT`,
		"data head":                   `got 0 arguments, want: tame data head FILE.arrow`,
		"sft --config sft.yaml":       "sft.yaml:1: model is \"storeis\": there is no such file or folder, did you mean stories?\nsft.yaml:2: data[0] is \"more/x.arrow\": there is no such file or folder",
	} {
		cmd := process(strings.Fields(line)...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		assert.EqualError(t, err, "exit status 1", line)
		assert.Contains(t, string(out), want, line)
	}
	out, err := process("--version").Output()
	require.NoError(t, err)
	assert.Regexp(t, `^tame \S+.*, go1\.\d+`, string(out))
}
