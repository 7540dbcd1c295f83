package data

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/checksum"
)

// Three generations: the last one tells of all when the files of the others are gone.
func TestLineageOfGenerations(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	text := path("text.txt")
	require.NoError(t, os.WriteFile(text, []byte("once"), 0o600))

	demos := Lineage{Stage: "import alpaca"}
	require.NoError(t, demos.Add(t.Context(), text))
	require.NoError(t, Write(path("demos.arrow"), []Text{{"a"}}, demos))

	chat := Lineage{Stage: "sft", Seed: 3, Config: []byte(`{"Epochs":2}`)}
	require.NoError(t, chat.Add(t.Context(), path("demos.arrow")))
	require.NoError(t, os.Mkdir(path("chat"), 0o700))
	require.NoError(t, WriteLineage(path("chat"), chat))

	reward := Lineage{Stage: "reward", Seed: 3}
	require.NoError(t, reward.Add(t.Context(), path("chat")))
	require.NoError(t, os.Mkdir(path("rm"), 0o700))
	require.NoError(t, WriteLineage(path("rm"), reward))

	samples := Lineage{Stage: "reject"}
	require.NoError(t, samples.Add(t.Context(), path("chat")))
	require.NoError(t, samples.Add(t.Context(), path("rm")))
	require.NoError(t, Write(path("samples.arrow"), []Text{{"b"}}, samples))
	for _, name := range []string{"chat", "rm", "demos.arrow", "text.txt"} {
		require.NoError(t, os.RemoveAll(path(name)))
	}

	got, err := ReadLineage(path("samples.arrow"))
	require.NoError(t, err)
	assert.Equal(t, samples, got)
	assert.Equal(t, `samples.arrow  reject
├── chat  sft, seed 3
│   └── demos.arrow  import alpaca
│       └── text.txt
└── rm  reward, seed 3
    └── chat  (above)
`, got.Tree("samples.arrow"))
	assert.Len(t, got.Ancestors, 3, "demos, chat and reward, each once")
}

// What a folder's SHA256SUMS says is compared; the file itself does not count for the fingerprint.
func TestRecordedFolders(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, WriteLineage(dir, Lineage{Stage: "sft"}))
	before, err := Fingerprint(t.Context(), dir)
	require.NoError(t, err)
	sums := checksum.Sums{}
	require.NoError(t, sums.AddTree(dir))
	require.NoError(t, sums.Write(dir))
	after, err := Fingerprint(t.Context(), dir)
	require.NoError(t, err)
	assert.Equal(t, before, after)

	require.NoError(t, WriteLineage(dir, Lineage{Stage: "reward"}))
	l, err := ReadLineage(dir)
	require.NoError(t, err, "SHA256SUMS took note of it")
	assert.Equal(t, "reward", l.Stage)

	path := filepath.Join(dir, lineageFile)
	require.NoError(t, os.WriteFile(path, []byte(`{"stage":"rewarc"}`), 0o600))
	_, err = ReadLineage(dir)
	assert.ErrorIs(t, err, checksum.ErrDamaged)
	assert.ErrorContains(t, err, "lineage.json has other bytes")
	_, err = Fingerprint(t.Context(), dir)
	assert.ErrorContains(t, err, "if you changed it on purpose, delete "+filepath.Join(dir, checksum.Name))
}

func TestReadLineageOfOthers(t *testing.T) {
	dir := t.TempDir()
	l, err := ReadLineage(dir)
	assert.NoError(t, err)
	assert.Empty(t, l)
	require.NoError(t, os.WriteFile(filepath.Join(dir, lineageFile), []byte("{"), 0o600))
	_, err = ReadLineage(dir)
	assert.ErrorContains(t, err, "lineage of "+dir)
	_, err = ReadLineage(filepath.Join(dir, "none"))
	assert.ErrorIs(t, err, os.ErrNotExist)
	cut := filepath.Join(dir, "cut.arrow")
	require.NoError(t, os.WriteFile(cut, []byte("ARROW1\x00\x00 and no end"), 0o600))
	_, err = ReadLineage(cut)
	assert.ErrorContains(t, err, "cut off")
}
