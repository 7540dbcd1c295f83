package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/pipeline"
)

// namedTalk is a conversation with columns that tame does not have.
type namedTalk struct {
	Messages []namedMessage `arrow:"messages"`
	Topic    string         `arrow:"topic"`
}

type namedMessage struct {
	Role    string `arrow:"role"`
	Content string `arrow:"content"`
	Name    string `arrow:"name"`
}

func (namedTalk) Schema() data.Schema { return data.Schema{Name: "conversation", Version: 1} }

func namedTalks(n int) (rows []namedTalk) {
	for i := range n {
		rows = append(rows, namedTalk{[]namedMessage{{"user", fmt.Sprintf("question %d of all of them", i), "Ann"}, {"assistant", "the answer", ""}}, "x"})
	}
	return rows
}

// Commands that copy rows name the columns that the copy lacks, and --strict refuses the file.
func TestColumnsThatAreNotCopied(t *testing.T) {
	in := written(t, "in.arrow", namedTalks(40)...)
	const says = "in.arrow: 2 of its columns are not used, because conversation rows do not have them: messages[].name, topic"
	for name, args := range map[string][]string{
		"shuffle": {in, "OUT"}, "mix": {in, "OUT"}, "dedup": {in, "OUT"}, "filter": {in, "OUT"}, "split": {in, "HELD", "OUT"},
	} {
		dir := t.TempDir()
		place := func(args []string) []string {
			args = append([]string{"data", name}, args...)
			for i, a := range args {
				if a == "OUT" || a == "HELD" {
					args[i] = filepath.Join(dir, a+".arrow")
				}
			}
			return args
		}
		out, err := tame(t, "", append(place(args), "--strict")...)
		assert.ErrorContains(t, err, says, name)
		assert.ErrorContains(t, err, "--strict", name)
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		assert.Empty(t, entries, "%s --strict wrote %s", name, out)
		assert.Contains(t, mustRun(t, place(args)...), says, name)
	}
	assert.Contains(t, mustRun(t, "data", "validate", in), says)
	assert.Contains(t, mustRun(t, "sft", "--set", "model="+policyModel(t), "--set", "data="+in, "--set", "output="+filepath.Join(t.TempDir(), "o"),
		"--set", "epochs=1", "--set", "micro_tokens=256", "--set", "micro_segments=8"), says, "stages too")
}

// Preferences keep the ids that were sampled, which `tame reward` trains on.
func TestSampledPreferencesAreCopied(t *testing.T) {
	var rows []pipeline.SampledPreference
	for i := range 6 {
		rows = append(rows, pipeline.SampledPreference{
			Messages: []data.Message{{Role: data.User, Content: fmt.Sprint("question ", i)}}, Chosen: "yes", Rejected: "no",
			Rating: data.Better, PromptIDs: []int32{1, int32(i)}, ChosenIDs: []int32{7, 2}, RejectedIDs: []int32{8, 2}, Version: 3,
		})
	}
	in, out := written(t, "in.arrow", rows...), filepath.Join(t.TempDir(), "out.arrow")
	for _, command := range []string{"dedup", "filter"} {
		mustRun(t, "data", command, in, out, "--strict")
		assert.Equal(t, rows, readBack[pipeline.SampledPreference](t, out), command)
		require.NoError(t, os.Remove(out))
	}
	mustRun(t, "data", "shuffle", in, out, "--strict")
	assert.ElementsMatch(t, rows, readBack[pipeline.SampledPreference](t, out))

	// Mixed with preferences that have no ids, there are none.
	plain := written(t, "plain.arrow", data.Preference{Messages: rows[0].Messages, Chosen: "a", Rejected: "b", Rating: data.Better})
	mixed := filepath.Join(t.TempDir(), "mixed.arrow")
	assert.Contains(t, mustRun(t, "data", "dedup", in, plain, mixed), "prompt_ids, chosen_ids, rejected_ids, version")
	assert.Len(t, readBack[data.Preference](t, mixed), 7)
}
