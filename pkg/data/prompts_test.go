package data_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tame-rlhf/tame/pkg/data"
)

func TestPrompts(t *testing.T) {
	rows := []data.Preference{{Messages: dialog("b")}, {Messages: dialog("a")}, {Messages: dialog("b"), Set: data.SafetySet}}
	assert.Equal(t, []data.Prompt{
		{ID: data.DialogID(dialog("b")), Messages: dialog("b"), Safety: true},
		{ID: data.DialogID(dialog("a")), Messages: dialog("a")},
	}, data.Prompts(rows))
	assert.Equal(t, dialog("Hi", "Hello", "Bye"), data.Conversation{Messages: dialog("Hi", "Hello", "Bye", "Bye bye")}.Prompt().Messages)
	assert.Equal(t, "Hi", data.Sample{Messages: dialog("Hi")}.Question())
	assert.Equal(t, "", data.Prompt{}.Question())
	assert.NotEqual(t, data.DialogID(dialog("a", "b")), data.DialogID(dialog("ab", "")))
	chosen, rejected := data.Preference{Messages: dialog("Hi"), Chosen: "a", Rejected: "b"}.Dialogs()
	assert.Equal(t, dialog("Hi", "a"), chosen)
	assert.Equal(t, dialog("Hi", "b"), rejected)
	assert.NotEqual(t, data.StreamKey("a"), data.StreamKey("b"))
}
