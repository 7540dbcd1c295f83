package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/yamlconf"
)

var update = flag.Bool("update", false, "write the generated page of settings")

const settingsHead = `# Settings

All keys of the stages' configurations, each in full with its default, so that this page can be searched for a key. A
stage prints its own keys with the whole comments:

    tame sft --print-config

Keys with dots are in maps: ` + "`optim.learning_rate`" + ` is ` + "`--set optim.learning_rate=1e-4`" + ` on the command line, and in a file

    optim:
      learning_rate: 1e-4

[commandline.md](commandline.md#stages) says how files and assignments are read. This page is generated
from the comments of the Go structs by ` + "`go generate ./cmd/tame`" + `.
`

// writeSettings writes a stage's section.
func writeSettings[C any](t *testing.T, b *strings.Builder, s stage[C], remarks string) {
	cfg := s.defaults()
	fmt.Fprintf(b, "\n## tame %s\n\n%s.%s\n\n", s.name, s.short, remarks)
	docs, err := fieldDocs()
	require.NoError(t, err)
	require.NoError(t, yamlconf.Table(b, &cfg, docs))
}

// The page of settings is that of the structs and their comments.
func TestSettingsPage(t *testing.T) {
	const path = "../../docs/settings.md"
	var b strings.Builder
	b.WriteString(settingsHead)
	writeSettings(t, &b, pretrainStage(), "")
	writeSettings(t, &b, sftStage(), "")
	writeSettings(t, &b, rewardStage(), " The defaults are those of `kind: helpfulness`; a safety model has others, see\n"+
		"`tame reward --set kind=safety --print-config`.")
	writeSettings(t, &b, rejectStage(), "")
	writeSettings(t, &b, ppoStage(), "")
	writeSettings(t, &b, gattStage(), "")
	writeSettings(t, &b, distillStage(), "")
	writeSettings(t, &b, rlhfStage(), "")
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(b.String()), 0o644))
	}
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.True(t, string(raw) == b.String(), "a key, a default or a comment has changed: run go generate ./cmd/tame")
}
