package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
)

// maker is a command that makes something.
type maker struct {
	args func(out string) []string // the command line that makes out, and outputs next to it
	out  string                    // its name
	also string                    // what it makes in addition, as a suffix of out; empty for nothing
	in   string                    // a folder among its inputs, or empty
}

// makers are all tools that make files or folders, and two stages of a kind each. The other stages have the code of these.
func makers(t *testing.T) map[string]maker {
	t.Helper()
	rm, talks, pairs, dir := tinyModel(t), conversations(t, 12), preferences(t, 8, 0), t.TempDir()
	p, tokenizer, err := model.LoadWithTokenizer(chatModel(t), "")
	require.NoError(t, err)
	p.DropHead() // which other forms do not have
	chat, tok := filepath.Join(dir, "in"), filepath.Join(rm, "tokenizer.model")
	require.NoError(t, model.Save(chat, p, folderExtras(tokenizer, data.Lineage{})))
	text, rows := filepath.Join(dir, "in.txt"), filepath.Join(dir, "in.jsonl")
	require.NoError(t, os.WriteFile(text, []byte("the cat sat on the mat\nthe dog sat on the log\na cat and a dog\n"), 0o644))
	require.NoError(t, os.WriteFile(rows, []byte(`{"instruction": "a", "input": "", "output": "b"}`+"\n"+`{"instruction": "a", "input": "", "output": ""}`+"\n"), 0o644))
	add := func(args ...string) func(string) []string {
		return func(out string) []string { return append(append([]string(nil), args...), out) }
	}
	return map[string]maker{
		"convert data": {out: "o.arrow", also: ".refused", args: func(out string) []string {
			return []string{"convert", "data", rows, out, "--refused", out + ".refused"}
		}},
		"convert model":           {out: "hf", in: rm, args: add("convert", "model", rm)},
		"convert model --to meta": {out: "meta", in: chat, args: add("convert", "model", "--to", "meta", chat)},
		"convert model gguf":      {out: "m.gguf", in: chat, args: add("convert", "model", chat)},
		"convert model llama2c": {out: "m", also: ".tokenizer.model", in: chat, args: func(out string) []string {
			return []string{"convert", "model", chat, out + ".bin"}
		}},
		"tokenizer train":         {out: "t.model", args: add("tokenizer", "train", "--vocab-size", "280", text)},
		"tokenizer convert":       {out: "hf", args: add("tokenizer", "convert", tok)},
		"tokenizer convert model": {out: "t.model", in: rm, args: add("tokenizer", "convert", rm)},
		"data split": {out: "a.arrow", also: ".held.arrow", args: func(out string) []string {
			return []string{"data", "split", talks, out, out + ".held.arrow", "--share", "0.5"}
		}},
		"data dedup":   {out: "o.arrow", args: add("data", "dedup", talks)},
		"data filter":  {out: "o.parquet", args: add("data", "filter", talks)},
		"data shuffle": {out: "o.arrow", args: add("data", "shuffle", talks)},
		"data mix":     {out: "o.arrow", args: add("data", "mix", talks)},
		"data contamination": {out: "s.jsonl", args: add("data", "contamination", "--train", talks, "--eval", talks, "--tokenizer", tok,
			"--min", "2", "--skip", "1", "--lengths", "2", "--samples")},
		"reward calibrate": {out: "rm", in: rm, args: add("reward", "calibrate", "--model", rm, "--data", pairs, "--output")},
		"sft": {out: "chat", in: chat, args: func(out string) []string {
			return []string{"sft", "--set", "model=" + chat, "--set", "data=" + talks, "--set", "epochs=1", "--set", "micro_tokens=256",
				"--set", "micro_segments=8", "--set", "batch_size=4", "--set", "output=" + out}
		}},
		"reject": {out: "samples", in: rm, args: func(out string) []string {
			return append(rejectArgs(chat, talks), "--set", "helpfulness="+rm, "--set", "output="+out)
		}},
	}
}

// name is where the first output goes.
func (m maker) name(dir string) string { return filepath.Join(dir, m.out) }

// outputs are the files and folders that the command makes.
func (m maker) outputs(dir string) []string {
	out := m.name(dir)
	switch {
	case m.also == "":
		return []string{out}
	case m.also == ".tokenizer.model": // of llama2.c
		return []string{out + ".bin", out + m.also}
	}
	return []string{out, out + m.also}
}

// entries are the names in a folder, hidden ones too.
func entries(t *testing.T, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// readOnly is a folder in which nobody can make anything; the test is skipped where there is no way to have one.
func readOnly(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	mount(t, dir, "ro")
	return dir
}

// mount puts a file system of its own at a folder; the test is skipped where that is not allowed.
func mount(t *testing.T, dir, options string) {
	t.Helper()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", options, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("no file system can be mounted here: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", dir).Run() })
}

// Whatever a command makes: what exists, a dangling link, a missing or read-only folder and a place in an input are refused before
// any work and by name, and nothing is left.
func TestOutputsAreCheckedFirst(t *testing.T) {
	all := makers(t)
	for name, m := range all {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			mustRun(t, m.args(m.name(dir))...)
			made := entries(t, dir)
			assert.Len(t, made, len(m.outputs(dir)), "nothing is left next to the outputs")
			refused := func(at, want string) {
				t.Helper()
				text, err := tame(t, "", m.args(at)...)
				require.ErrorContains(t, err, want, "%s", text)
				assert.NotContains(t, strings.Join(text, "\n"), "is written")
			}
			refused(m.name(dir), "already exists")
			assert.Equal(t, made, entries(t, dir))
			for _, out := range m.outputs(dir) {
				require.NoError(t, os.RemoveAll(out))
				link := filepath.Join(dir, "nowhere")
				require.NoError(t, os.Symlink(link, out))
				refused(m.name(dir), out+" is a symbolic link to "+link)
				require.NoError(t, os.Remove(out))
			}
			require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o644))
			refused(m.name(filepath.Join(dir, "file")), "ot a directory")
			if m.in != "" {
				before := entries(t, m.in)
				refused(m.name(m.in), "inside "+m.in+", which is an input")
				assert.Equal(t, before, entries(t, m.in))
			}
		})
	}
	t.Run("read-only", func(t *testing.T) {
		dir := readOnly(t)
		for name, m := range all {
			_, err := tame(t, "", m.args(m.name(dir))...)
			assert.ErrorContains(t, err, "the folder "+dir+" cannot be written: read-only file system", name)
		}
	})
}

// A command that is killed at any moment leaves each output whole or not at all. The next one needs no help, and leaves nothing else.
// The fault suite, internal/faults, kills more often.
func TestKilledCommandsLeaveNothingHalf(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for name, m := range makers(t) {
		t.Run(name, func(t *testing.T) {
			whole, dir := t.TempDir(), t.TempDir()
			begin := time.Now()
			out, err := process(m.args(m.name(whole))...).CombinedOutput()
			require.NoError(t, err, string(out))
			took := time.Since(begin)
			for range 2 {
				cmd := process(m.args(m.name(dir))...)
				require.NoError(t, cmd.Start())
				time.Sleep(time.Duration((0.3 + 0.7*rng.Float64()) * float64(took)))
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
				for i, made := range m.outputs(dir) {
					if there, _ := exists(made); there {
						samePath(t, m.outputs(whole)[i], made)
						require.NoError(t, os.RemoveAll(made))
					}
				}
				require.NoError(t, os.RemoveAll(m.name(dir)+".checkpoint"))
			}
			mustRun(t, m.args(m.name(dir))...)
			assert.Equal(t, entries(t, whole), entries(t, dir))
			for i, made := range m.outputs(dir) {
				samePath(t, m.outputs(whole)[i], made)
			}
		})
	}
}

// samePath compares two files or folders.
func samePath(t *testing.T, want, got string) {
	t.Helper()
	assert.Equal(t, fingerprint(t, want), fingerprint(t, got), got)
}

// Of two commands that make the same thing at once one is refused, and nothing is mixed.
func TestTwoCommandsForOneOutput(t *testing.T) {
	all := makers(t)
	for _, name := range []string{"convert model", "tokenizer convert", "data split"} {
		m, whole, dir := all[name], t.TempDir(), t.TempDir()
		mustRun(t, m.args(m.name(whole))...)
		var both sync.WaitGroup
		errs := make([]error, 2)
		texts := make([][]byte, 2)
		for i := range errs {
			both.Go(func() { texts[i], errs[i] = process(m.args(m.name(dir))...).CombinedOutput() })
		}
		both.Wait()
		for i := range errs {
			if errs[i] != nil {
				assert.Regexp(t, "another process is making|already exists", string(texts[i]), name)
			}
		}
		assert.True(t, errs[0] == nil || errs[1] == nil, "%s: %s", name, texts)
		assert.False(t, errs[0] == nil && errs[1] == nil, "%s: %s", name, texts)
		assert.Equal(t, entries(t, whole), entries(t, dir), name)
		for i, made := range m.outputs(dir) {
			samePath(t, m.outputs(whole)[i], made)
		}
	}
}

// A place that a stage would write to is never one that it reads, or that belongs to another run.
func TestPlacesOfAStage(t *testing.T) {
	config, talks, model, dir := yamlFile(t, sftYAML(t)), conversations(t, 12), policyModel(t), t.TempDir()
	other := filepath.Join(dir, "other")
	mustRun(t, "sft", "--config", config, "--set", "output="+other)
	out := filepath.Join(dir, "chat")
	for _, c := range []struct{ setting, want string }{
		{"log=" + config, config + " is an input"},
		{"log=" + talks, talks + " is an input"},
		{"log=" + filepath.Join(model, "model.safetensors"), "is inside " + model + ", which is an input"},
		{"log=" + filepath.Join(other, "log.jsonl"), "is inside " + other + ", the folder of another run"},
		{"log=" + out, "is named as two outputs"},
		{"log=" + out + ".lock", "is named as two outputs"},
		{"log=" + filepath.Join(out+".checkpoint", "log"), "cannot be inside another one"},
		{"log=" + other, other + " is a folder, want a file"},
		{"log=" + filepath.Join(dir, "no", "log"), "the folder " + filepath.Join(dir, "no") + " does not exist"},
		{"output=" + config, config + " is an input"},
		{"output=" + filepath.Join(other, "v2"), "the folder of another run"},
	} {
		before := fingerprint(t, dir)
		_, err := tame(t, "", "sft", "--config", config, "--set", "model="+model, "--set", "data="+talks, "--set", "output="+out, "--set", c.setting, "--resume")
		assert.ErrorContains(t, err, c.want, c.setting)
		assert.Equal(t, before, fingerprint(t, dir), c.setting)
	}
	require.NoError(t, os.Rename(other, out+".checkpoint"))
	_, err := tame(t, "", "sft", "--config", config, "--set", "model="+out+".checkpoint", "--set", "output="+out, "--resume")
	assert.ErrorContains(t, err, out+".checkpoint is an input, and cannot be an output")
}

// A full disk while saving is told, with what is kept, also where Ctrl-C made the run save. With room again the run ends in the same bytes.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	mount(t, dir, "size=1m")
	config, whole, out := yamlFile(t, sftYAML(t)), filepath.Join(t.TempDir(), "whole"), filepath.Join(dir, "chat")
	mustRun(t, "sft", "--config", config, "--set", "epochs=100", "--set", "checkpoint_every=1000", "--set", "output="+whole)
	run := func(args ...string) (*exec.Cmd, *bytes.Buffer) {
		cmd, text := process(append([]string{"sft", "--config", config, "--set", "epochs=100", "--set", "output=" + out, "--resume"}, args...)...), &bytes.Buffer{}
		cmd.Stdout, cmd.Stderr = text, text
		require.NoError(t, cmd.Start())
		return cmd, text
	}
	log := filepath.Join(t.TempDir(), "log")
	cmd, text := run("--set", "log="+log)
	require.Eventually(t, func() bool { there, _ := exists(out + ".checkpoint"); return there && fileSize(log) > 0 }, 10*time.Second, time.Millisecond)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.Error(t, cmd.Wait())
	require.Contains(t, text.String(), "stopped; go on with:")

	full, err := os.Create(filepath.Join(dir, "full"))
	require.NoError(t, err)
	for err == nil {
		_, err = full.Write(make([]byte, 4096))
	}
	require.NoError(t, full.Close())
	for _, how := range []string{"checkpoint_every=100000", "checkpoint_every=1"} { // by Ctrl-C, and by a checkpoint that is due
		size := fileSize(log)
		cmd, text = run("--set", "log="+log, "--set", how)
		if how != "checkpoint_every=1" {
			require.Eventually(t, func() bool { return fileSize(log) > size }, 10*time.Second, time.Millisecond)
			require.NoError(t, cmd.Process.Signal(os.Interrupt))
		}
		var exit *exec.ExitError
		require.ErrorAs(t, cmd.Wait(), &exit)
		assert.Equal(t, 1, exit.ExitCode())
		assert.Regexp(t, `tame: the checkpoint \S+chat.checkpoint is not saved, it is still the one after \d+ optimisation steps: .*no space left on device`, text.String())
		assert.Contains(t, text.String(), "resume it with: tame sft --config "+config)
		assert.NotContains(t, text.String(), "stopped")
	}
	require.NoError(t, os.Remove(full.Name()))
	cmd, text = run("--set", "log="+log, "--set", "checkpoint_every=1000")
	require.NoError(t, cmd.Wait(), text)
	sameFolders(t, whole, out)
	assert.Equal(t, []string{"chat"}, entries(t, dir))
	steps(t, log, 100*5)
}

// A log that cannot be written stops the run with a checkpoint and the reason.
func TestLogThatCannotBeWritten(t *testing.T) {
	const full = "/dev/full"
	if info, err := os.Stat(full); err != nil || info.Mode()&fs.ModeCharDevice == 0 {
		t.Skip("there is no " + full)
	}
	chat, talks, pairs := chatModel(t), conversations(t, 40), preferences(t, 20, 20)
	helpfulness, _ := rewardModel(t, chat, pairs, "helpfulness")
	safety, _ := rewardModel(t, chat, pairs, "safety", "--set", "seed=3")
	for name, args := range map[string][]string{
		"sft":  {"sft", "--config", yamlFile(t, sftYAML(t)), "--set", "checkpoint_every=1000"},
		"ppo":  append(ppoArgs(chat, talks), "--set", "helpfulness="+helpfulness, "--set", "gate=false", "--set", "checkpoint_every=1000"),
		"rlhf": append(rlhfArgs(chat, talks, pairs, helpfulness, safety), "--set", "checkpoint_every=1000"),
	} {
		t.Run(name, func(t *testing.T) {
			whole, out := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "out")
			_, err := tame(t, "", append(args, "--set", "output="+out, "--set", "log="+full)...)
			require.ErrorContains(t, err, "log: train: recording step 1: write "+full+": no space left on device\n"+out+".checkpoint is kept; resume it with: tame "+name)
			assert.NoDirExists(t, out)
			if name == "rlhf" {
				return
			}
			log := filepath.Join(t.TempDir(), "log")
			text := mustRun(t, append(args, "--set", "output="+out, "--set", "log="+log, "--resume")...)
			assert.Contains(t, text, fmt.Sprintf("%s has no lines of %s from step 1 to 1", log, name))
			mustRun(t, append(args, "--set", "output="+whole)...)
			sameFolders(t, whole, out)
		})
	}
}
