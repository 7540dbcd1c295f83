package importer_test

import (
	"encoding/json"
	"math"

	"github.com/tame-rlhf/tame/pkg/data"
)

func dialog(contents ...string) []data.Message {
	messages := make([]data.Message, len(contents))
	for i, content := range contents {
		messages[i] = data.Message{Role: data.User + data.Role(i%2), Content: content}
	}
	return messages
}

func withSystem(system string, messages []data.Message) []data.Message {
	return append([]data.Message{{Role: data.System, Content: system}}, messages...)
}

func ptr[T any](v T) *T { return &v }

var (
	prompts = []data.Prompt{
		{ID: "a", Messages: withSystem("Be kind.", dialog("Hi")), Safety: true},
		{ID: "b", Messages: dialog("Hi", "Hello", "Bye")},
	}
	preferences = []data.Preference{
		{Messages: dialog("Hi"), Chosen: "Hello", Rejected: "", Rating: data.NegligiblyBetter,
			ChosenSafe: data.Safe, RejectedSafe: data.Unsafe, Set: data.SafetySet},
		{Messages: dialog("Hi"), Chosen: "Hello", Rejected: "No", Rating: data.SignificantlyBetter},
	}
	samples = []data.Sample{
		{PromptID: "a", Messages: dialog("Hi"), Prompt: []int32{1, 5, 6}, Tokens: []int32{7, 2}, LogProbs: []float32{-0.25, -1e-7},
			Text: "Hello", Finished: true, Helpfulness: ptr(-1.5), Safety: ptr(0.0), Version: 3, Temperature: 1.2},
		{PromptID: "a", Messages: dialog("Hi"), Prompt: []int32{1}, Tokens: []int32{7}, Combined: ptr(math.Inf(-1))},
	}
	lineage = data.Lineage{Stage: "test", Config: json.RawMessage(`{"lr":0.1}`), Seed: math.MaxUint64,
		Inputs: []data.Input{{Name: "in.arrow", Fingerprint: "sha256:00"}}}
)

// every is a row that only its own program knows.
type every struct {
	Bool bool `arrow:"bool"`
}

func (every) Schema() data.Schema { return data.Schema{Name: "every", Version: 2} }

var everyKind = []every{{true}, {false}}
