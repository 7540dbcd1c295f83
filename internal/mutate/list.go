package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// extension is what the names of lists end in.
const extension = ".breaks"

// entry is one break: a line of a file and what replaces it.
type entry struct {
	list     string // name of the list
	line     int    // where the entry begins in it, from 1
	file     string // path in the repository, with slashes
	old, new string // whole lines without their end
	removes  bool   // the line goes, nothing replaces it
	why      string
	packages []string // whose tests run
	run      string   // -run of go test, empty for all tests
	survives string   // why no test can notice, empty if one must
}

// id names the entry for people and on the command line.
func (e entry) id() string { return e.list + ":" + strconv.Itoa(e.line) }

// parse reads a list. The error has a line for each mistake.
func parse(name, text string) ([]entry, error) {
	var entries []entry
	var wrong []string
	var now *entry
	seen := map[string]bool{}
	finish := func() {
		if now == nil {
			return
		}
		if err := now.complete(seen); err != nil {
			wrong = append(wrong, fmt.Sprintf("%s: %v", now.id(), err))
		}
		entries, now, seen = append(entries, *now), nil, map[string]bool{}
	}
	for i, line := range strings.Split(text, "\n") {
		switch {
		case strings.TrimSpace(line) == "":
			finish()
			continue
		case strings.HasPrefix(line, "#"):
			continue
		}
		if now == nil {
			now = &entry{list: name, line: i + 1}
		}
		key, value := split(line)
		if seen[key] {
			wrong = append(wrong, fmt.Sprintf("%s:%d: a second %q; entries are separated by an empty line", name, i+1, key))
		}
		seen[key] = true
		if !now.set(key, value) {
			wrong = append(wrong, fmt.Sprintf("%s:%d: %q is none of file:, -, +, why:, test:, run:, survives:", name, i+1, line))
		}
	}
	finish()
	if wrong != nil {
		return nil, fmt.Errorf("%s", strings.Join(wrong, "\n"))
	}
	return entries, nil
}

// split takes a line apart. The lines of code keep their spaces.
func split(line string) (key, value string) {
	if line == "+" || line == "-" {
		return line, ""
	}
	if strings.HasPrefix(line, "+ ") || strings.HasPrefix(line, "- ") {
		return line[:1], line[2:]
	}
	key, value, _ = strings.Cut(line, ":")
	return key, strings.TrimSpace(value)
}

func (e *entry) set(key, value string) bool {
	texts := map[string]*string{"file": &e.file, "-": &e.old, "+": &e.new, "why": &e.why, "run": &e.run, "survives": &e.survives}
	to, ok := texts[key]
	switch {
	case ok:
		*to = value
	case key == "test":
		e.packages = strings.Fields(value)
	}
	e.removes = e.removes || key == "+" && value == ""
	return ok || key == "test"
}

// complete checks that an entry has what it needs, and fills in the package of its file.
func (e *entry) complete(seen map[string]bool) error {
	switch {
	case e.file == "" || !filepath.IsLocal(e.file) || path.Ext(e.file) != ".go":
		return fmt.Errorf("file: %q is not the path of a Go file in the repository", e.file)
	case strings.TrimSpace(e.old) == "":
		return fmt.Errorf("no line to break (- )")
	case !seen["+"]:
		return fmt.Errorf("no line that replaces it (+ ); a lone + removes it")
	case e.old == e.new:
		return fmt.Errorf("the break changes nothing")
	case e.why == "":
		return fmt.Errorf("why: is empty; say what the line is for")
	case seen["survives"] && e.survives == "":
		return fmt.Errorf("survives: has no reason")
	}
	if e.packages == nil {
		e.packages = []string{"./" + path.Dir(e.file)}
	}
	for _, p := range e.packages {
		if !strings.HasPrefix(p, "./") {
			return fmt.Errorf("test: %q does not begin with ./", p)
		}
	}
	return nil
}

// apply gives the file's text with the entry's line replaced.
func (e entry) apply(text string) (string, error) {
	lines := strings.Split(text, "\n")
	at := slices.Index(lines, e.old)
	if at < 0 {
		return "", fmt.Errorf("%s: no line of %s is %q", e.id(), e.file, e.old)
	}
	if next := slices.Index(lines[at+1:], e.old); next >= 0 {
		return "", fmt.Errorf("%s: lines %d and %d of %s are both %q; a break is of one line that occurs once",
			e.id(), at+1, at+next+2, e.file, e.old)
	}
	if e.removes {
		lines = slices.Delete(lines, at, at+1)
	} else {
		lines[at] = e.new
	}
	return strings.Join(lines, "\n"), nil
}

// readLists reads the lists of a folder, by their names. An argument is the name of a list, or of
// one entry as id gives it; without arguments all are read.
func readLists(dir string, args []string) ([]entry, error) {
	if len(args) == 0 {
		paths, err := filepath.Glob(filepath.Join(dir, "*"+extension))
		if err != nil {
			return nil, err
		}
		for _, p := range paths {
			args = append(args, strings.TrimSuffix(filepath.Base(p), extension))
		}
	}
	var all []entry
	for _, arg := range args {
		name, line, single := strings.Cut(arg, ":")
		text, err := os.ReadFile(filepath.Join(dir, name+extension))
		if err != nil {
			return nil, err
		}
		entries, err := parse(name, string(text))
		if err != nil {
			return nil, err
		}
		if single {
			entries = slices.DeleteFunc(entries, func(e entry) bool { return strconv.Itoa(e.line) != line })
			if len(entries) == 0 {
				return nil, fmt.Errorf("no entry begins at line %s of %s%s", line, name, extension)
			}
		}
		all = append(all, entries...)
	}
	return all, nil
}
