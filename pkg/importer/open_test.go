package importer_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/importer"
)

func zstandard(t *testing.T, text string) string {
	w, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	return string(w.EncodeAll([]byte(text), nil))
}

func named(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	return path
}

// importFiles imports and writes, and reads what was written.
func importFiles[T data.Row](t *testing.T, cfg importer.Config, stdin io.Reader, paths ...string) ([]T, *importer.Import, error) {
	t.Helper()
	im, err := importer.Open(paths, stdin, cfg)
	if err != nil {
		return nil, nil, err
	}
	out := filepath.Join(t.TempDir(), "out.arrow")
	if err := im.Write(context.Background(), out, data.Lineage{}, data.Zstd); err != nil {
		assert.NoFileExists(t, out)
		left, _ := os.ReadDir(filepath.Dir(out))
		assert.Empty(t, left, "nothing is left behind")
		return nil, im, err
	}
	rows, _, err := data.Read[T](out)
	require.NoError(t, err)
	return rows, im, nil
}

const goodRow = `{"prompt": "Hi", "chosen": "a", "rejected": "b"}`

// However a file is packed and laid out, the rows are the same.
func TestImportForms(t *testing.T) {
	want := []data.Preference{pair("Hi", "a", "b", data.Better), pair("Hi", "a", "b", data.Better)}
	lines := goodRow + "\n" + goodRow + "\n"
	array := "[" + goodRow + ",\n" + goodRow + "]"
	dir := t.TempDir()
	foreign := data.Write(filepath.Join(dir, "foreign.parquet"), []hubRow{{"Hi", "a", "b"}, {"Hi", "a", "b"}}, data.Lineage{})
	require.NoError(t, foreign)
	forget(t, filepath.Join(dir, "foreign.parquet"))
	for name, content := range map[string]string{
		"a.jsonl": lines, "a.json": array, "a.gz": zip(t, lines), "a.json.gz": zip(t, array), "a.zst": zstandard(t, lines),
		"two.gz": zip(t, goodRow+"\n") + zip(t, goodRow), "a.csv": "prompt,chosen,rejected\nHi,a,b\nHi,a,b\n", "a.tsv": "prompt\tchosen\trejected\nHi\ta\tb\nHi\ta\tb\n",
		"a.csv.zst": zstandard(t, "prompt,chosen,rejected\nHi,a,b\n\"Hi\",a,b\n"),
	} {
		got, im, err := importFiles[data.Preference](t, importer.DefaultConfig(), nil, named(t, dir, name, content))
		require.NoError(t, err, name)
		assert.Equal(t, want, got, name)
		assert.Equal(t, "preference", im.Files()[0].Dialect, name)
		assert.EqualValues(t, len(content), im.Size(), name)
		assert.EqualValues(t, len(content), im.BytesRead(), name)
	}
	got, im, err := importFiles[data.Preference](t, importer.DefaultConfig(), nil, filepath.Join(dir, "foreign.parquet"))
	require.NoError(t, err)
	assert.Equal(t, want, got)
	assert.Equal(t, "preference", im.Files()[0].Dialect)
	assert.Equal(t, im.Size(), im.BytesRead())

	for _, content := range []string{lines, array, zip(t, lines), zstandard(t, array)} {
		got, _, err = importFiles[data.Preference](t, importer.DefaultConfig(), strings.NewReader(content), importer.Stdin)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	got, im, err = importFiles[data.Preference](t, importer.DefaultConfig(), strings.NewReader(goodRow), filepath.Join(dir, "a.js*[nl]"), importer.Stdin)
	require.NoError(t, err)
	assert.Len(t, got, 5)
	assert.Equal(t, []importer.FileDialect{{filepath.Join(dir, "a.json"), "preference", 2, 2}, {filepath.Join(dir, "a.jsonl"), "preference", 2, 2}, {"-", "preference", 1, 1}}, im.Files(), "in the order of their names")
}

// hubRow is a row of somebody else's data set.
type hubRow struct {
	Prompt   string `arrow:"prompt"`
	Chosen   string `arrow:"chosen"`
	Rejected string `arrow:"rejected"`
}

func (hubRow) Schema() data.Schema { return data.Schema{Name: "", Version: 0} }

// forget takes the place of a program that writes no metadata of ours: the key has another name.
func forget(t *testing.T, path string) {
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, bytes.ReplaceAll(raw, []byte("tame."), []byte("them.")), 0o644))
}

// A standard input of more rows than are looked at to recognise it.
func TestImportStdinGoesOn(t *testing.T) {
	const n = 3000
	got, im, err := importFiles[data.Preference](t, importer.DefaultConfig(), strings.NewReader(strings.Repeat(goodRow+"\n", n)+"{}\n"), importer.Stdin)
	require.NoError(t, err)
	assert.Len(t, got, n)
	assert.Equal(t, []string{"standard input:3001: no chosen or no rejected answer"}, refused(im.Report()))
}

func TestImportOfPlainText(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a.txt": "one<|endoftext|>\ntwo\n", "b.txt.gz": zip(t, "one<|endoftext|>two<|endoftext|>"), "c.txt": "[one<|endoftext|>{two"} {
		got, _, err := importFiles[data.Text](t, importer.DefaultConfig(), nil, named(t, dir, name, text))
		require.NoError(t, err, name)
		assert.Len(t, got, 2, name)
	}
	cfg := importer.DefaultConfig()
	cfg.Separator = "--"
	got, im, err := importFiles[data.Text](t, cfg, nil, named(t, dir, "d.md", "\none\n--\n\nt\xffwo--\n--three"))
	require.NoError(t, err)
	assert.Equal(t, []data.Text{{Text: "one"}, {Text: "three"}}, got)
	assert.Len(t, im.Report().Refused, 1)
	assert.Equal(t, 5, im.Report().Refused[0].Line)

	// Separators at the ends of what is read at once, and a document without one.
	long := strings.Repeat("x", 1<<16-5)
	got, _, err = importFiles[data.Text](t, importer.DefaultConfig(), nil, named(t, dir, "long.txt", long+"<|endoftext|>"+long+long+long))
	require.NoError(t, err)
	assert.Equal(t, []data.Text{{Text: long}, {Text: long + long + long}}, got)
}

func TestImportStrict(t *testing.T) {
	dir := t.TempDir()
	path := named(t, dir, "a.jsonl", goodRow+"\n{\"prompt\": \"Hi\"\n"+goodRow)
	var told []importer.RowError
	im, err := importer.Open([]string{path}, nil, importer.DefaultConfig())
	require.NoError(t, err)
	im.OnRefused = func(e importer.RowError) { told = append(told, e) }
	out := filepath.Join(dir, "out.arrow")
	require.NoError(t, im.Write(context.Background(), out, data.Lineage{}, data.DefaultCompression))
	assert.Equal(t, im.Report().Refused, told)
	assert.Equal(t, []importer.ReasonCount{{Reason: importer.Reason{Text: "unexpected end of JSON input"}, Rows: 1}}, im.Report().Reasons())
	assert.Equal(t, 3, im.Report().Read)

	cfg := importer.DefaultConfig()
	cfg.Strict = true
	_, _, err = importFiles[data.Preference](t, cfg, nil, path)
	assert.ErrorContains(t, err, path+":2: unexpected end of JSON input")
	var row importer.RowError
	assert.ErrorAs(t, err, &row)

	// Ties are no damage.
	_, im, err = importFiles[data.Preference](t, cfg, nil, named(t, dir, "b.jsonl", `{"input": "a", "output_1": "a", "output_2": "b", "label": 1}`))
	require.NoError(t, err)
	assert.Zero(t, im.Report().NumRefused())
}

// Where an import ends early, by whatever, there is no file.
func TestImportInterrupted(t *testing.T) {
	dir := t.TempDir()
	path := named(t, dir, "a.jsonl", strings.Repeat(goodRow+"\n", 5000))
	for _, out := range []string{"out.arrow", "out.parquet"} {
		im, err := importer.Open([]string{path}, nil, importer.DefaultConfig())
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(context.Background())
		calls := 0
		im.OnProgress = func() {
			if calls++; calls == 12 {
				cancel()
			}
		}
		err = im.Write(ctx, filepath.Join(dir, out), data.Lineage{}, data.DefaultCompression)
		assert.ErrorIs(t, err, context.Canceled)
		assert.Greater(t, im.Report().Rows, 2048, "batches were written")
		left, err := os.ReadDir(dir)
		require.NoError(t, err)
		assert.Len(t, left, 1, "nothing but the input")
	}
	_, _, err := importFiles[data.Preference](t, importer.DefaultConfig(), nil, named(t, dir, "b.json.gz", zip(t, "["+strings.Repeat(goodRow+",\n", 5000)+goodRow+"]")[:700]))
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_, _, err = importFiles[data.Preference](t, importer.DefaultConfig(), nil, named(t, dir, "c.jsonl", `{"prompt": "a", "chosen": "b", "rejected": "b"}`))
	assert.ErrorIs(t, err, importer.ErrNoRows)
}

func TestImportOfNothing(t *testing.T) {
	dir := t.TempDir()
	a, b := named(t, dir, "a.jsonl", goodRow), named(t, dir, "b.jsonl", `{"text": "a"}`)
	for want, paths := range map[string][]string{
		"no file matches":                      {filepath.Join(dir, "x*")},
		"is a folder: name its files":          {dir},
		"no such file":                         {filepath.Join(dir, "x.jsonl")},
		"standard input is named twice":        {"-", "-"},
		"no files":                             {},
		"empty.jsonl: there are no rows in it": {named(t, dir, "empty.jsonl", " \n")},
		"which gives text rows: import them a": {a, b},
	} {
		_, _, err := importFiles[data.Text](t, importer.DefaultConfig(), strings.NewReader(goodRow), paths...)
		assert.ErrorContains(t, err, want)
	}
	im, err := importer.Open([]string{a}, nil, importer.DefaultConfig())
	require.NoError(t, err)
	for _, err := range importer.Rows[data.Text](context.Background(), im) {
		assert.ErrorContains(t, err, "gives preference rows, not text")
	}
	// A file whose name is a pattern is that file.
	strange := named(t, dir, "[a].jsonl", goodRow)
	got, _, err := importFiles[data.Preference](t, importer.DefaultConfig(), nil, strange)
	require.NoError(t, err)
	assert.Len(t, got, 1)
}

// A line without an end takes no more memory than a row may.
func TestImportLongRows(t *testing.T) {
	const mib = 1 << 20
	endless := func(start string) io.Reader {
		return io.MultiReader(strings.NewReader(start), io.LimitReader(repeated('x'), 70*mib), strings.NewReader("\"}\n"+goodRow+"\n"))
	}
	cfg := importer.DefaultConfig()
	cfg.As = "preference"
	got, im, err := importFiles[data.Preference](t, cfg, endless(`{"prompt": "`), importer.Stdin)
	require.NoError(t, err)
	assert.Len(t, got, 1)
	assert.Equal(t, []string{"standard input:1: longer than 64 MiB"}, refused(im.Report()))

	got, im, err = importFiles[data.Preference](t, cfg, io.MultiReader(strings.NewReader("["), io.LimitReader(endless(`{"prompt": "`), 70*mib+14), strings.NewReader(","+goodRow+"]")), importer.Stdin)
	require.NoError(t, err)
	assert.Len(t, got, 1)
	assert.Equal(t, []string{"standard input:1: element 1: longer than 64 MiB"}, refused(im.Report()))
}

type repeated byte

func (r repeated) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(r)
	}
	return len(p), nil
}

// Many bad rows are counted, not kept.
func TestImportKeepsTheFirst(t *testing.T) {
	_, im, err := importFiles[data.Preference](t, importer.DefaultConfig(), strings.NewReader(goodRow+"\n"+strings.Repeat("{\n", 1500)), importer.Stdin)
	require.NoError(t, err)
	r := im.Report()
	assert.Len(t, r.Refused, importer.MaxRefused)
	assert.Equal(t, 500, r.More)
	assert.Equal(t, 1500, r.NumRefused())
	assert.Equal(t, 1500, r.Reasons()[0].Rows)
	assert.Contains(t, r.String(), "1 rows taken, 1500 refused; the first: standard input:2: ")
}

// Reasons that differ in names and numbers only are one.
func TestReasons(t *testing.T) {
	_, im, err := importFiles[data.Conversation](t, importer.DefaultConfig(), strings.NewReader(
		`{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "a"}]}
{"messages": [{"role": "user", "content": "Hi"}, {"role": "user", "content": "a"}]}
{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "a"}, {"role": "assistant", "content": "a"}]}
{"messages": [{"role": "observation 17", "content": "Hi"}]}
{"messages": [{"role": "observation 18", "content": "Hi"}]}
{"messages": [{"role": "tool", "content": "Hi"}]}`), importer.Stdin)
	require.NoError(t, err)
	assert.Equal(t, []importer.ReasonCount{
		{Reason: importer.Reason{Text: `a message is from "...", want system, user or assistant`}, Rows: 2},
		{Reason: importer.Reason{Text: `a message is from "tool", want system, user or assistant`}, Rows: 1},
		{Reason: importer.Reason{Text: "data: message N is from assistant, want user: after an optional system message, user and assistant alternate"}, Rows: 1},
		{Reason: importer.Reason{Text: "data: message N is from user, want assistant: after an optional system message, user and assistant alternate"}, Rows: 1},
	}, im.Report().Reasons())
}

// Our own datasets go through, from Arrow to Parquet and back.
func TestImportOwn(t *testing.T) {
	dir := t.TempDir()
	a, p, b := filepath.Join(dir, "a.arrow"), filepath.Join(dir, "a.parquet"), filepath.Join(dir, "b.arrow")
	require.NoError(t, data.Write(a, samples, lineage))
	for _, step := range [][2]string{{a, p}, {p, b}} {
		im, err := importer.Open([]string{step[0]}, nil, importer.DefaultConfig())
		require.NoError(t, err)
		assert.Equal(t, "tame", im.Files()[0].Dialect)
		require.NoError(t, im.Write(context.Background(), step[1], lineage, data.DefaultCompression))
		assert.Equal(t, len(samples), im.Report().Rows)
		assert.Equal(t, im.Size(), im.BytesRead())
	}
	assert.Equal(t, fingerprint(t, a), fingerprint(t, b))
	require.NoError(t, data.Write(filepath.Join(dir, "e.arrow"), everyKind, lineage))
	im, err := importer.Open([]string{filepath.Join(dir, "e.arrow")}, nil, importer.DefaultConfig())
	require.NoError(t, err)
	assert.ErrorContains(t, im.Write(context.Background(), filepath.Join(dir, "f.arrow"), lineage, data.NoCompression), "holds every rows")
	// A dialect that is asked for wins.
	cfg := importer.DefaultConfig()
	cfg.As = "prompts"
	require.NoError(t, data.Write(filepath.Join(dir, "p.arrow"), prompts, lineage))
	got, _, err := importFiles[data.Prompt](t, cfg, nil, filepath.Join(dir, "p.arrow"))
	require.NoError(t, err)
	assert.Equal(t, prompts, got)
	_, _, err = importFiles[data.Prompt](t, importer.Config{As: "tame", Preference: importer.DefaultPreferenceConfig()}, nil, named(t, dir, "x.jsonl", goodRow))
	assert.ErrorContains(t, err, "is not a dataset of tame")
}

func fingerprint(t *testing.T, path string) string {
	t.Helper()
	print, err := data.Fingerprint(path)
	require.NoError(t, err)
	return print
}

func TestImportDamagedColumns(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.parquet")
	require.NoError(t, data.Write(path, preferences, lineage))
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	cut := named(t, dir, "cut.parquet", string(whole[:len(whole)/2]))
	_, err = importer.Open([]string{cut}, nil, importer.DefaultConfig())
	assert.ErrorContains(t, err, cut)
	var path2 *os.PathError
	assert.False(t, errors.As(err, &path2))
}
