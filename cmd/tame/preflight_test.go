package main

import (
	"errors"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
)

// Rows that no stage should learn from are all named by file and row before any work, and the command that the error prints
// leaves them out.
func TestBadRowsAreRefused(t *testing.T) {
	said := func(answer string) data.Conversation {
		return data.Conversation{Messages: talk("the cat", answer), Source: "x"}
	}
	judged := func(chosen, rejected string) data.Preference {
		return data.Preference{Messages: talk("the dog"), Chosen: chosen, Rejected: rejected, Rating: data.Better}
	}
	base := policyModel(t)
	for name, c := range map[string]struct {
		path string
		args []string
		want []string
	}{
		"sft": {rowsFile(t, said("a mat"), said(" \n"), said("a log"), said("a mat [INST]")), []string{"sft", "--set", "batch_size=1"},
			[]string{"row 1: data: message 1 (assistant) is blank", "row 3: data: message contains a tag"}},
		"samples": {rowsFile(t, data.Sample{Prompt: []int32{1, 5}, Tokens: []int32{7, 2}}, data.Sample{Prompt: []int32{1, 5}}), []string{"sft"},
			[]string{"row 1: data: the answer has no tokens"}},
		"reward": {rowsFile(t, judged("a mat", "a mat "), judged("a mat", "a log"), judged(" ", "a log")), []string{"reward", "--set", "batch_size=2"},
			[]string{"row 0: data: the two answers are the same", "row 2: data: the chosen answer is blank"}},
		"stream": {rowsFile(t, data.Text{Text: "the cat"}, data.Text{Text: " "}), []string{"pretrain", "--set", "stream=true", "--set", "steps=1", "--set", "batch_tokens=4"},
			[]string{"row 1: data: the text is blank"}},
		"pretrain": {rowsFile(t, data.Text{Text: "the cat"}, data.Text{Text: " "}), []string{"pretrain", "--set", "steps=1", "--set", "batch_tokens=4"},
			[]string{"row 1: data: the text is blank"}},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			run := func(path string) error {
				_, err := tame(t, "", append(c.args, "--set", "model="+base, "--set", "data="+path, "--set", "output="+out, "--set", "micro_tokens=64", "--set", "micro_segments=4")...)
				return err
			}
			err := run(c.path)
			for _, want := range c.want {
				require.ErrorContains(t, err, c.path+": "+want)
			}
			assert.NoDirExists(t, out)
			validated, _ := tame(t, "", "data", "validate", c.path)
			assert.Equal(t, len(c.want), strings.Count(strings.Join(validated, "\n"), ": row "), "validate finds the same")

			hint := regexp.MustCompile(`tame (convert data (\S+) (\S+))$`).FindStringSubmatch(err.Error())
			require.NotNil(t, hint, err)
			mustRun(t, strings.Fields(hint[1])...)
			assert.NoError(t, run(hint[3]))
		})
	}
}

// Only what a stage uses of a row is checked: two equal answers do not matter to one that reads prompts.
func TestPromptsOfBadPairs(t *testing.T) {
	path := rowsFile(t, data.Preference{Messages: talk("the dog"), Chosen: "a", Rejected: "a", Rating: data.Better})
	rows, err := readAll([]string{path}, "", readers[asked]{partly(func(p data.Preference) (asked, error) { return asked{p.Prompt()}, nil })})
	require.NoError(t, err)
	assert.Len(t, rows, 1)

	twice := rowsFile(t, data.Prompt{ID: "1", Messages: talk("a mat")}, data.Prompt{ID: "1", Messages: talk("a log")})
	_, err = tame(t, "", append(rejectArgs(policyModel(t), twice), "--set", "helpfulness="+tinyModel(t), "--set", "output="+filepath.Join(t.TempDir(), "o"))...)
	assert.ErrorContains(t, err, `row 1: data: the id "1" is that of another prompt too`)
}

// validate finds with --model what does not fit it.
func TestValidateForAModel(t *testing.T) {
	base := policyModel(t) // a context of 64
	long := data.Conversation{Messages: talk("the cat", strings.Repeat("q", 80)), Source: "x"}
	for want, path := range map[string]string{
		"tokens are longer than the model's context of 64": rowsFile(t, data.Conversation{Messages: talk("the cat", "a mat"), Source: "x"}, long),
		"outside of the vocabulary":                        rowsFile(t, data.Sample{Prompt: []int32{1}, Tokens: []int32{2}}, data.Sample{Prompt: []int32{1}, Tokens: []int32{9999}}),
	} {
		mustRun(t, "data", "validate", path)
		lines, err := tame(t, "", "data", "validate", path, "--model", base)
		assert.ErrorContains(t, err, "1 of 2 rows are bad")
		assert.Contains(t, strings.Join(lines, "\n"), want)
		assert.Contains(t, strings.Join(lines, "\n"), "row 1: ")
	}
	_, err := tame(t, "", "data", "validate", rowsFile(t, long), "--tokenizer", base)
	assert.ErrorContains(t, err, "--tokenizer is that of --model")
}

// A reward model is no policy.
func TestRewardModelAsPolicy(t *testing.T) {
	scorer, talks := tinyModel(t), conversations(t, 4)
	for _, args := range [][]string{
		{"sft", "--set", "data=" + talks}, {"gatt", "--set", "data=" + talks}, {"pretrain", "--set", "data=" + written(t, "t.arrow", texts("a b", "c d")...)},
		{"distill", "--set", "data=" + talks, "--set", "safety=" + scorer}, {"reject", "--set", "data=" + talks, "--set", "helpfulness=" + scorer},
		{"ppo", "--set", "data=" + talks, "--set", "helpfulness=" + scorer, "--set", "gate=false"},
	} {
		_, err := tame(t, "", append(args, "--set", "model="+scorer, "--set", "output="+filepath.Join(t.TempDir(), "o"))...)
		assert.ErrorContains(t, err, scorer+" is a reward model", args[0])
	}
	for _, command := range []string{"generate", "chat"} {
		_, err := tame(t, "", command, "--model", scorer)
		assert.ErrorContains(t, err, "is a reward model", command)
	}
}

// Settings that cannot work are named before any work.
func TestSettingsBeforeWork(t *testing.T) {
	base, talks := policyModel(t), conversations(t, 4)
	for want, args := range map[string][]string{
		"fine_tune.frozen[1] is layer, want a pattern that matches a weight":          {"gatt", "--set", "instructions=[x]", "--set", "fine_tune.frozen=[embed, layer]"},
		"lr_factors[0] is \"heads=2\", want a pattern that matches a weight":          {"sft", "--set", "lr_factors=[heads=2]"},
		"lr_factors[1] is \"embed=-1\", want a factor of at least 0":                  {"sft", "--set", "lr_factors=[norm=2, embed=-1]"},
		`instructions[1] is " ", want a text that is not blank`:                       {"gatt", "--set", `instructions=[x, " "]`},
		"batch_size is 1, want at least 2 with whiten_advantages":                     {"ppo", "--set", "batch_size=1", "--set", "mini_batch=1", "--set", "whiten_scores=false"},
		"lower the learning rate, make the warm-up longer":                            {"sft", "--set", "optim.learning_rate=1e38", "--set", "optim.max_grad_norm=0", "--set", "batch_size=1", "--set", "held_out=0.3"},
		"short_instructions is [a], want one for each of the 2 instructions, or none": {"rlhf", "--set", "instructions=[x, y]", "--set", "short_instructions=[a]"},
	} {
		out := filepath.Join(t.TempDir(), "o")
		_, err := tame(t, "", append(args, "--set", "model="+base, "--set", "output="+out, "--set", dataKey(args[0])+"="+talks)...)
		assert.ErrorContains(t, err, want)
		assert.NoDirExists(t, out)
	}
}

func dataKey(stage string) string {
	if stage == "rlhf" {
		return "helpfulness_prompts"
	}
	return "data"
}

// Before the first step a stage says what it is going to do. A share of few rows that came to nothing is told.
func TestPlanIsTold(t *testing.T) {
	text := mustRun(t, "sft", "--config", yamlFile(t, sftYAML(t)), "--set", "data="+conversations(t, 2), "--set", "epochs=60", "--set", "held_out=0.01",
		"--set", "warmup_steps=60", "--set", "output="+filepath.Join(t.TempDir(), "o"))
	assert.Regexp(t, `60 steps on 2 items, 60 epochs, about \d+ tokens; \d+ weights; memory \d+\.\d MiB \(weights`, text)
	assert.Contains(t, text, "warning: held_out is 0.01, and none of the 2 rows came to be held out")
	assert.Contains(t, text, "warning: warmup_steps is 60, want less than the 60 steps of the run")
	assert.Contains(t, text, "warning: epochs: the run reads its data 60 times")
	assert.NotContains(t, text, "batch_size")
}

// The example configurations are complete and valid.
func TestExampleConfigs(t *testing.T) {
	checkExample(t, pretrainStage())
	checkExample(t, sftStage())
	checkExample(t, rewardStage())
	checkExample(t, rejectStage())
	checkExample(t, ppoStage())
	checkExample(t, gattStage())
	checkExample(t, distillStage())
	checkExample(t, rlhfStage())
}

func checkExample[C any](t *testing.T, s stage[C]) {
	t.Helper()
	cfg, source, err := loadConfig(s, filepath.Join("..", "..", "examples", "configs", s.name+".yaml"), nil)
	require.NoError(t, err, s.name)
	errs := []error{source.Missing(), s.checked(cfg)}
	if s.needs != nil {
		errs = append(errs, s.needs(cfg))
	}
	assert.NoError(t, errors.Join(errs...), s.name)
}

// The width of a head follows from the shape unless it is set.
func TestHeadDim(t *testing.T) {
	for want, sets := range map[int][]string{
		128: nil,
		16:  {"shape.dim=64", "shape.num_heads=4"},
		32:  {"shape.dim=64", "shape.num_heads=4", "shape.head_dim=32"},
	} {
		cfg, _, err := loadConfig(pretrainStage(), "", sets)
		require.NoError(t, err)
		assert.Equal(t, want, cfg.Shape.HeadDim)
	}
}
