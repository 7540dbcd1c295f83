package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/yamlconf"
	"github.com/tame-rlhf/tame/pkg/data"
)

// TestMain is the command itself when a test starts it as a process of its own.
func TestMain(m *testing.M) {
	if os.Getenv("TAME_TEST_MAIN") != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// process is the command as a process of its own.
func process(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "TAME_TEST_MAIN=1")
	return cmd
}

// words are questions and answers that the tiny tokenizer knows.
var words = []string{"the cat", "the dog", "a mat", "a log", "the cat sat", "a dog sat", "the mat", "the log", "on a mat", "on a log"}

// conversations writes a dataset of n short dialogues.
func conversations(t *testing.T, n int) string {
	t.Helper()
	rows := make([]data.Conversation, n)
	for i := range rows {
		rows[i].Messages = []data.Message{
			{Role: data.User, Content: words[i%len(words)]},
			{Role: data.Assistant, Content: words[(3*i+1)%len(words)]},
			{Role: data.User, Content: fmt.Sprint(words[(7*i)%len(words)], " ", i%7)},
			{Role: data.Assistant, Content: words[(i+2)%len(words)]},
		}
	}
	path := filepath.Join(t.TempDir(), "conversations.arrow")
	require.NoError(t, data.Write(path, rows, data.Lineage{Stage: "import test"}))
	return path
}

// yamlFile writes a configuration.
func yamlFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o666))
	return path
}

// A log without a folder to write it into is reported before any work.
func TestLogIsCheckedFirst(t *testing.T) {
	out := filepath.Join(t.TempDir(), "chat")
	_, err := tame(t, "", "sft", "--config", yamlFile(t, sftYAML(t)), "--set", "output="+out, "--set", "log="+filepath.Join(out, "no", "log.jsonl"))
	assert.EqualError(t, err, filepath.Join(out, "no", "log.jsonl")+" and "+out+": an output cannot be inside another one")
	assert.NoDirExists(t, out)
}

// A list with a wrong value gives one complaint, not a second one about its default.
func TestListWithAWrongValue(t *testing.T) {
	_, err := tame(t, "", "reject", "--config", yamlFile(t, "temperatures: [1, x]"))
	assert.ErrorContains(t, err, `temperatures[1] is "x", want a number`)
	assert.NotContains(t, err.Error(), "positive")
	_, err = tame(t, "", "rlhf", "--config", yamlFile(t, "pair_temperatures: [1, x]"))
	assert.ErrorContains(t, err, `pair_temperatures[1] is "x", want a number`)
	assert.NotContains(t, err.Error(), "values")
	_, err = tame(t, "", "sft", "--config", yamlFile(t, "lr_factors: [embed]"))
	assert.ErrorContains(t, err, "want PATTERN=FACTOR")
	assert.NotContains(t, err.Error(), "want a pattern of names")
}

// Evaluations while training show in the log, and a run that is stopped by patience says so.
func TestSFTEvaluates(t *testing.T) {
	dir := t.TempDir()
	config, log := yamlFile(t, sftYAML(t)), filepath.Join(dir, "log.jsonl")
	text := mustRun(t, "sft", "--config", config, "--set", "output="+filepath.Join(dir, "chat"), "--set", "log="+log, "--set", "eval_every=2",
		"--set", "patience=1", "--set", "epochs=40", "--set", "frozen=[embed, norm]", "--set", "lr_factors=[layers.0.*=0.5]")
	assert.Contains(t, text, "stopped early: no better evaluation in 1")
	assert.Regexp(t, `the weights are those after step \d+, the best on what is held out: loss (\d\.\d+)`, text)
	assert.Regexp(t, `held out: \d+ rows, loss (\d\.\d+) before and (\d\.\d+) after`, text)
	lines, err := os.ReadFile(log)
	require.NoError(t, err)
	assert.Contains(t, string(lines), `"eval/loss":`)
	assert.Contains(t, string(lines), `"eval/mean_token_accuracy":`)

	// Other data to evaluate on, instead of a share.
	text = mustRun(t, "sft", "--config", config, "--set", "output="+filepath.Join(dir, "chat2"), "--set", "held_out=0", "--set", "held_out_data="+conversations(t, 5))
	assert.Contains(t, text, "held out: 5 rows, loss ")
}

// sameFolders compares two results file by file.
func sameFolders(t *testing.T, want, got string) {
	t.Helper()
	for _, dir := range []string{want, got} {
		require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			name, err := filepath.Rel(dir, path)
			if err == nil {
				assert.Equal(t, fingerprint(t, filepath.Join(want, name)), fingerprint(t, filepath.Join(got, name)), name)
			}
			return err
		}))
	}
}

// fingerprint names the content of a file or folder.
func fingerprint(t *testing.T, path string) string {
	t.Helper()
	print, err := data.Fingerprint(t.Context(), path)
	require.NoError(t, err)
	return print
}

// run is tame for commands that have to succeed; it gives all that they wrote.
func mustRun(t *testing.T, args ...string) string {
	t.Helper()
	lines, err := tame(t, "", args...)
	require.NoError(t, err, strings.Join(lines, "\n"))
	return strings.Join(lines, "\n")
}

func sftYAML(t *testing.T) string {
	return fmt.Sprintf(`
model: %s
data: %s
epochs: 2
batch_size: 4
micro_tokens: 256
micro_segments: 8
held_out: 0.3
checkpoint_every: 1
optim: {learning_rate: 1e-2}
`, policyModel(t), conversations(t, 24))
}

func TestSFT(t *testing.T) {
	dir := t.TempDir()
	config, out, log := yamlFile(t, sftYAML(t)), filepath.Join(dir, "chat"), filepath.Join(dir, "log.jsonl")
	text := mustRun(t, "sft", "--config", config, "--set", "output="+out, "--set", "log="+log)
	assert.Regexp(t, `\d+ steps on \d+ examples, \d+ tokens; loss of the last step \d`, text)
	assert.Regexp(t, `held out: \d+ rows, loss (\d\.\d+) before and (\d\.\d+) after`, text)
	assert.Contains(t, text, out+" is written")
	for _, name := range []string{"config.json", "model.safetensors", "tokenizer.model", "lineage.json", "evaluation.json"} {
		assert.FileExists(t, filepath.Join(out, name))
	}
	assert.NoDirExists(t, out+".checkpoint")
	lines, err := os.ReadFile(log)
	require.NoError(t, err)
	assert.Contains(t, string(lines), `"stage":"sft","step":1,`)
	l, err := data.ReadLineage(out)
	require.NoError(t, err)
	assert.Equal(t, "sft", l.Stage)
	assert.Contains(t, string(l.Config), `"learning_rate":0.01`)
	assert.NotContains(t, string(l.Config), dir, "no places")
	require.Len(t, l.Inputs, 2)
	assert.Equal(t, "conversations.arrow", l.Inputs[1].Name)

	// The result is there: the same command says so, another one refuses, and so does one without --resume.
	killed := filepath.Join(dir, "killed.jsonl") // a log without a line, of a run that was killed after it had written the result
	require.NoError(t, os.WriteFile(killed, nil, 0o644))
	text = mustRun(t, "sft", "--config", config, "--set", "output="+out, "--set", "log="+killed, "--resume")
	assert.Contains(t, text, "is finished already")
	assert.NoFileExists(t, killed)
	_, err = tame(t, "", "sft", "--config", config, "--set", "output="+out)
	assert.ErrorContains(t, err, out+" already exists: delete it, or give another output")
	_, err = tame(t, "", "sft", "--config", config, "--set", "output="+out, "--set", "epochs=3", "--resume")
	assert.ErrorContains(t, err, "belongs to another run (config field epochs was 2 and is 3)")

	// Samples are taken as they are, and the same run elsewhere gives the same bytes.
	again := filepath.Join(t.TempDir(), "chat")
	mustRun(t, "sft", "--config", config, "--set", "output="+again, "--set", "checkpoint_every=100")
	sameFolders(t, out, again)
}

func TestErrorsNameFieldAndLine(t *testing.T) {
	config := yamlFile(t, "model: m\nepochs: 0\noptim:\n  learning_ratee: 1\n")
	_, err := tame(t, "", "sft", "--config", config)
	assert.EqualError(t, err, config+`:4: unknown key "learning_ratee" in optim, did you mean learning_rate?`+"\n"+
		config+": missing data, output: write it there, or give --set data=VALUE\n"+
		config+":1: model is \"m\": there is no such file or folder\n"+config+":2: epochs is 0, want at least 1")

	config = yamlFile(t, "model: m\nepochs: 0\noptim:\n  learning_rate: -1\n")
	_, err = tame(t, "", "sft", "--config", config, "--set", "held_out=2")
	for _, want := range []string{
		config + ": missing data, output: write it there, or give --set data=VALUE",
		config + ":2: epochs is 0, want at least 1",
		config + ":4: optim.learning_rate is -1, want",
		"--set held_out=2: held_out is 2, want a share in [0, 1)",
	} {
		assert.ErrorContains(t, err, want)
	}
	config = yamlFile(t, "optim: {learning_rate: 1}\ncritic_optim:\n  learning_rate: -1\n")
	_, err = tame(t, "", "ppo", "--config", config)
	assert.ErrorContains(t, err, config+":3: critic_optim.learning_rate is -1, want", "of two keys of that name")
	config = yamlFile(t, "fine_tune:\n  batch_size: 8\n  optim: {learning_rate: 1}\nhelpfulness:\n  batch_size: 8\nsafety:\n  batch_size: 0\n  optim:\n    learning_rate: -1\n")
	_, err = tame(t, "", "rlhf", "--config", config)
	assert.ErrorContains(t, err, config+":7: safety.batch_size is 0, want at least 1", "of three keys of that name")
	assert.ErrorContains(t, err, config+":9: safety.optim.learning_rate is -1, want")
	_, err = tame(t, "", "sft", "--config", filepath.Join(t.TempDir(), "none.yaml"))
	assert.ErrorIs(t, err, os.ErrNotExist)

	args := []string{"sft", "--set", "output=" + filepath.Join(t.TempDir(), "o")}
	_, err = tame(t, "", append(args, "--set", "model=nowhere", "--set", "data=[x.arrow, y.arrow]")...)
	for _, name := range []string{"nowhere", "x.arrow", "y.arrow"} {
		assert.ErrorContains(t, err, ` is "`+name+`": there is no such file or folder`)
	}
	tagged := filepath.Join(t.TempDir(), "tagged.arrow")
	rows := []data.Conversation{{Messages: []data.Message{{Role: data.User, Content: "[INST]"}, {Role: data.Assistant, Content: "x"}}}}
	require.NoError(t, data.Write(tagged, rows, data.Lineage{}))
	_, err = tame(t, "", append(args, "--set", "model="+policyModel(t), "--set", "data="+tagged)...)
	assert.ErrorContains(t, err, tagged+": row 0: data: message contains a tag of the chat format")
	assert.ErrorIs(t, err, data.ErrTag)
	_, err = tame(t, "", append(args, "--set", "model="+policyModel(t), "--set", "data="+preferences(t, 1, 1))...)
	assert.ErrorContains(t, err, "holds preference v1 rows, want conversation v1")
	jsonl := filepath.Join(t.TempDir(), "talks.jsonl.gz")
	require.NoError(t, os.WriteFile(jsonl, nil, 0o666))
	_, err = tame(t, "", append(args, "--set", "model="+policyModel(t), "--set", "data="+jsonl)...)
	assert.ErrorContains(t, err, jsonl+" is no Arrow dataset: importer: "+jsonl+": there are no rows in it")
}

// What --print-config prints is complete and is the default.
func TestPrintedConfigs(t *testing.T) {
	check := func(name string, printed func(t *testing.T, text string)) {
		t.Run(name, func(t *testing.T) { printed(t, mustRun(t, name, "--print-config")) })
	}
	check("sft", func(t *testing.T, text string) { checkPrinted(t, sftStage(), text) })
	check("reward", func(t *testing.T, text string) { checkPrinted(t, rewardStage(), text) })
	check("reject", func(t *testing.T, text string) { checkPrinted(t, rejectStage(), text) })
	check("ppo", func(t *testing.T, text string) { checkPrinted(t, ppoStage(), text) })
	check("gatt", func(t *testing.T, text string) { checkPrinted(t, gattStage(), text) })
	check("distill", func(t *testing.T, text string) { checkPrinted(t, distillStage(), text) })
	check("rlhf", func(t *testing.T, text string) {
		checkPrinted(t, rlhfStage(), text)
		assert.Contains(t, text, "sampling, such as max_new_tokens and top_p, are those of the answers", "what else the settings of rejection steer")
	})
	check("pretrain", func(t *testing.T, text string) { checkPrinted(t, pretrainStage(), text) })
}

func checkPrinted[C any](t *testing.T, s stage[C], text string) {
	cfg := s.defaults()
	_, err := yamlconf.Parse("printed", []byte(text), &cfg)
	require.NoError(t, err)
	assert.Equal(t, s.defaults(), cfg)
	// The comment of a key stands above it, or above the key before and names both.
	comment, above := "", false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "#") && above:
			comment += line
		case strings.HasPrefix(line, "#"):
			comment, above = line, true
		case line != "":
			key, _, _ := strings.Cut(line, ":")
			assert.True(t, above || strings.Contains(comment, key), "%s has no comment", key)
			above = false
		}
	}
	assert.NoError(t, s.checked(&cfg), "the defaults make sense")
}

// Ctrl-C stops between two steps, keeps them, and says how to go on.
func TestCtrlC(t *testing.T) {
	config, out := yamlFile(t, sftYAML(t)), filepath.Join(t.TempDir(), "chat")
	log := filepath.Join(t.TempDir(), "log.jsonl")
	args := []string{"sft", "--config", config, "--set", "output=" + out, "--set", "epochs=100000", "--set", "log=" + log}
	cmd := process(args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool { return fileSize(log) > 0 }, 10*time.Second, 5*time.Millisecond)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit)
	assert.Equal(t, 130, exit.ExitCode())
	assert.Contains(t, stderr.String(), "tame: stopped; go on with: tame "+strings.Join(args, " ")+" --resume")
	assert.DirExists(t, out+".checkpoint")
	assert.NoDirExists(t, out)
}

func TestStoppedBeforeAnythingWasKept(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	root := rootCommand()
	out := filepath.Join(t.TempDir(), "a chat")
	root.SetArgs([]string{"sft", "--config", yamlFile(t, sftYAML(t)), "--set", "output=" + out})
	err := root.ExecuteContext(ctx)
	var stopped *stoppedError
	require.True(t, errors.As(err, &stopped), "%v", err)
	mustRun(t, cutOut(t, `^stopped before there was anything to keep; start again with: tame (.*)$`, err.Error())...)
	assert.FileExists(t, filepath.Join(out, "config.json"))
}

// The log of a run that was killed has every step once, in order.
func TestLogOfAKilledRun(t *testing.T) {
	config, dir := yamlFile(t, sftYAML(t)), t.TempDir()
	log := filepath.Join(dir, "log.jsonl")
	args := []string{"sft", "--config", config, "--set", "output=" + filepath.Join(dir, "chat"), "--set", "log=" + log, "--set", "checkpoint_every=7", "--set", "epochs=30", "--resume"}
	cmd := process(args...)
	require.NoError(t, cmd.Start())
	steps := func() int {
		raw, _ := os.ReadFile(log)
		return bytes.Count(raw, []byte("\n"))
	}
	require.Eventually(t, func() bool { return steps() > 10 }, 10*time.Second, time.Millisecond)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait() // killed
	require.Less(t, steps(), 30*5, "killed before the end")
	mustRun(t, args...)
	raw, err := os.ReadFile(log)
	require.NoError(t, err)
	n := 0
	for line := range bytes.Lines(raw) {
		n++
		assert.Contains(t, string(line), fmt.Sprintf(`"step":%d,`, n))
	}
	assert.Greater(t, n, 10)
}

// A warm-up that is longer than the run is told of, with both numbers.
func TestLongWarmup(t *testing.T) {
	config := yamlFile(t, sftYAML(t))
	const warning = "want less than the 6 steps of the run" // 24 rows in batches of 4
	for warmup, want := range map[string]bool{"warmup_steps=5": false, "warmup_steps=7": true} {
		text := mustRun(t, "sft", "--config", config, "--set", "output="+filepath.Join(t.TempDir(), "chat"), "--set", "held_out=0", "--set", "epochs=1", "--set", warmup)
		assert.Equal(t, want, strings.Contains(text, "warning: warmup_steps is 7, "+warning), text)
	}
}

// A stopped run that is resumed with other settings is refused with their names, also those that the
// stage's library does not know.
func TestResumeNamesTheDifference(t *testing.T) {
	out := filepath.Join(t.TempDir(), "chat")
	args := []string{"sft", "--config", yamlFile(t, sftYAML(t)), "--set", "output=" + out, "--set", "log=" + out + ".log", "--set", "epochs=100000"}
	cmd := process(args...)
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool { there, _ := exists(out + ".checkpoint"); return there }, 10*time.Second, 5*time.Millisecond)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	_ = cmd.Wait() // stopped
	for set, want := range map[string]string{
		"held_out=0.2":  "(config field held_out was 0.3 and is 0.2)",
		"split_seed=5":  "(config field split_seed was 0 and is 5)",
		"held_out=0":    "(config field held_out was 0.3 and is 0)",
		"eval_every=10": "(config field eval_every was 0 and is 10)",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // for a run that is not refused
		root := rootCommand()
		root.SetArgs(append(slices.Clone(args), "--resume", "--set", set))
		err := root.ExecuteContext(ctx)
		cancel()
		assert.ErrorContains(t, err, "chat.checkpoint belongs to another run "+want)
	}
}
