package output

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// names are the entries of a folder, hidden ones too.
func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// put writes a text as an output.
func put(t *testing.T, s *Set, path, text string) {
	t.Helper()
	require.NoError(t, s.WriteFile(path, func(w *bufio.Writer) error {
		_, err := w.WriteString(text)
		return err
	}))
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(raw)
}

// Nothing has its name before Commit, and nothing is left next to it afterwards.
func TestOutputsAppearTogether(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.txt"), filepath.Join(dir, "new", "b")
	s, err := New(nil, File(a), Folder(b))
	require.NoError(t, err)
	put(t, s, a, "one")
	require.NoError(t, s.Write(b, func(staged string) error {
		write(t, filepath.Join(staged, "x"), "two")
		return nil
	}))
	assert.NoFileExists(t, a)
	assert.NoDirExists(t, b)
	require.NoError(t, s.Commit())
	s.Close()
	assert.Equal(t, "one", read(t, a))
	assert.Equal(t, "two", read(t, filepath.Join(b, "x")))
	assert.Equal(t, []string{"a.txt", "new"}, names(t, dir))
	assert.Equal(t, []string{"b"}, names(t, filepath.Dir(b)))
}

// A command that fails leaves nothing, and its error names the output and not the file next to it.
func TestNothingIsLeftOfAFailure(t *testing.T) {
	dir := t.TempDir()
	a := filepath.Join(dir, "a.txt")
	s, err := New(nil, File(a))
	require.NoError(t, err)
	_, err = New(nil, File(a))
	require.EqualError(t, err, "another process is making "+a+": wait for it or stop it")
	err = s.Write(a, func(staged string) error { return &os.PathError{Op: "write", Path: staged, Err: os.ErrClosed} })
	require.EqualError(t, err, "write "+a+": file already closed")
	require.ErrorIs(t, err, os.ErrClosed)
	s.Close()
	assert.Empty(t, names(t, dir))
}

// What others have made in the meantime is not replaced, and the work is not lost.
func TestCommitReplacesNothing(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	s, err := New(nil, File(a), File(b))
	require.NoError(t, err)
	put(t, s, a, "mine")
	put(t, s, b, "mine")
	write(t, b, "other")
	err = s.Commit()
	require.ErrorIs(t, err, os.ErrExist)
	s.Close()
	require.ErrorContains(t, err, "what was made is in "+filepath.Join(dir, ".b.unfinished"))
	assert.NoFileExists(t, a, "both or none")
	assert.Equal(t, "other", read(t, b))
	assert.Equal(t, "mine", read(t, filepath.Join(dir, ".a.unfinished", "a")))
}

// A process that is killed leaves a folder and a lock, which the next one removes; killed between
// two names, the next one gives the second.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	write(t, a+".lock", "")
	write(t, filepath.Join(dir, ".a.unfinished", "a"), "half")
	s, err := New(nil, File(a), File(b))
	require.NoError(t, err)
	put(t, s, a, "one")
	put(t, s, b, "two")

	require.NoError(t, s.writeJournal())
	require.NoError(t, s.items[0].publish())
	for _, i := range s.items { // killed
		require.NoError(t, i.lock.Close())
	}
	_, err = New(nil, File(a), File(b))
	require.ErrorContains(t, err, a+" already exists")
	require.ErrorContains(t, err, b+" already exists")
	require.ErrorContains(t, err, "a command that was killed had made all of "+a+", and only now it has its name")
	assert.Equal(t, "one", read(t, a))
	assert.Equal(t, "two", read(t, b))
	assert.Equal(t, []string{"a", "b"}, names(t, dir))
}

// A process that is killed after its output has its name leaves a folder and a lock, maybe with the file's other name: Check
// removes them, but nothing that another process has or that was not given its name.
func TestKilledAfterTheName(t *testing.T) {
	dir := t.TempDir()
	a := write(t, filepath.Join(dir, "a"), "whole")
	stage := filepath.Join(dir, ".a.unfinished")
	leave := func() {
		write(t, a+".lock", "")
		require.NoError(t, os.Mkdir(stage, 0o755))
		require.NoError(t, os.Link(a, filepath.Join(stage, "a")))
	}
	leave()
	require.ErrorContains(t, Check(nil, File(a)), "already exists")
	assert.Equal(t, []string{"a"}, names(t, dir))
	assert.Equal(t, "whole", read(t, a))

	leave()
	lock, err := File(a).lock()
	require.NoError(t, err)
	require.ErrorContains(t, Check(nil, File(a)), "already exists")
	assert.Equal(t, []string{".a.unfinished", "a", "a.lock"}, names(t, dir))
	release(lock)

	require.NoError(t, os.Remove(filepath.Join(stage, "a")))
	write(t, filepath.Join(stage, "a"), "not published")
	write(t, a+".lock", "")
	require.ErrorContains(t, Check(nil, File(a)), "already exists")
	assert.Equal(t, "not published", read(t, filepath.Join(stage, "a")))
}

func TestAnOldFileIsReplaced(t *testing.T) {
	dir := t.TempDir()
	path := write(t, filepath.Join(dir, "position.json"), "old")
	s, err := New(nil, Place{Path: path, Old: true})
	require.NoError(t, err)
	put(t, s, path, "new")
	assert.Equal(t, "old", read(t, path))
	require.NoError(t, s.Commit())
	assert.Equal(t, "new", read(t, path))
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write(t, at("file"), "x")
	write(t, at("model/config.json"), "{}")
	write(t, at("run/lineage.json"), "{}")
	require.NoError(t, os.Symlink(at("nowhere"), at("dangling")))
	require.NoError(t, os.Symlink(at("model"), at("alias")))
	require.NoError(t, os.Link(at("file"), at("twin")))
	for name, c := range map[string]struct {
		inputs []string
		places []Place
		want   string
	}{
		"exists":             {places: []Place{File(at("file"))}, want: at("file") + " already exists: delete it, or give another name"},
		"folder":             {places: []Place{File(at("model"))}, want: at("model") + " already exists"},
		"folder for a file":  {places: []Place{{Path: at("model"), Old: true}}, want: at("model") + " is a folder, want a file"},
		"file for a folder":  {places: []Place{{Path: at("file"), Old: true, Folder: true}}, want: at("file") + " is a file, want a folder"},
		"dangling":           {places: []Place{File(at("dangling"))}, want: at("dangling") + " is a symbolic link to " + at("nowhere")},
		"dangling old":       {places: []Place{{Path: at("dangling"), Old: true}}, want: "is a symbolic link to"},
		"no parent":          {places: []Place{File(at("no/out"))}, want: "the folder " + at("no") + " does not exist"},
		"parent is a file":   {places: []Place{Folder(at("file/out"))}, want: "not a directory"},
		"twice":              {places: []Place{File(at("out")), File(at("./out"))}, want: "is named as two outputs"},
		"twice by a link":    {places: []Place{{Path: at("alias/x"), Old: true}, {Path: at("model/x"), Old: true}}, want: "is named as two outputs"},
		"inside another":     {places: []Place{Folder(at("out")), Folder(at("out/log"))}, want: "an output cannot be inside another one"},
		"input":              {inputs: []string{at("file")}, places: []Place{{Path: at("file"), Old: true}}, want: at("file") + " is an input"},
		"input by hard link": {inputs: []string{at("twin")}, places: []Place{{Path: at("file"), Old: true}}, want: at("file") + " is an input"},
		"inside an input":    {inputs: []string{at("model")}, places: []Place{File(at("alias/out"))}, want: "is inside " + at("model") + ", which is an input"},
		"input inside":       {inputs: []string{at("run/x")}, places: []Place{{Path: at("run"), Old: true, Folder: true}}, want: "is an input inside"},
		"another run":        {places: []Place{Folder(at("run/deep/out"))}, want: "the folder of another run"},
		"empty":              {places: []Place{File("")}, want: "is empty"},
		"name too long":      {places: []Place{File(at(string(make([]byte, 300))))}, want: "invalid argument"},
	} {
		assert.ErrorContains(t, Check(c.inputs, c.places...), c.want, name)
	}
	assert.NoError(t, Check([]string{at("model"), at("file"), ""}, File(at("out")), Folder(at("a/b/c")), Folder(at("model2"))))
}

// A folder that cannot be written is found before any work.
func TestFolderThatCannotBeWritten(t *testing.T) {
	dir := ReadOnly(t)
	_, err := New(nil, File(filepath.Join(dir, "out")))
	require.ErrorContains(t, err, filepath.Join(dir, "out"))
}

// ReadOnly is a folder that nobody can write, or the test is skipped.
func ReadOnly(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o555))
	if os.WriteFile(filepath.Join(dir, "probe"), nil, 0o644) != nil {
		return dir
	}
	_ = os.Remove(filepath.Join(dir, "probe"))
	// The user is root, whom permissions do not stop.
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "ro", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("no folder is read-only here: %s", out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", dir).Run() })
	return dir
}
