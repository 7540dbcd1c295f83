package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tame-rlhf/tame/pkg/curate"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/importer"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
	"github.com/tame-rlhf/tame/pkg/sft"
)

// corpus is what the files hold, as tokens. No prompt is on both sides.
type corpus struct {
	train, heldOut side
	files          []fileRow
}

// side is what is trained on, or what is not.
type side struct {
	demos   []demo
	pairs   []comparison
	dialogs []dialog // for Ghost Attention
}

// demo is a demonstration for SFT.
type demo struct {
	data.Conversation
	example data.Example
	fileIndex
}

// comparison is a preference for a reward model.
type comparison struct {
	data.Preference
	pair  data.Pair
	group string // row of the table of accuracies
	fileIndex
}

// fileIndex is the index of a row's file in corpus.files.
type fileIndex int

func (i fileIndex) from() fileIndex { return i }

// fileRow says what became of the rows of a file.
type fileRow struct {
	File    string `json:"file"`
	Use     string `json:"use"`
	Rows    int    `json:"rows"`
	Refused int    `json:"refused"`  // by the reader
	Reason  string `json:"reason"`   // of the first row refused
	TooLong int    `json:"too_long"` // for the model's context
	Train   int    `json:"train"`
	HeldOut int    `json:"held_out"`
}

// source is a file of the data folder and its reader.
type source[T any] struct {
	file, group string
	read        func(path string) ([]T, importer.Report, error)
}

func demoSources() []source[data.Conversation] {
	return []source[data.Conversation]{
		{"self_instruct/seed_tasks.jsonl", "SFT", readSeedTasks},
		{"self_instruct/user_oriented_candidates.jsonl", "SFT", readReferences},
		{"llamafactory_demo/alpaca_en_demo.json", "SFT", importer.Alpaca},
		{"llamafactory_demo/kto_en_demo.json", "SFT", importer.Messages},
		{"llamafactory_demo/dpo_en_demo.json", "SFT", readChosen},
	}
}

// Groups of pairs whose accuracy is reported apart.
const (
	groupPandaLM     = "pandalm"
	groupNatural     = "llmbar, natural"
	groupAdversarial = "llmbar, adversarial"
	groupProcessed   = "llmbar, other benchmarks"
	groupHarmless    = "hh-rlhf, harmless"
)

func pairSources() []source[data.Preference] {
	return []source[data.Preference]{
		{"pandalm/testset_v1.jsonl", groupPandaLM, readPandaLM},
		{"llmbar/natural.jsonl", groupNatural, readLLMBar},
		{"llmbar/adv_gptinst.jsonl", groupAdversarial, readLLMBar},
		{"llmbar/adv_gptout.jsonl", groupAdversarial, readLLMBar},
		{"llmbar/adv_manual.jsonl", groupAdversarial, readLLMBar},
		{"llmbar/adv_neighbor.jsonl", groupAdversarial, readLLMBar},
		{"llmbar/processed_faireval.jsonl", groupProcessed, readLLMBar},
		{"llmbar/processed_llmeval2.jsonl", groupProcessed, readLLMBar},
		{"llmbar/processed_mtbench.jsonl", groupProcessed, readLLMBar},
		{"hh_rlhf_harmless/harmless_base_test.jsonl.gz", groupHarmless, readHarmless},
	}
}

// checkDir wants a folder.
func checkDir(dir string) error {
	if dir == "" {
		return errors.New("-data names no folder: want the one with stories260k, pandalm and the other data sets in it")
	}
	stat, err := os.Stat(dir)
	switch {
	case err != nil:
		return fmt.Errorf("-data: %w", err)
	case !stat.IsDir():
		return fmt.Errorf("-data: %s is no folder", dir)
	}
	return nil
}

// load reads all files, encodes their rows, leaves out those longer than the context, and holds out a fraction of the
// prompts with all that belongs to them.
func load(dir string, tmpl *data.Template, context int, heldOut float64) (*corpus, error) {
	c := &corpus{}
	var err error
	c.train.demos, c.heldOut.demos, err = readSplit(c, dir, demoSources(), heldOut, context, func(row data.Conversation, _ string, file fileIndex) (demo, int, error) {
		encoded, err := sft.Encode(tmpl, []data.Conversation{row}, data.AllTurns)
		if err != nil {
			return demo{}, 0, err
		}
		return demo{row, encoded[0], file}, len(encoded[0].Tokens), nil
	})
	if err != nil {
		return nil, err
	}
	c.train.pairs, c.heldOut.pairs, err = readSplit(c, dir, pairSources(), heldOut, context, func(row data.Preference, group string, file fileIndex) (comparison, int, error) {
		encoded, err := rewardmodel.Encode(tmpl, []data.Preference{row})
		if err != nil {
			return comparison{}, 0, err
		}
		p := encoded[0]
		return comparison{row, p, group, file}, len(p.Prompt) + max(len(p.Chosen), len(p.Rejected)), nil
	})
	if err != nil {
		return nil, err
	}
	c.train.dialogs, c.heldOut.dialogs, err = readSplit(c, dir, dialogSources(), heldOut, context, func(row dialog, _ string, file fileIndex) (dialog, int, error) {
		return encodeDialog(tmpl, row, file)
	})
	return c, err
}

// readSplit reads the files of one form and splits their rows, and notes on which side those of each file are. A file without a single row that is fit
// for use is an error.
func readSplit[T any, E interface {
	Question() string
	from() fileIndex
}](c *corpus, dir string, sources []source[T], fraction float64, context int, encode func(row T, group string, file fileIndex) (E, int, error)) (train, heldOut []E, err error) {
	var all []E
	for _, s := range sources {
		path := filepath.Join(dir, filepath.FromSlash(s.file))
		rows, report, err := s.read(path)
		if err != nil {
			return nil, nil, err
		}
		f := fileRow{File: s.file, Use: s.group, Rows: len(rows) + len(report.Refused), Refused: len(report.Refused)}
		if f.Refused > 0 {
			f.Reason = report.Refused[0].Error()
		}
		if len(rows) == 0 {
			return nil, nil, fmt.Errorf("%s has no row that can be used (%v): is the file damaged?", path, report)
		}
		for i, row := range rows {
			encoded, length, err := encode(row, s.group, fileIndex(len(c.files)))
			if err != nil {
				return nil, nil, fmt.Errorf("%s, row %d of those taken: %w", path, i+1, err)
			}
			if length > context {
				f.TooLong++
				continue
			}
			all = append(all, encoded)
		}
		c.files = append(c.files, f)
	}
	if train, heldOut, err = curate.Split(all, fraction, splitSeed); err != nil {
		return nil, nil, err
	}
	for _, row := range train {
		c.files[row.from()].Train++
	}
	for _, row := range heldOut {
		c.files[row.from()].HeldOut++
	}
	return train, heldOut, nil
}

// examples are the demonstrations as SFT wants them.
func (s side) examples() []data.Example {
	list := make([]data.Example, len(s.demos))
	for i, d := range s.demos {
		list[i] = d.example
	}
	return list
}

// set is the pairs of one set.
func (s side) set(set data.Set) []data.Pair {
	var list []data.Pair
	for _, p := range s.pairs {
		if p.Set == set {
			list = append(list, p.pair)
		}
	}
	return list
}

// prompt is a prompt with its tokens.
type prompt struct {
	data.Prompt
	tokens []int32
}

func tokenPrompts(prompts []prompt) []data.TokenPrompt {
	list := make([]data.TokenPrompt, len(prompts))
	for i, p := range prompts {
		list[i] = data.TokenPrompt{ID: p.ID, Tokens: p.tokens, Safety: p.Safety}
	}
	return list
}

// prompts are those of pairs and demonstrations, each once, with room for an answer of room tokens in the context.
// The others are counted.
func (s side) prompts(tmpl *data.Template, context, room int) (list []prompt, tooLong int, err error) {
	type asked interface{ Prompt() data.Prompt }
	var rows []asked
	for _, p := range s.pairs {
		rows = append(rows, p)
	}
	for _, d := range s.demos {
		rows = append(rows, d)
	}
	for _, p := range data.Prompts(rows) {
		ids, err := tmpl.EncodePrompt(p.Messages)
		if err != nil {
			return nil, 0, fmt.Errorf("prompt %s: %w", p.ID, err)
		}
		if len(ids)+room > context {
			tooLong++
			continue
		}
		list = append(list, prompt{p, ids})
	}
	return list, tooLong, nil
}

// first is the first demonstrations, and the first n pairs of each set.
func (s side) first(demos, n int) side {
	short := side{demos: s.demos[:min(demos, len(s.demos))], dialogs: s.dialogs}
	taken := map[data.Set]int{}
	for _, p := range s.pairs {
		if taken[p.Set] < n {
			taken[p.Set]++
			short.pairs = append(short.pairs, p)
		}
	}
	return short
}
