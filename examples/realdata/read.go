package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/importer"
)

// readLines decodes each line of a JSON lines file into R and converts it. Rows that are no use are in the report, with file and line.
func readLines[R, T any](path string, convert func(R) (T, error)) ([]T, importer.Report, error) {
	var rows []T
	var report importer.Report
	file, err := os.Open(path)
	if err != nil {
		return nil, report, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	line := 0
	for lines.Scan() {
		line++
		var r R
		var row T
		if err = json.Unmarshal(lines.Bytes(), &r); err == nil {
			row, err = convert(r)
		}
		if err != nil {
			report.Refused = append(report.Refused, importer.RowError{File: path, Line: line, Err: err})
			continue
		}
		rows = append(rows, row)
	}
	if err := lines.Err(); err != nil {
		return nil, report, fmt.Errorf("%s:%d: %w", path, line+1, err)
	}
	report.Rows = len(rows)
	return rows, report, nil
}

// question puts an instruction and its input together as importer.Alpaca does, so that a prompt is the same in every file.
func question(instruction, input string) []data.Message {
	text := strings.TrimRight(instruction, "\n")
	if strings.TrimSpace(input) != "" {
		text += "\n\n" + input
	}
	return []data.Message{{Role: data.User, Content: text}}
}

// demonstration is a question with an answer to learn from.
func demonstration(source, instruction, input, output string) (data.Conversation, error) {
	c := data.Conversation{Source: source, Messages: append(question(instruction, input), data.Message{Role: data.Assistant, Content: output})}
	if strings.TrimSpace(output) == "" {
		return c, errors.New("there is no answer")
	}
	return c, data.CheckMessages(c.Messages)
}

// readSeedTasks reads self_instruct's seed tasks, which people wrote.
func readSeedTasks(path string) ([]data.Conversation, importer.Report, error) {
	type row struct {
		Instruction string
		Instances   []struct{ Input, Output string }
	}
	return readLines(path, func(r row) (data.Conversation, error) {
		if len(r.Instances) != 1 {
			return data.Conversation{}, fmt.Errorf("%d instances, want 1", len(r.Instances))
		}
		return demonstration("self_instruct", r.Instruction, r.Instances[0].Input, r.Instances[0].Output)
	})
}

// readReferences reads self_instruct's user-oriented tasks with their references.
func readReferences(path string) ([]data.Conversation, importer.Report, error) {
	type row struct{ Instruction, Input, Reference string }
	return readLines(path, func(r row) (data.Conversation, error) {
		return demonstration("self_instruct", r.Instruction, r.Input, r.Reference)
	})
}

// readChosen takes the chosen answers of a preference file as demonstrations. Its choices are not known to be people's.
func readChosen(path string) ([]data.Conversation, importer.Report, error) {
	prefs, report, err := importer.Preferences(path, importer.DefaultPreferenceConfig())
	rows := make([]data.Conversation, len(prefs))
	for i, p := range prefs {
		rows[i].Source = "llamafactory_demo"
		rows[i].Messages, _ = p.Dialogs()
	}
	return rows, report, err
}

// readHarmless reads binary preferences for harmlessness, without a strength: all rated Better.
func readHarmless(path string) ([]data.Preference, importer.Report, error) {
	return importer.HH(path, importer.PreferenceConfig{Rating: data.Better, Set: data.SafetySet})
}

// preference is a choice between two answers to one question; better is 1 or 2.
func preference(messages []data.Message, answers [2]string, better int, rating data.Rating) (data.Preference, error) {
	p := data.Preference{
		Messages: messages, Chosen: answers[better-1], Rejected: answers[2-better], Rating: rating, Set: data.HelpfulnessSet,
	}
	switch chosen, rejected := strings.TrimSpace(p.Chosen), strings.TrimSpace(p.Rejected); {
	case chosen == "":
		return p, errors.New("the chosen answer is blank")
	case chosen == rejected:
		return p, errors.New("the two answers are the same")
	}
	chosen, rejected := p.Dialogs()
	return p, errors.Join(data.CheckMessages(chosen), data.CheckMessages(rejected))
}

// readLLMBar reads binary preferences. Each was checked to be objective, but not graded: all rated Better.
func readLLMBar(path string) ([]data.Preference, importer.Report, error) {
	type row struct {
		Input   string
		Output1 string `json:"output_1"`
		Output2 string `json:"output_2"`
		Label   int
	}
	return readLines(path, func(r row) (data.Preference, error) {
		if r.Label != 1 && r.Label != 2 {
			return data.Preference{}, fmt.Errorf(`"label" is %d, want 1 or 2`, r.Label)
		}
		return preference(question(r.Input, ""), [2]string{r.Output1, r.Output2}, r.Label, data.Better)
	})
}

// readPandaLM reads the votes of three annotators.
func readPandaLM(path string) ([]data.Preference, importer.Report, error) {
	type row struct {
		Instruction, Input, Response1, Response2 string
		Annotator1, Annotator2, Annotator3       int
	}
	return readLines(path, func(r row) (data.Preference, error) {
		better, rating, err := agreement(r.Annotator1, r.Annotator2, r.Annotator3)
		if err != nil {
			return data.Preference{}, err
		}
		return preference(question(r.Instruction, r.Input), [2]string{r.Response1, r.Response2}, better, rating)
	})
}

var errNoPreference = errors.New("as many annotators for one answer as for the other")

// agreement turns three votes (0 a tie, 1 or 2 the better answer) into a choice and its strength:
//
//	1 1 1  significantly better
//	1 1 0  better
//	1 1 2  slightly better
//	1 0 0  negligibly better
//
// Votes that favour neither answer (0 0 0, 0 1 2) are no preference.
func agreement(votes ...int) (better int, rating data.Rating, err error) {
	var count [3]int
	for _, v := range votes {
		if v < 0 || v > 2 {
			return 0, 0, fmt.Errorf("an annotator says %d, want 0, 1 or 2", v)
		}
		count[v]++
	}
	ties, most, least := count[0], max(count[1], count[2]), min(count[1], count[2])
	switch {
	case most == least:
		return 0, 0, errNoPreference
	case ties == 2:
		rating = data.NegligiblyBetter
	case least == 1:
		rating = data.SlightlyBetter
	case ties == 1:
		rating = data.Better
	default:
		rating = data.SignificantlyBetter
	}
	if count[2] > count[1] {
		return 2, rating, nil
	}
	return 1, rating, nil
}
