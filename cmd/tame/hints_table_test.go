package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hint is a message that tells a user what to run or to give, and how to see that it is true. The commands are lines of a shell, in a
// folder that hintFolder fills.
type hint struct {
	words string // of the message, as the source has them; %s and the like are what is put in

	wrong string // fails with the message
	says  string // what the message tells to do
	then  string // does it, and succeeds

	by func(t *testing.T) // the test that does all that, where lines of a shell are not enough
}

var hints = []hint{
	{words: "%s --help lists them", wrong: "tame generate --zzzzzz", says: "tame generate --help", then: "tame generate --help"},
	{words: "did you mean --%s?", wrong: "tame data head --row 2 talks.arrow", says: "--rows", then: "tame data head --rows 2 talks.arrow"},
	{words: "give it as --set %s", wrong: "tame sft --config sft.yaml --epochs 1", says: "--set epochs=1", then: "tame sft --config sft.yaml --set epochs=1 --set output=o1"},
	{words: "give the file as --config %s", wrong: "tame sft sft.yaml", says: "--config sft.yaml", then: "tame sft --config sft.yaml --set output=o2"},
	{words: "give a setting as --set %s", wrong: "tame sft --config sft.yaml output=o3", says: "--set output=o3", then: "tame sft --config sft.yaml --set output=o3"},
	{words: "`tame convert data` may know it", wrong: "tame data head other.arrow", says: "tame convert data", then: "tame convert data other.arrow o0.arrow --as alpaca"},
	{words: "change --share, which is %v", wrong: "tame data split --share 0 talks.arrow a.arrow b.arrow", says: "change --share", then: "tame data split --share 0.5 talks.arrow a.arrow b.arrow"},
	{words: "give --near too, such as --near 0.8", wrong: "tame data dedup --words 3 talks.arrow d.arrow", says: "--near 0.8", then: "tame data dedup --words 3 --near 0.8 talks.arrow d.arrow"},
	{words: "give --helpfulness and --safety", wrong: "tame evaluate --model judge --data talks.arrow --safety-threshold 0.2", says: "--helpfulness and --safety",
		then: "tame evaluate --helpfulness judge --safety judge --data talks.arrow --safety-threshold 0.2"},
	{words: "give --model, or both --helpfulness and --safety", wrong: "tame evaluate --data talks.arrow", says: "--model", then: "tame evaluate --data talks.arrow --model chat"},
	{words: "Start another run with\n  --set calibration.method=quantile", by: TestContradictionIsMended},
	{words: "`tame convert data` makes %s rows of it", by: TestConversionHintsWork},
	{words: "`tame convert data --help` lists them", by: TestConversionHintsWork},
	{words: "--n is %d, want 1 to %d completions a line", by: TestGenerateLimitsItsLines},
	{words: "tame verify chat reward base.gguf", by: TestVerify},
	{words: "iconv -f ", by: TestConversionHintsWork}, // TestForeignReasons of pkg/importer runs those for other encodings
	{words: "name one with --tokenizer", wrong: `echo '{"prompt": "the cat"}' | tame generate --model m.bin`, says: "--tokenizer",
		then: `echo '{"prompt": "the cat"}' | tame generate --model m.bin --tokenizer m.tokenizer.model`},
	{words: "resume it with --resume", wrong: "mkdir o5.checkpoint; tame sft --config sft.yaml --set output=o5", says: "--resume",
		then: "tame sft --config sft.yaml --set output=o5 --resume"},
	{words: "give kind: %v, or mix: false", wrong: "tame reward $REWARD --set kind=safety --set output=o7", says: "kind: helpfulness, or mix: false",
		then: "tame reward $REWARD --set kind=helpfulness --set output=o7 && tame reward $REWARD --set kind=safety --set mix=false --set output=o8"},
	{words: "write it there, or give --set %s=VALUE", wrong: "tame sft --set model=chat --set output=o9", says: "--set data=VALUE", then: "tame sft --config sft.yaml --set output=o9 --set data=talks.arrow"},
	{words: "want key=value, such as optim.learning_rate=1e-4", wrong: "tame sft --config sft.yaml --set epochs", says: "optim.learning_rate=1e-4",
		then: "tame sft --config sft.yaml --set output=o10 --set optim.learning_rate=1e-4"},
	{words: "name one by tokenizer: FILE", wrong: "tame sft --config sft.yaml --set model=m.bin", says: "tokenizer: FILE",
		then: "tame sft --config sft.yaml --set output=o11 --set model=m.bin --set tokenizer=m.tokenizer.model"},
	{words: "all %d prompts are held out: lower held_out", wrong: "tame ppo $PPO --set held_out=0.9999 --set output=o12", says: "lower held_out",
		then: "tame ppo $PPO --set held_out=0.2 --set output=o12"},
	{words: "in a context of %d: lower max_new_tokens", wrong: "tame reject $REJECT --set max_new_tokens=64 --set output=o13", says: "lower max_new_tokens",
		then: "tame reject $REJECT --set max_new_tokens=8 --set output=o13"},
	{words: "no prompt has a best answer, because of", by: TestRejectWithoutABestAnswer},
}

// hintFolder fills a folder with a model, a judge, datasets and a configuration.
func hintFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	talks, pairs := conversations(t, 24), preferences(t, 20, 0)
	chat := chatModel(t)
	for name, text := range map[string]string{
		"sft.yaml":   "model: chat\ndata: talks.arrow\noutput: o\nepochs: 1\nbatch_size: 4\nmicro_tokens: 256\nmicro_segments: 8\n",
		"in.txt":     strings.Repeat("the cat sat on the mat\n", 20),
		"rows.jsonl": strings.Repeat(`{"messages": [{"role": "user", "content": "the cat"}, {"role": "assistant", "content": "sat"}]}`+"\n", 20),
		"tame":       "#!/bin/sh\nTAME_TEST_MAIN=1 exec '" + os.Args[0] + "' \"$@\"\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755))
	}
	mustRun(t, "convert", "model", languageModel(t), filepath.Join(dir, "m.bin"))
	other := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{
		{Name: "instruction", Type: arrow.BinaryTypes.String}, {Name: "output", Type: arrow.BinaryTypes.String},
	}, nil))
	defer other.Release()
	other.Field(0).(*array.StringBuilder).Append("the cat")
	other.Field(1).(*array.StringBuilder).Append("sat")
	record := other.NewRecord()
	defer record.Release()
	file, err := os.Create(filepath.Join(dir, "other.arrow"))
	require.NoError(t, err)
	w, err := ipc.NewFileWriter(file, ipc.WithSchema(record.Schema()))
	require.NoError(t, err)
	require.NoError(t, errors.Join(w.Write(record), w.Close()))
	judge, _ := rewardModel(t, chat, pairs, "helpfulness")
	for name, from := range map[string]string{"chat": chat, "judge": judge, "talks.arrow": talks, "pairs.arrow": pairs} {
		require.NoError(t, os.Rename(from, filepath.Join(dir, name)))
	}
	return dir
}

// Every hint is true: the message comes, and what it says works.
func TestHintsWork(t *testing.T) {
	dir := hintFolder(t)
	sh := func(line string) (string, error) {
		cmd := exec.Command("sh", "-c", line)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"),
			"REWARD=--set model=chat --set data=pairs.arrow --set batch_size=8 --set micro_tokens=256 --set micro_segments=16",
			"REJECT="+strings.Join(rejectArgs("chat", "talks.arrow")[1:], " ")+" --set helpfulness=judge",
			"PPO="+strings.Join(ppoArgs("chat", "talks.arrow")[1:], " ")+" --set helpfulness=judge --set gate=false")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for _, h := range hints {
		if h.by != nil {
			continue
		}
		out, err := sh(h.wrong)
		assert.Error(t, err, h.wrong)
		assert.Contains(t, out, h.says, h.wrong)
		out, err = sh(h.then)
		assert.NoError(t, err, "%s\n%s", h.then, out)
	}
}
