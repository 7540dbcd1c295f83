package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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

	cut string // finds with its first group a line of a shell in the message: it is run before then, as it is printed

	// The test that does all that, where lines of a shell are not enough: of this package, or of another one, as its folder and its name.
	by func(t *testing.T)
	in string

	left string // why nothing does it
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
	{words: "Start another run with\n  --set calibration.method=quantile", by: TestRLHFNamesTheSettings},
	{words: "Set it with\n", by: TestContradictionIsMended},
	{words: "`tame convert data` makes %s rows of it", wrong: "tame sft --config sft.yaml --set data=texts.jsonl --set output=o16", says: "`tame convert data` makes text rows of it", then: "tame convert data texts.jsonl o16.arrow"},
	{words: "`tame convert data --help` lists them, and --as NAME chooses one", wrong: "tame convert data texts.jsonl o14.arrow --as alpaca", cut: "`(tame convert data --help)` lists them",
		says: "--as NAME", then: "tame convert data texts.jsonl o14.arrow --as text"},
	{words: "convert it first: ", wrong: "tame sft --config sft.yaml --set data=rows.jsonl --set output=o15", cut: "convert it first: (tame .*)", then: "tame sft --config sft.yaml --set data=rows.arrow --set output=o15"},
	{words: "--n is %d, want 1 to %d completions a line", by: TestGenerateLimitsItsLines},
	{words: "tame verify chat reward base.gguf pairs.arrow ppo.checkpoint", by: TestVerifyExample},
	{words: "start again with: ", by: TestStoppedBeforeAnythingWasKept},
	{words: "resume it with: ", by: TestResumeHintsWork},
	{words: "go on with: ", by: TestResumeHintsWork},
	{words: "to leave such rows out: ", by: TestBadRowsAreRefused},
	{words: "say template %s (--template ", by: TestTemplateHintWorks},
	{words: "give held_out_data, or another split_seed", by: TestHeldOutHintWorks},
	{words: "set a smaller shape (shape.dim, ", by: TestShapeHintWorks},
	{words: "iconv -f ", in: "pkg/importer TestForeignFiles"},
	{words: "xz -dc", in: "pkg/importer TestForeignFiles"},
	{words: "bzip2 -dc", in: "pkg/importer TestForeignFiles"},
	{words: "gzip -dc", in: "pkg/importer TestForeignFiles"},
	{words: "lz4 -dc", in: "pkg/importer TestForeignFiles"},
	{words: "zstd -dc", in: "pkg/importer TestForeignFiles"},
	{words: "jq -c .", in: "pkg/importer TestForeignFiles"},
	{words: "unpack it with unzip and name", in: "pkg/importer TestForeignArchives"},
	{words: "unpack it with 7z x and name", in: "pkg/importer TestForeignArchives"},
	{words: "unpack it with tar -xf and name", in: "pkg/importer TestForeignArchives"},
	{words: "write it with json.dumps", in: "pkg/importer TestPythonsWayIsMended"},
	{words: "of several dialects: %s: name one", wrong: "tame convert data mixed.jsonl o17.arrow", says: "name one", then: "tame convert data mixed.jsonl o17.arrow --as text"},
	{words: "which no known dialect has: name one of %s", wrong: "tame convert data odd.jsonl o19.arrow", says: "name one of", then: "tame convert data odd.jsonl texts.jsonl o19.arrow --as text"},
	{words: "leave the separator out, or give the text as standard input, which is named %s", wrong: "tame convert data rows.jsonl o20.arrow --separator X", says: "standard input, which is named -",
		then: "tame convert data rows.jsonl o20.arrow && tame convert data - o21.arrow --separator X < rows.jsonl"},
	{words: "give a dataset as FILE.arrow=0.9", wrong: "tame data mix talks.arrow=x o22.arrow", says: "FILE.arrow=0.9", then: "tame data mix talks.arrow=0.9 o22.arrow"},
	{words: "--tokenizer is that of --model: give it too", wrong: "tame data validate talks.arrow --tokenizer m.tokenizer.model", says: "--model: give it too",
		then: "tame data validate talks.arrow --tokenizer m.tokenizer.model --model m.bin"},
	{words: "for preferences give a reward model", wrong: "tame evaluate --model chat --data pairs.arrow", says: "give a reward model", then: "tame evaluate --model judge --data pairs.arrow"},
	{words: "give one of \"prompt\", \"tokens\" and \"messages\"", wrong: "echo '{}' | tame generate --model chat", says: `\"prompt\", \"tokens\" and \"messages\"`,
		then: `(echo '{"prompt": "the cat"}'; echo '{"tokens": [1]}'; echo '{"messages": [{"role": "user", "content": "the cat"}]}') | tame generate --model chat --max-new-tokens 4`},
	{words: "give \"messages\", or all of \"prompt\", \"chosen\" and \"rejected\"", wrong: "echo '{}' | tame score --model judge", says: `or all of \"prompt\"`,
		then: `(echo '{"messages": [{"role": "user", "content": "the cat"}, {"role": "assistant", "content": "a mat"}]}'; echo '{"prompt": "the cat", "chosen": "a mat", "rejected": "a log"}') | tame score --model judge`},
	{words: "give \"text\" or \"messages\", not both", wrong: `echo '{"text": "a", "messages": [{"role": "user", "content": "the cat"}]}' | tame tokenize --tokenizer m.tokenizer.model`,
		says: "not both", then: `(echo '{"text": "a"}'; echo '{"messages": [{"role": "user", "content": "the cat"}]}') | tame tokenize --tokenizer m.tokenizer.model`},
	{words: "%s already exists: delete it, or give another output", wrong: "mkdir o23; tame sft --config sft.yaml --set output=o23", says: "delete it, or give another output",
		then: "tame sft --config sft.yaml --set output=o24; rm -r o23; tame sft --config sft.yaml --set output=o23"},
	{words: "%s already exists: delete it, or give another file", wrong: "echo x > l1; tame sft --config sft.yaml --set output=o25 --set log=l1", says: "delete it, or give another file",
		then: "tame sft --config sft.yaml --set output=o25 --set log=l2 && rm l1 && tame sft --config sft.yaml --set output=o26 --set log=l1"},
	{words: "is not a line of a log: give another file", wrong: "echo x > l3; tame sft --config sft.yaml --set output=o27 --set log=l3 --resume", says: "give another file",
		then: "tame sft --config sft.yaml --set output=o27 --set log=l4 --resume"},
	{words: "belongs to another run (%q, this is %q): give another file", wrong: "tame sft --config sft.yaml --set output=o28 --set log=l5 --set seed=9; tame sft --config sft.yaml --set output=o29 --set log=l5 --resume",
		says: "give another file", then: "tame sft --config sft.yaml --set output=o29 --set log=l6 --resume"},
	{words: "%s already exists: delete it, or give another name", wrong: "echo x > o30.arrow; tame data dedup talks.arrow o30.arrow", says: "delete it, or give another name",
		then: "tame data dedup talks.arrow o31.arrow && rm o30.arrow && tame data dedup talks.arrow o30.arrow"},
	{words: "which cannot be followed: delete the link, or give another name", wrong: "ln -s nowhere/x.arrow o32.arrow; tame data dedup talks.arrow o32.arrow", says: "delete the link, or give another name",
		then: "tame data dedup talks.arrow o33.arrow && rm o32.arrow && tame data dedup talks.arrow o32.arrow"},
	{words: "the folder %s does not exist: make it, or give another name", wrong: "tame data dedup talks.arrow f1/o.arrow", says: "make it, or give another name",
		then: "tame data dedup talks.arrow o34.arrow && mkdir f1 && tame data dedup talks.arrow f1/o.arrow"},
	{words: "0 with Stream: give HeldOutData", wrong: "tame pretrain $PRETRAIN --set held_out=0.2 --set output=o35", says: "give held_out_data",
		then: "tame pretrain $PRETRAIN --set held_out_data=texts.arrow --set output=o35"},
	{words: "give the helpfulness model", by: TestRewardCalibrate},
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
	{words: "another process is writing %s: wait for it, or give another file", by: TestLogOfAnotherRun},
	{words: "if you changed it on purpose, delete %s", by: TestDeletedSumsAreTheWayOut},
	{words: "goes on from OUTPUT.checkpoint when the same command is", by: TestResumeHintsWork},
	{words: "start with the same settings and data, delete it, or give another output", wrong: "tame sft --config sft.yaml --set output=o36; tame sft --config sft.yaml --set output=o36 --set seed=9 --resume",
		says: "delete it, or give another output", then: "tame sft --config sft.yaml --set output=o36 --resume && tame sft --config sft.yaml --set output=o37 --set seed=9 && rm -r o36 && tame sft --config sft.yaml --set output=o36 --set seed=9"},
	{words: "name it \"weight\"", wrong: `echo '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "mask": 1}]}' > w2.jsonl; tame convert data w2.jsonl o38.arrow`,
		says: `name it "weight"`, then: `sed s/mask/weight/ w2.jsonl > w3.jsonl; tame convert data w3.jsonl o38.arrow`},
	{words: "train it with data.Tags as user-defined pieces, or use Llama2Template", in: "pkg/data TestHintsForProgramsWork"},
	{words: "use strings.ToValidUTF8", in: "pkg/data TestHintsForProgramsWork"},
	{words: "such as data.DialogID", in: "pkg/data TestHintsForProgramsWork"},
	{words: "use DialogID", in: "pkg/data TestHintsForProgramsWork"},
	{words: "the inputs %v: convert them with Params.As", in: "pkg/model TestTrunkRefuses"},
	{words: "convert them with Params.As", in: "pkg/generate TestRefuses"},
	{words: "remove it with Params.Drop", in: "pkg/model TestFurtherWeights"},
	{words: "or lower MaxNewTokens", in: "pkg/generate TestTooManyAnswersHintWorks"},
	{words: "or set Config.SharedTrunk", in: "pkg/ppo TestNewRefuses"},
	{words: "the critic's context is %d: lower Config.MaxNewTokens", in: "pkg/ppo TestNewRefuses"},
	{words: "or a lower CharacterCoverage", in: "pkg/tokenizer TestCoverageHintWorks"},
	{words: "AutoTokenizer.from_pretrained(DIR).save_pretrained(NEW)", in: "pkg/tokenizer TestSavePretrainedHintsWork"},

	{words: "fetch it with git lfs pull", left: "wants a server that has the data"},
	{words: "peft: model.merge_and_unload().save_pretrained(DIR)", left: "wants peft"},
	{words: "save the model itself again (model.save_pretrained)", in: "pkg/model TestPythonHintsWork"},
	{words: "export it again with --version 0", left: "is an option of llama2.c's export.py"},
	{words: "save it again after flatten_indices()", left: "wants datasets of Hugging Face"},
	{words: "save it with .contiguous()", in: "pkg/model TestPythonHintsWork"},
	{words: "is a folder of several datasets: name one of them", left: "TestSaved reads a folder of one dataset, but not one that the message names"},
	{words: "give the separator between documents, or cut it", left: "a document of that size takes too long"},
	{words: "the words have more than %d characters together; lower MaxWords", left: "takes 2 GiB of words"},
	{words: "is malformed: make it with data.NewRagged", left: "all tests make batches with it"},
	{words: "lower MicroTokens, set Recompute, freeze weights (Frozen)", left: "is tried at no memory limit here"},
	{words: "raise Rejection.MaxNewTokens", left: "the command's message is tried (TestRejectWithoutABestAnswer), the package's is not"},
	{words: "raise MaxNewTokens (%d), or train the model", left: "the command's message is tried (TestRejectWithoutABestAnswer), the package's is not"},
	{words: "such as optim.DefaultAdamW()", left: "all tests of training do it"},
	{words: "such as optim.Constant{Peak: 1e-5}", left: "all tests of training do it"},
	{words: "give what shall be trained as Settings.ExtraWeights", left: "the tests of pkg/train train some, none from the message"},
	{words: "%s already exists: give another name", left: "of a function that writes a folder: any other name"},
	{words: "no prompt has a best answer, because of", by: TestRejectWithoutABestAnswer},
}

// hintFolder fills a folder with a model, a judge, datasets and a configuration.
func hintFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	talks, pairs := conversations(t, 24), preferences(t, 20, 0)
	chat := chatModel(t)
	for name, text := range map[string]string{
		"sft.yaml":    "model: chat\ndata: talks.arrow\noutput: o\nepochs: 1\nbatch_size: 4\nmicro_tokens: 256\nmicro_segments: 8\n",
		"in.txt":      strings.Repeat("the cat sat on the mat\n", 20),
		"texts.jsonl": strings.Repeat(`{"text": "the cat sat"}`+"\n", 20),
		"mixed.jsonl": strings.Repeat(`{"text": "the cat"}`+"\n"+`{"prompt": "the cat"}`+"\n", 3),
		"empty.jsonl": "1\n[]\n",
		"odd.jsonl":   `{"x": 1, "y": 2}` + "\n",
		"rows.jsonl":  strings.Repeat(`{"messages": [{"role": "user", "content": "the cat"}, {"role": "assistant", "content": "sat"}]}`+"\n", 20),
		"tame":        "#!/bin/sh\nTAME_TEST_MAIN=1 exec '" + os.Args[0] + "' \"$@\"\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755))
	}
	mustRun(t, "convert", "model", languageModel(t), filepath.Join(dir, "m.bin"))
	mustRun(t, "convert", "data", filepath.Join(dir, "texts.jsonl"), filepath.Join(dir, "texts.arrow"))
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
			"PRETRAIN=--set model=chat --set data=texts.arrow --set stream=true --set steps=2 --set batch_tokens=64 --set micro_tokens=64 --set micro_segments=4",
			"REWARD=--set model=chat --set data=pairs.arrow --set batch_size=8 --set micro_tokens=256 --set micro_segments=16",
			"REJECT="+strings.Join(rejectArgs("chat", "talks.arrow")[1:], " ")+" --set helpfulness=judge",
			"PPO="+strings.Join(ppoArgs("chat", "talks.arrow")[1:], " ")+" --set helpfulness=judge --set gate=false")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for _, h := range hints {
		if h.by != nil || h.in != "" || h.left != "" {
			continue
		}
		out, err := sh(h.wrong)
		assert.Error(t, err, h.wrong)
		assert.Contains(t, out, h.says, h.wrong)
		if h.cut != "" {
			found := regexp.MustCompile("(?m)" + h.cut).FindStringSubmatch(out)
			require.Len(t, found, 2, "%s\n%s", h.wrong, out)
			out, err = sh(found[1])
			require.NoError(t, err, "%s\n%s", found[1], out)
		}
		out, err = sh(h.then)
		assert.NoError(t, err, "%s\n%s", h.then, out)
	}
}
