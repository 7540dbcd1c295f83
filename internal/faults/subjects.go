package main

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// subject is a command line that is started in an empty folder and makes files there.
type subject struct {
	args    []string
	outputs []string // their names: whole or absent at every moment
	inputs  []string // two files or folders, of which one takes the place of IN in args
}

// stageOutput is the output of each stage, and stageLog its log.
const (
	stageOutput = "out"
	stageLog    = "log.jsonl"
)

// checkpointed are the stages in whose checkpoints files are damaged.
var checkpointed = []string{"pretrain", "sft", "reward", "ppo", "gatt", "rlhf"}

func names[V any](subjects map[string]V) []string { return slices.Sorted(maps.Keys(subjects)) }

// with puts an input in the place of IN.
func (s subject) with(input string) []string {
	args := slices.Clone(s.args)
	for i, a := range args {
		args[i] = strings.ReplaceAll(a, "IN", input)
	}
	return args
}

// in is the path of something that makeInputs made.
func (s *suite) in(name string) string { return filepath.Join(s.inputs, name) }

// sets are settings of a stage.
func sets(stage string, settings ...string) []string {
	args := []string{stage}
	for _, s := range settings {
		args = append(args, "--set", s)
	}
	return args
}

// stageSubjects are quick runs of all stages, which save after every step.
func (s *suite) stageSubjects() map[string]subject {
	chat, talks, safe := "model="+s.in("chat"), s.in("talks.arrow"), s.in("safe.arrow")
	judges := []string{"helpfulness=" + s.in("helpfulness"), "safety=" + s.in("safety")}
	quick := []string{"micro_tokens=256", "micro_segments=16", "checkpoint_every=1"}
	tune := []string{"fine_tune.micro_tokens=256", "fine_tune.micro_segments=16", "fine_tune.epochs=1", "fine_tune.batch_size=8", "max_new_tokens=8", "checkpoint_every=1"}
	all := map[string][]string{
		"pretrain": sets("pretrain", slices.Concat(s.shape(16, 1), quick,
			[]string{"data=" + s.in("text.txt"), "vocab_size=300", "steps=16", "warmup_steps=2", "batch_tokens=128", "held_out=0.3", "eval_every=4"})...),
		"sft":    sets("sft", slices.Concat(quick, []string{chat, "data=" + talks, "epochs=3", "batch_size=4", "held_out=0.2", "eval_every=3", "optim.learning_rate=1e-3"})...),
		"reward": sets("reward", slices.Concat(quick, []string{chat, "data=" + safe, "kind=safety", "epochs=3", "batch_size=16", "held_out=0.2", "eval_every=3"})...),
		"reject": sets("reject", slices.Concat(quick, judges, []string{chat, "data=" + talks, "samples=24", "max_new_tokens=10"})...),
		"ppo": sets("ppo", slices.Concat(quick, judges, []string{chat, "data=" + safe, "iterations=8", "batch_size=8", "mini_batch=4", "max_new_tokens=8",
			"eval_every=1", "held_out=0.3"})...),
		"gatt": sets("gatt", slices.Concat(tune, []string{chat, "data=" + talks, "mix=" + talks, "instructions=[on the mat, on a log]",
			"short_instructions=[mat, log]", "max_dialogs=8"})...),
		"distill": sets("distill", slices.Concat(tune, []string{chat, "data=" + safe, "safety=" + s.in("safety"), "pre_prompts=[the cat, a cat]",
			"max_prompts=20", "samples=2", "fine_tune.epochs=6"})...),
		"rlhf": s.rlhf("annotator_helpfulness="+s.in("helpfulness"), "annotator_safety="+s.in("safety")),
	}
	stages := map[string]subject{}
	for name, args := range all {
		stages[name] = subject{args: append(args, "--set", "output="+stageOutput, "--set", "log="+stageLog), outputs: []string{stageOutput}}
	}
	return stages
}

// rlhf is a quick iteration of two versions, with these annotators.
func (s *suite) rlhf(annotators ...string) []string {
	talks, safe := s.in("talks.arrow"), s.in("safe.arrow")
	settings := append([]string{
		"model=" + s.in("chat"), "helpfulness_prompts=" + talks, "safety_prompts=" + safe, "data=" + talks, "validation=" + talks, "open=" + safe,
		"versions=2", "pool_from=2", "ppo_from=2", "gatt_from=2", "dialogs=" + talks, "instructions=[the dog, a log]", "adversarial=" + safe,
		"pre_prompts=[the cat]", "checkpoint_every=1", "part_prompts=8", "rejection.samples=3", "ppo.iterations=3", "ppo.batch_size=8",
		"ppo.mini_batch=4", "ppo.eval_every=2",
	}, annotators...)
	for _, stage := range []string{"helpfulness", "safety", "fine_tune", "ppo"} {
		settings = append(settings, stage+".micro_tokens=256", stage+".micro_segments=16")
	}
	for _, stage := range []string{"helpfulness", "safety", "fine_tune"} {
		settings = append(settings, stage+".batch_size=16")
	}
	for _, stage := range []string{"rejection", "gatt", "distill", "ppo"} {
		settings = append(settings, stage+".max_new_tokens=8")
	}
	return sets("rlhf", settings...)
}

// toolSubjects are the commands that make a file or a folder without a configuration, each with two inputs.
func (s *suite) toolSubjects() map[string]subject {
	rows := []string{s.in("many.jsonl"), s.in("more.jsonl")}
	arrow := []string{s.in("many.arrow"), s.in("more.arrow")}
	models := []string{s.in("large"), s.in("larger")}
	texts := []string{s.in("words.txt"), s.in("more.txt")}
	tool := func(inputs []string, line string, outputs ...string) subject {
		return subject{args: strings.Fields(line), outputs: outputs, inputs: inputs}
	}
	return map[string]subject{
		"convert-data-arrow":      tool(rows, "convert data IN out.arrow", "out.arrow"),
		"convert-data-parquet":    tool(rows, "convert data IN out.parquet", "out.parquet"),
		"convert-data-refused":    tool(rows, "convert data IN out.arrow --refused refused.jsonl", "out.arrow", "refused.jsonl"),
		"convert-model-hf":        tool(models, "convert model IN out", "out"),
		"convert-model-gguf":      tool(models, "convert model IN out.gguf", "out.gguf"),
		"convert-model-llama2c":   tool(models, "convert model IN out.bin", "out.bin", "out.tokenizer.model"),
		"convert-model-meta":      tool(models, "convert model IN out --to meta", "out"),
		"tokenizer-train":         tool(texts, "tokenizer train --vocab-size 600 IN out.model", "out.model"),
		"tokenizer-convert":       tool(models, "tokenizer convert IN out", "out"),
		"tokenizer-convert-model": tool(models, "tokenizer convert IN out.model", "out.model"),
		"data-mix":                tool(arrow, "data mix IN=0.5 "+s.in("talks.arrow")+"=0.5 out.arrow --rows 5000 --position at.json", "out.arrow", "at.json"),
		"data-shuffle":            tool(arrow, "data shuffle IN out.arrow", "out.arrow"),
		"data-split":              tool(arrow, "data split IN train.arrow held.arrow --share 0.4", "train.arrow", "held.arrow"),
		"data-dedup":              tool(arrow, "data dedup IN out.arrow", "out.arrow"),
		"data-filter":             tool(arrow, "data filter IN out.arrow --min 5", "out.arrow"),
	}
}
