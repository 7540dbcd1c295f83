package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/tame-rlhf/tame/internal/pty"
)

// firstLine is how much of its own processor time a command may take before its first line: a quarter of a second, of the second
// in which something has to be seen. A loaded machine does not make it longer.
const firstLine = 250 * time.Millisecond

// Every stage, and every tool that may take long, says something before it opens the first of its inputs, however large that is:
// on a terminal of any width, and in a file.
func TestFirstLineBeforeTheInputs(t *testing.T) {
	columns := []int{40, 80, 130, 0} // 0 for a file
	for name, args := range commandsThatRead(t) {
		for _, n := range columns {
			t.Run(fmt.Sprint(name, " ", n), func(t *testing.T) {
				inputs := inputsOf(t, args)
				cmd := process(slices.Clone(args)...)
				for i, arg := range cmd.Args {
					cmd.Args[i] = strings.Replace(arg, "OUT", filepath.Join(t.TempDir(), "o"), 1)
				}
				var terminal *pty.Terminal
				log, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
				require.NoError(t, err)
				defer log.Close()
				if cmd.Stderr = log; n > 0 {
					terminal = pty.New(t, n)
					cmd.Stderr = terminal.File
				}
				held := hold(t, inputs)
				require.NoError(t, cmd.Start())
				ended := make(chan error, 1)
				go func() { ended <- cmd.Wait() }()
				defer func() { _ = cmd.Process.Kill(); <-ended }()
				opened := waitFor(time.Minute, func() bool { return held.opened() != "" || len(ended) > 0 })
				require.True(t, opened && len(ended) == 0, "it opens none of its inputs")
				used := processorTime(t, cmd)
				said := func() string {
					if terminal != nil {
						return strings.Join(terminal.Lines(), "\n")
					}
					raw, _ := os.ReadFile(log.Name())
					return string(raw)
				}
				assert.True(t, waitFor(20*time.Second, func() bool { return said() != "" }), "nothing is said while %s is opened", held.opened())
				assert.Less(t, used, firstLine)
				t.Logf("%q after %v of processor time, then %s", said(), used, filepath.Base(held.opened()))
			})
		}
	}
}

func waitFor(limit time.Duration, done func() bool) bool {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if done() {
			return true
		}
	}
	return done()
}

// commandsThatRead are all stages and tools, but for `lineage`, which reads nothing but metadata. OUT is what they make.
func commandsThatRead(t *testing.T) map[string][]string {
	all := quickStages(t)
	for name := range all {
		all[name] = append(all[name], "--set", "output=OUT")
	}
	model, talks, pairs := languageModel(t), conversations(t, 30), preferences(t, 20, 20)
	reward, _ := rewardModel(t, chatModel(t), pairs, "safety")
	rows := file(t, "rows.jsonl", strings.Repeat(`{"prompt": "the cat", "response": "sat"}`+"\n", 10))
	texts := file(t, "texts.txt", strings.Repeat("the cat sat on the mat\n", 50))
	lists := file(t, "lists.yaml", "animals: [cat, dog]\n")
	for _, line := range []string{
		"convert data " + rows + " OUT.arrow", "convert model " + model + " OUT", "tokenizer train --vocab-size 280 " + texts + " OUT.model",
		"tokenizer convert " + model + " OUT", "data head " + talks, "data stats " + talks, "data validate " + talks, "data mix " + talks + "=1 OUT.arrow --rows 10",
		"data shuffle " + talks + " OUT.arrow", "data split " + talks + " OUT.arrow OUT.held.arrow --share 0.5", "data dedup " + talks + " OUT.arrow",
		"data filter " + talks + " OUT.arrow --min 1", "data contamination --train " + talks + " --eval " + talks + " --tokenizer " + model, "data representation " + talks + " --words " + lists,
		"evaluate --model " + model + " --data " + talks, "verify " + model,
		"chat --model " + model, "generate --model " + model, "logprobs --model " + model, "score --model " + reward, "tokenize --tokenizer " + model,
		"reward calibrate --model " + reward + " --data " + pairs + " --output OUT",
	} {
		all[line[:strings.Index(line, "/")]] = strings.Fields(line)
	}
	return all
}

// inputsOf are the files that are named by arguments, and those in folders that are.
func inputsOf(t *testing.T, args []string) (files []string) {
	t.Helper()
	text := strings.Join(args, " ")
	for _, arg := range args {
		if strings.HasSuffix(arg, ".yaml") {
			raw, err := os.ReadFile(arg)
			require.NoError(t, err)
			text += string(raw)
		}
	}
	for _, path := range regexp.MustCompile(`/[^\s=,\]]+`).FindAllString(text, -1) {
		_ = filepath.WalkDir(path, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() && !strings.HasSuffix(path, ".yaml") {
				files = append(files, path)
			}
			return nil
		})
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// leases let nobody open files: who tries waits.
type leases []*os.File

func hold(t *testing.T, paths []string) leases {
	t.Helper()
	var all leases
	for _, path := range paths {
		f, err := os.Open(path)
		require.NoError(t, err)
		t.Cleanup(func() { f.Close() })
		if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
			t.Skip("no leases on files here: ", err)
		}
		all = append(all, f)
	}
	return all
}

// opened is the file that somebody is waiting to open, if any.
func (l leases) opened() string {
	for _, f := range l {
		if kind, err := unix.FcntlInt(f.Fd(), unix.F_GETLEASE, 0); err == nil && kind != unix.F_WRLCK {
			return f.Name()
		}
	}
	return ""
}

// processorTime is what a process has taken so far.
func processorTime(t *testing.T, cmd *exec.Cmd) time.Duration {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
	require.NoError(t, err)
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:])) // from the third on
	ticks := 0
	for _, field := range fields[11:13] { // utime, stime
		n, err := strconv.Atoi(field)
		require.NoError(t, err)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
