package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// tree is what stands in a folder: the digest of each file by its name, and "folder" for each folder.
type tree map[string]string

// readTree reads a folder, or a file, whose name is then ".". What is not there is an empty tree.
func readTree(dir string) (tree, error) {
	all := tree{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			all[name] = "folder"
			return nil
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.HasSuffix(path, ".jsonl") {
			raw = withoutTimes(raw)
		}
		all[name] = fmt.Sprintf("%d bytes, sha256 %x", len(raw), sha256.Sum256(raw))
		return nil
	})
	if os.IsNotExist(err) {
		return all, nil
	}
	return all, err
}

// withoutTimes is a log without what two equal runs may differ in. Lines that are no JSON objects stay as they are.
func withoutTimes(raw []byte) []byte {
	var out bytes.Buffer
	for line := range bytes.Lines(raw) {
		var fields map[string]any
		if json.Unmarshal(line, &fields) == nil && bytes.HasSuffix(line, []byte("\n")) {
			delete(fields, "time")
			if metrics, ok := fields["metrics"].(map[string]any); ok {
				maps.DeleteFunc(metrics, func(name string, _ any) bool {
					return strings.HasPrefix(name, "timing_s/") || strings.HasPrefix(name, "perf/")
				})
			}
			line, _ = json.Marshal(fields)
			line = append(line, '\n')
		}
		out.Write(line)
	}
	return out.Bytes()
}

// differs lists what is not the same in two trees; it is empty if nothing is.
func (want tree) differs(got tree) string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		switch there, ok := got[name]; {
		case !ok:
			lines = append(lines, name+" is missing")
		case there != want[name]:
			lines = append(lines, fmt.Sprintf("%s differs (%s, want %s)", name, there, want[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[name]; !ok {
			lines = append(lines, name+" is left over")
		}
	}
	return strings.Join(lines, "\n")
}

// under are the entries of a file or folder of the tree, as readTree of its path gives them.
func (want tree) under(name string) tree {
	part := tree{}
	for path, digest := range want {
		if path == name {
			part["."] = digest
		} else if rest, ok := strings.CutPrefix(path, name+"/"); ok {
			part[rest] = digest
		}
	}
	return part
}

// reference is what a subject makes if it is left alone.
type reference struct {
	tree     tree
	end      ended
	size     int64 // bytes of all files
	logLines int
	quick    time.Duration // a run that saves nothing on its way
}

// reference runs a subject to its end, once.
func (t *try) reference(run func() (*reference, error)) (*reference, error) {
	t.lock.Lock()
	defer t.lock.Unlock()
	if ref := t.refs[t.subject]; ref != nil {
		return ref, nil
	}
	ref, err := run()
	if err != nil {
		return nil, err
	}
	t.refs[t.subject] = ref
	return ref, nil
}

// same compares the try's folder with the reference.
func (t *try) same(want tree) error {
	got, err := readTree(t.dir)
	if err != nil {
		return err
	}
	if text := want.differs(got); text != "" {
		return failf("the files are not those of a run that was left alone:\n%s", text)
	}
	return nil
}

// wholeOrAbsent compares the outputs alone: each is as in the reference, or not there.
func (t *try) wholeOrAbsent(outputs []string, want tree) (there int, err error) {
	for _, name := range outputs {
		got, err := readTree(filepath.Join(t.dir, name))
		if err != nil {
			return 0, err
		}
		if len(got) == 0 {
			continue
		}
		there++
		if text := want.under(name).differs(got); text != "" {
			return 0, failf("a half-made %s:\n%s", name, text)
		}
	}
	return there, nil
}
