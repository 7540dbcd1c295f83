package importer_test

import (
	"archive/tar"
	archivezip "archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/importer"
)

func wide(order binary.ByteOrder, text string) string {
	raw, _ := binary.Append(nil, order, utf16.Encode([]rune(text)))
	return string(raw)
}

func utf32(text string) string {
	raw, _ := binary.Append(nil, binary.LittleEndian, []rune(text))
	return string(raw)
}

// packedBy packs a text with a program, if that is installed.
func packedBy(t *testing.T, program, text string) string {
	cmd := exec.Command(program, "-c")
	cmd.Stdin = strings.NewReader(text)
	raw, err := cmd.Output()
	if err != nil {
		t.Logf("%s is not tried: %v", program, err)
	}
	return string(raw)
}

// A file that is something else is told what it is, and the command that helps gives a file that is read.
func TestForeignFiles(t *testing.T) {
	dir := t.TempDir()
	const table, line = "prompt,completion\ncaf\u00e9,b\n", `{"prompt": "caf\u00e9", "completion": "b"}` + "\n"
	for name, c := range map[string]struct{ content, want string }{
		"bom.csv":        {"\xff\xfe" + wide(binary.LittleEndian, table), "it is in UTF-16: iconv"},
		"big.csv":        {wide(binary.BigEndian, table), "it is in UTF-16 without a byte order mark: iconv -f UTF-16BE"},
		"little.jsonl":   {wide(binary.LittleEndian, line), "it is in UTF-16 without a byte order mark: iconv -f UTF-16LE"},
		"in.csv.gz":      {zip(t, "\xfe\xff"+wide(binary.BigEndian, table)), "it is in UTF-16: gzip -dc"},
		"it's a.csv":     {"prompt,completion\ncaf\xe9,b\n", "csv:2: it is not in UTF-8: if it is in Latin-1 or Windows-1252: iconv"},
		"latin.jsonl":    {"{\"prompt\": \"caf\xe9\", \"completion\": \"b\"}\n", "jsonl:1: it is not in UTF-8"},
		"many.json":      {"{\n \"prompt\": \"caf\u00e9\",\n \"completion\": \"b\"\n}", "goes on over several lines, want one in each line: jq"},
		"x.jsonl.xz":     {packedBy(t, "xz", line), "it is packed with xz"},
		"x.csv.bz2":      {packedBy(t, "bzip2", table), "it is packed with bzip2"},
		"twice.jsonl.gz": {zip(t, zip(t, line)), "it is packed twice with gzip: gzip -dc"},
		"x.jsonl.lz4":    {packedBy(t, "lz4", line), "it is packed with LZ4: lz4 -dc"},
		"again.csv.zst":  {packedBy(t, "zstd", packedBy(t, "zstd", table)), "it is packed twice, the second time with Zstandard: zstd -dc"},
		"a.b.csv":        {packedBy(t, "xz", table), "it is packed with xz: xz -dc"},
		"bare":           {packedBy(t, "xz", line), "it is packed with xz: xz -dc"},
		"four.csv":       {"\xff\xfe\x00\x00" + utf32(table), "it is in UTF-32: iconv -f UTF-32"},
	} {
		if c.content == "" {
			continue
		}
		path := named(t, dir, name, c.content)
		_, err := importer.Open([]string{path}, nil, importer.DefaultConfig())
		require.ErrorContains(t, err, c.want, name)
		command := regexp.MustCompile(`(iconv|jq|xz|bzip2|gzip|lz4|zstd) .*$`).FindString(err.Error())
		if _, err := exec.LookPath(strings.Fields(command)[0]); err != nil {
			t.Logf("%q is not tried: %v", command, err)
			continue
		}
		before, err := os.ReadDir(dir)
		require.NoError(t, err)
		out, err := exec.Command("sh", "-c", command).CombinedOutput()
		require.NoError(t, err, "%s: %s", command, out)
		after, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, after, len(before)+1, command)
		for _, made := range after {
			path := filepath.Join(dir, made.Name())
			if strings.Contains(command, path) && made.Name() != name {
				got, _, err := importFiles[data.Conversation](t, importer.DefaultConfig(), nil, path)
				require.NoError(t, err, command)
				assert.Equal(t, dialog("caf\u00e9", "b"), got[0].Messages, command)
			}
		}
		require.NoError(t, os.RemoveAll(dir))
		require.NoError(t, os.Mkdir(dir, 0o755))
	}
}

// What has no command that helps in every case.
func TestForeignReasons(t *testing.T) {
	dir := t.TempDir()
	for content, want := range map[string]string{
		"PK\x03\x04":      "it is a ZIP archive or an Excel workbook: unpack it with unzip",
		zip(t, "PAR1"):    "it is a Parquet file: columns are read from a file that is not packed",
		"<!DOCTYPE html>": "it is an HTML page",
		"version https://git-lfs.github.com/spec/v1": "it is a pointer of Git LFS, not the data: fetch it with git lfs pull",
		strings.Repeat("x", 257) + "ustar\x00":       "it is a tar archive",
		`{"prompt": "a", "completion": "b",}`:        ":1: a comma before the closing bracket at byte 34: remove it",
		`[{"prompt": "a", "completion": "b"},]`:      "the JSON array is broken: a comma before the closing bracket: remove it",
		`{'prompt': 'a'}`:                            ":1: a single quote at byte 1, want a double one",
		`{"prompt": None}`:                           ":1: None at byte 11: this is how Python shows a value",
		"1\n2\n":                                     `:1: its rows are such as "1", want JSON objects`,
		"prompt,completion\na,b":                     `:1: it is not JSON: it begins with "prompt,completion"; CSV and TSV are known by names`,
	} {
		_, _, err := importFiles[data.Conversation](t, importer.DefaultConfig(), nil, named(t, dir, "x.jsonl", content))
		assert.ErrorContains(t, err, want)
	}
	wideText := "\xff\xfe" + wide(binary.LittleEndian, `{"prompt": "a", "completion": "b"}`)
	_, err := importer.Open([]string{importer.Stdin}, strings.NewReader(wideText), importer.DefaultConfig())
	require.EqualError(t, err, "importer: -: it is in UTF-16: pipe it through iconv -f UTF-16 -t UTF-8")
	piped := runs(t, strings.TrimPrefix(err.Error(), "importer: -: it is in UTF-16: pipe it through "), t.TempDir(), wideText)
	_, _, err = importFiles[data.Conversation](t, importer.DefaultConfig(), strings.NewReader(piped), importer.Stdin)
	assert.NoError(t, err)
}

// runs gives what a line of a shell prints. Where its program is not installed, the test says so and skips.
func runs(t *testing.T, line, dir, stdin string) string {
	t.Helper()
	if _, err := exec.LookPath(strings.Fields(line)[0]); err != nil {
		t.Skipf("%q is not tried: %v", line, err)
	}
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
	out, err := cmd.Output()
	require.NoError(t, err, "%s: %s", line, out)
	return string(out)
}

// What archives hold is read once the program that the error names has unpacked it.
func TestForeignArchives(t *testing.T) {
	const line = `{"prompt": "a", "completion": "b"}` + "\n"
	for program, pack := range map[string]func(t *testing.T, dir string) string{
		"unzip": func(t *testing.T, dir string) string {
			var b bytes.Buffer
			w := archivezip.NewWriter(&b)
			f, err := w.Create("rows.jsonl")
			require.NoError(t, err)
			_, err = f.Write([]byte(line))
			require.NoError(t, errors.Join(err, w.Close()))
			return named(t, dir, "x.jsonl", b.String())
		},
		"tar -xf": func(t *testing.T, dir string) string {
			var b bytes.Buffer
			w := tar.NewWriter(&b)
			require.NoError(t, w.WriteHeader(&tar.Header{Name: "rows.jsonl", Size: int64(len(line)), Mode: 0o644}))
			_, err := w.Write([]byte(line))
			require.NoError(t, errors.Join(err, w.Close()))
			return named(t, dir, "x.jsonl", b.String())
		},
		"7z x": func(t *testing.T, dir string) string {
			named(t, dir, "rows.jsonl", line)
			runs(t, "7z a x.7z rows.jsonl", dir, "")
			require.NoError(t, errors.Join(os.Remove(filepath.Join(dir, "rows.jsonl")), os.Rename(filepath.Join(dir, "x.7z"), filepath.Join(dir, "x.jsonl"))))
			return filepath.Join(dir, "x.jsonl")
		},
	} {
		t.Run(program, func(t *testing.T) {
			dir := t.TempDir()
			path := pack(t, dir)
			_, err := importer.Open([]string{path}, nil, importer.DefaultConfig())
			require.Error(t, err)
			found := regexp.MustCompile(`unpack it with ([a-z0-9 -]+) and name the files in it`).FindStringSubmatch(err.Error())
			require.Len(t, found, 2, err)
			require.Equal(t, program, found[1])
			runs(t, found[1]+" "+path, dir, "")
			got, _, err := importFiles[data.Conversation](t, importer.DefaultConfig(), nil, filepath.Join(dir, "rows.jsonl"))
			require.NoError(t, err)
			assert.Equal(t, dialog("a", "b"), got[0].Messages)
		})
	}
}

// Objects as Python shows them are read once they are written by the function that the error names.
func TestPythonsWayIsMended(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"quotes.jsonl": `{'prompt': 'a', 'completion': 'b'}`,
		"none.jsonl":   `{"prompt": "a", "completion": "b", "system": None}`,
		"list.jsonl":   `{"messages": "[{'role': 'user', 'content': 'a'}, {'role': 'assistant', 'content': 'b'}]"}`,
	} {
		_, _, err := importFiles[data.Conversation](t, importer.DefaultConfig(), nil, named(t, dir, name, text))
		require.Error(t, err, name)
		found := regexp.MustCompile(`write it with (json\.dumps)$`).FindStringSubmatch(err.Error())
		require.Len(t, found, 2, err)
		mended := runs(t, `python3 -c 'import ast, json, sys
row = ast.literal_eval(sys.stdin.read())
row = {k: `+found[1]+`(ast.literal_eval(v)) if k == "messages" else v for k, v in row.items()}
print(`+found[1]+`(row))'`, dir, text)
		got, _, err := importFiles[data.Conversation](t, importer.DefaultConfig(), nil, named(t, dir, "mended-"+name, mended))
		require.NoError(t, err, mended)
		assert.Equal(t, dialog("a", "b"), got[0].Messages, name)
	}
}

// NaN and infinite numbers, which Python writes, matter where they are used only.
func TestNotFinite(t *testing.T) {
	got, im, err := importFiles[data.Preference](t, importer.DefaultConfig(), strings.NewReader(
		`{"prompt": "Hi", "chosen": "NaN", "rejected": "b", "loss": NaN, "more": {"x": [-Infinity, Infinity]}}
{"prompt": "Hi", "chosen": "a", "rejected": "b", "margin": NaN}
{"prompt": NaN, "chosen": "a", "rejected": "b"}
`), importer.Stdin)
	require.NoError(t, err)
	assert.Equal(t, []data.Preference{pair("Hi", "NaN", "b", data.Better)}, got)
	require.Len(t, im.Report().Refused, 2)
	assert.ErrorContains(t, im.Report().Refused[0], `margin" is NaN or infinite, want a finite number`)
	assert.Equal(t, 3, im.Report().Refused[1].Line)
}

// Lists of messages are read however a file keeps them: as text with JSON, or as an object of lists.
func TestListColumns(t *testing.T) {
	const list = `[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]`
	quoted := strings.ReplaceAll(list, `"`, `\"`)
	dir := t.TempDir()
	for name, content := range map[string]string{
		"text.jsonl":   `{"messages": "` + quoted + `"}`,
		"struct.jsonl": `{"conversations": {"from": ["human", "gpt"], "value": ["a", "b"]}}`,
		"both.jsonl":   `{"conversations" : "{\"from\": [\"human\", \"gpt\"], \"value\": [\"a\", \"b\"]}"}`,
		"text.csv":     "id,messages\n1,\"" + strings.ReplaceAll(list, `"`, `""`) + "\"\n",
	} {
		got, _, err := importFiles[data.Conversation](t, importer.DefaultConfig(), nil, named(t, dir, name, content))
		require.NoError(t, err, name)
		require.Len(t, got, 1)
		assert.Equal(t, dialog("a", "b"), got[0].Messages, name)
	}
	_, _, err := importFiles[data.Conversation](t, importer.DefaultConfig(), nil, named(t, dir, "py.csv", "messages\n\"[{'role': 'user'}]\"\n"))
	assert.ErrorContains(t, err, `py.csv:2: "messages" is a text with a list as Python shows it, not as JSON: write it with json.dumps`)
	got, _, err := importFiles[data.Text](t, importer.DefaultConfig(), strings.NewReader(`{"text": "{\"messages\": \"[]\"}"}`), importer.Stdin)
	require.NoError(t, err)
	assert.Equal(t, `{"messages": "[]"}`, got[0].Text, "not a column")
}
