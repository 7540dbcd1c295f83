package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/pty"
	"github.com/tame-rlhf/tame/pkg/importer"
)

// quickStages are small runs of all stages, without their output.
func quickStages(t *testing.T) map[string][]string {
	t.Helper()
	chat, talks, pairs := chatModel(t), conversations(t, 40), preferences(t, 40, 40)
	helpfulness, _ := rewardModel(t, chat, pairs, "helpfulness")
	safety, _ := rewardModel(t, chat, pairs, "safety", "--set", "seed=3")
	budget := []string{"--set", "fine_tune.micro_tokens=256", "--set", "fine_tune.micro_segments=16", "--set", "fine_tune.batch_size=8", "--set", "max_new_tokens=8"}
	judges := []string{"--set", "helpfulness=" + helpfulness, "--set", "safety=" + safety}
	texts := file(t, "texts.txt", strings.Repeat("the cat sat on the mat and the dog sat on the log"+importer.DefaultSeparator, 300))
	return map[string][]string{
		"pretrain": {"pretrain", "--set", "data=" + texts, "--set", "vocab_size=285", "--set", "steps=20", "--set", "warmup_steps=2", "--set",
			"shape={dim: 16, num_layers: 1, num_heads: 2, num_kv_heads: 1, head_dim: 8, hidden_dim: 32, max_seq_len: 64}", "--set", "batch_tokens=128",
			"--set", "micro_tokens=128", "--set", "micro_segments=8"},
		"sft": {"sft", "--config", yamlFile(t, sftYAML(t))},
		"reward": {"reward", "--set", "model=" + chat, "--set", "data=" + pairs, "--set", "kind=safety", "--set", "batch_size=8",
			"--set", "micro_tokens=256", "--set", "micro_segments=16"},
		"reject": append(rejectArgs(chat, talks), judges...),
		"ppo":    append(append(ppoArgs(chat, talks), judges...), "--set", "iterations=3"),
		"gatt":   append([]string{"gatt", "--set", "model=" + chat, "--set", "data=" + talks, "--set", "instructions=[the dog, a log]"}, budget...),
		"distill": append([]string{"distill", "--set", "model=" + chat, "--set", "safety=" + safety, "--set", "data=" + talks, "--set", "pre_prompts=[the cat]"},
			budget...),
		"rlhf": rlhfArgs(chat, talks, pairs, helpfulness, safety),
	}
}

// Every stage tells what it does from its first moment on, in any width of the terminal, and into a file.
func TestStagesOnATerminal(t *testing.T) {
	for name, args := range quickStages(t) {
		for _, columns := range []int{40, 80, 130} {
			t.Run(fmt.Sprint(name, columns), func(t *testing.T) {
				term := pty.New(t, columns)
				cmd := process(append(args, "--set", "output="+filepath.Join("o", name))...) // a short name, which no message wraps
				cmd.Dir = t.TempDir()
				cmd.Stderr = term.File
				err := cmd.Run()
				term.Close()
				require.NoError(t, err, strings.Join(term.Lines(), "\n"))
				assert.Equal(t, name+": output o/"+name, term.Lines()[0])
				for _, phase := range []string{"hashing the inputs", "reading the data"} {
					assert.Contains(t, term.Raw(), phase)
				}
				for frame := range strings.SplitSeq(strings.ReplaceAll(term.Raw(), "\r\n", "\n"), "\x1b[K") {
					frame, _, _ = strings.Cut(frame, "\r")
					if strings.Contains(frame, "\n") { // a message may take two lines
						continue
					}
					assert.Less(t, len(frame), columns, "%q", frame)
				}
				assert.NotContains(t, strings.Join(term.Lines(), ""), "�")
			})
		}
		t.Run(name+" into a file", func(t *testing.T) {
			cmd := process(append(args, "--set", "output="+filepath.Join(t.TempDir(), "o"))...)
			stderr, err := cmd.StderrPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			all, err := io.ReadAll(stderr)
			require.NoError(t, err)
			require.NoError(t, cmd.Wait())
			assert.Regexp(t, "^"+name+": output .*/o\n", string(all))
			assert.NotRegexp(t, regexp.MustCompile(`[\r\x1b]`), string(all))
		})
	}
}

// SIGTERM and SIGHUP stop a stage as Ctrl-C does: it keeps what it did, says how to go on, and ends with 128 and the signal.
func TestSignalsStopEveryStage(t *testing.T) {
	signals := []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT}
	if signal.Ignored(syscall.SIGHUP) { // by the nohup that the tests run under
		signals = slices.DeleteFunc(signals, func(s syscall.Signal) bool { return s == syscall.SIGHUP })
	}
	n := 0
	for name, args := range quickStages(t) {
		s := signals[n%len(signals)]
		n++
		t.Run(fmt.Sprint(name, " ", s), func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "o")
			args := append(args, "--set", "output="+out)
			longer := map[string]string{
				"pretrain": "steps=100000", "sft": "epochs=100000", "reward": "epochs=100000", "ppo": "iterations=100000", "gatt": "fine_tune.epochs=100000",
				"distill": "fine_tune.epochs=100000", "reject": "samples=3000", "rlhf": "fine_tune.epochs=100000",
			}
			args = append(args, "--set", longer[name])
			cmd := process(args...)
			stderr, err := cmd.StderrPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			lines, seen := bufio.NewReader(stderr), ""
			for !regexp.MustCompile(` +0/\d+\n$`).MatchString(seen) { // a task has begun
				line, err := lines.ReadString('\n')
				seen += line
				require.NoError(t, err, seen)
			}
			if name == "ppo" { // of an iteration that is not finished nothing is kept
				require.Eventually(t, func() bool { there, _ := exists(out + ".checkpoint"); return there }, time.Minute, 10*time.Millisecond)
			}
			require.NoError(t, cmd.Process.Signal(s))
			if s == syscall.SIGHUP { // comes twice when a terminal is closed
				require.NoError(t, cmd.Process.Signal(s))
			}
			rest, err := io.ReadAll(lines)
			require.NoError(t, err)
			_ = cmd.Wait()
			assert.Equal(t, 128+int(s), cmd.ProcessState.ExitCode(), string(rest))
			assert.Contains(t, string(rest), "tame: stopped; go on with: tame "+name)
			assert.DirExists(t, out+".checkpoint")
		})
	}
}

// Under nohup SIGHUP does nothing.
func TestNohup(t *testing.T) {
	nohup, err := exec.LookPath("nohup")
	if err != nil {
		t.Skip("no nohup here")
	}
	cmd := process("tokenize", "--tokenizer", filepath.Join(tinyModel(t), tokenizerFile))
	cmd.Path, cmd.Args = nohup, append([]string{"nohup"}, cmd.Args...)
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	answer := make([]byte, 1)
	for range 2 {
		_, err = io.WriteString(stdin, `{"text": "a"}`+"\n")
		require.NoError(t, err)
		_, err = io.ReadFull(stdout, answer)
		require.NoError(t, err)
		require.NoError(t, cmd.Process.Signal(syscall.SIGHUP))
	}
	require.NoError(t, stdin.Close())
	_, err = io.Copy(io.Discard, stdout)
	require.NoError(t, err)
	assert.NoError(t, cmd.Wait())
}

// Commands that wait for standard input, from a pipe or a terminal, stop at the first Ctrl-C.
func TestWaitingForInputStops(t *testing.T) {
	model := tinyModel(t)
	for _, args := range [][]string{
		{"tokenize", "--tokenizer", filepath.Join(model, tokenizerFile)}, {"generate", "--model", policyModel(t)}, {"logprobs", "--model", model},
		{"score", "--model", model}, {"convert", "data", "-", "out.arrow"}, {"tokenizer", "train", "--vocab-size", "270", "-", "out.model"},
	} {
		t.Run(args[0], func(t *testing.T) {
			term := pty.New(t, 80)
			cmd := process(args...)
			cmd.Dir = t.TempDir()
			pipe, err := cmd.StdinPipe()
			require.NoError(t, err)
			defer pipe.Close()
			cmd.Stderr = term.File
			stopsAtSignal(t, cmd, term, func() { require.NoError(t, cmd.Process.Signal(os.Interrupt)) })
		})
		t.Run(args[0]+" on a terminal", func(t *testing.T) {
			term := pty.New(t, 80)
			cmd := process(args...)
			cmd.Dir = t.TempDir()
			cmd.Stdin, cmd.Stderr = term.File, term.File
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
			stopsAtSignal(t, cmd, term, func() { require.NoError(t, term.Type("\x03")) })
		})
	}
}

// stopsAtSignal wants a command that waits to end when it is stopped, and to leave nothing.
func stopsAtSignal(t *testing.T, cmd *exec.Cmd, term *pty.Terminal, stop func()) {
	t.Helper()
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	time.Sleep(700 * time.Millisecond) // until it waits
	stop()
	select {
	case <-ended:
		assert.Equal(t, 130, cmd.ProcessState.ExitCode())
	case <-time.After(10 * time.Second):
		_ = cmd.Process.Kill()
		t.Fatal("it goes on")
	}
	term.Close()
	assert.Contains(t, strings.Join(term.Lines(), "\n"), "tame: stopped")
	left, err := os.ReadDir(cmd.Dir)
	require.NoError(t, err)
	assert.Empty(t, left)
}

// The long tools say what they do while they do it.
func TestToolsOnATerminal(t *testing.T) {
	model, talks := languageModel(t), conversations(t, 30)
	rows := file(t, "rows.jsonl", strings.Repeat(`{"prompt": "the cat", "response": "sat"}`+"\n", 10))
	texts := file(t, "texts.txt", strings.Repeat("the cat sat on the mat\n", 50))
	for want, args := range map[string][]string{
		"looking at the first rows": {"convert", "data", rows, "OUT.arrow"},
		"loading ":                  {"convert", "model", model, "OUT"},
		"training a tokenizer":      {"tokenizer", "train", "--vocab-size", "280", texts, "OUT.model"},
		"hashing the inputs":        {"data", "dedup", talks, "OUT.arrow"},
		"measuring":                 {"evaluate", "--model", model, "--data", talks},
	} {
		term := pty.New(t, 80)
		for i, arg := range args {
			args[i] = strings.Replace(arg, "OUT", filepath.Join(t.TempDir(), "o"), 1)
		}
		cmd := process(args...)
		cmd.Stderr = term.File
		err := cmd.Run()
		term.Close()
		require.NoError(t, err, strings.Join(term.Lines(), "\n"))
		assert.Contains(t, term.Raw(), want)
	}
}
