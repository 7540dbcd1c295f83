package importer

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/tame-rlhf/tame/pkg/data"
)

// Prompts reads rows with a prompt to be answered: "prompt" (a text or messages), "messages" or "conversations" that
// end with the user, "turns" (questions asked one after the other, of which the first is taken), an "instruction" (with
// "input") or a "question"; with an optional "system", "id" and "safety" (true for a safety prompt). A "label" of "unsafe"
// tags a safety prompt too, and so does a 1 under one of the keys of OpenAI's moderation data.
func Prompts(path string) ([]data.Prompt, Report, error) {
	return importAll[data.Prompt](path, Config{As: "prompts"})
}

func promptRows(Config, string) converter[data.Prompt] {
	type row struct {
		ID     json.RawMessage
		Safety bool
		question
		Messages, Conversations []importedMessage
		Turns                   []string
		PromptsFinal            *string `json:"prompts_final"` // of SimpleSafetyTests
		Label                   json.RawMessage
		moderation
	}
	return each(func(r row) (data.Prompt, error) {
		for _, other := range []named{{"turns", firstText(r.Turns)}, {"prompts_final", r.PromptsFinal}} {
			asks, err := oneOf(named{"prompt", r.Prompt.text}, other)
			if err != nil {
				return data.Prompt{}, err
			}
			r.Prompt.text = asks
		}
		dialog, err := r.dialog(r.Messages, r.Conversations)
		if err != nil {
			return data.Prompt{}, err
		}
		p := data.Prompt{ID: idText(r.ID), Messages: dialog}
		p.Safety = r.Safety || bytes.Equal(r.Label, []byte(`"unsafe"`)) || value(r.PromptsFinal) != "" || r.flagged()
		if p.ID == "" {
			p.ID = data.DialogID(p.Messages)
		}
		return p, data.CheckMessages(p.Messages)
	})
}

func firstText(texts []string) *string {
	if len(texts) == 0 {
		return nil
	}
	return &texts[0]
}

// idText is an id that may be a number.
func idText(raw json.RawMessage) string {
	var text string
	if isNull(raw) || json.Unmarshal(raw, &text) == nil {
		return text
	}
	return string(raw)
}

// moderation are the labels of OpenAI's moderation data, 0 or 1; those that nobody looked at are missing.
type moderation struct{ S, H, V, HR, SH, S3, H2, V2 json.RawMessage }

func (m moderation) flagged() bool {
	return slices.ContainsFunc([]json.RawMessage{m.S, m.H, m.V, m.HR, m.SH, m.S3, m.H2, m.V2},
		func(label json.RawMessage) bool { return string(label) == "1" })
}

// isPrompt says whether a row is a prompt without an answer.
func isPrompt(f fields) bool {
	if f.any("completion", "response", "answer", "output", "reference", "messages", "conversations", "instances") || compared(f) ||
		f.any("response 1", "response_j", "answer_matching_behavior", "response1", "response_a") {
		return false
	}
	return f.any("prompt", "turns", "instruction", "prompts_final")
}
