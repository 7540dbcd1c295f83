package data

// Question is the document.
func (t Text) Question() string { return t.Text }

// Question is the first message of the user: longer dialogues about the same lie on the same side of a Split.
func (p Prompt) Question() string { return question(p.Messages) }

// Question is the first message of the user.
func (c Conversation) Question() string { return question(c.Messages) }

// Question is the first message of the user.
func (p Preference) Question() string { return question(p.Messages) }

// Question is the first message of the user.
func (s Sample) Question() string { return question(s.Messages) }

func question(messages []Message) string {
	for _, m := range messages {
		if m.Role == User {
			return m.Content
		}
	}
	return ""
}

// Prompt is the conversation up to the user's last message.
func (c Conversation) Prompt() Prompt {
	messages := c.Messages
	for len(messages) > 0 && messages[len(messages)-1].Role != User {
		messages = messages[:len(messages)-1]
	}
	return Prompt{ID: DialogID(messages), Messages: messages}
}

// Prompt is the prompt of the pair; one of the safety set is tagged as a safety prompt.
func (p Preference) Prompt() Prompt {
	return Prompt{ID: DialogID(p.Messages), Messages: p.Messages, Safety: p.Set == SafetySet}
}

// Prompts returns the prompts of rows, each once, in order of their first appearance. A prompt that appears as a
// safety prompt once is one.
func Prompts[T interface{ Prompt() Prompt }](rows []T) []Prompt {
	at := map[string]int{}
	var prompts []Prompt
	for _, row := range rows {
		p := row.Prompt()
		i, seen := at[p.ID]
		if !seen {
			at[p.ID] = len(prompts)
			prompts = append(prompts, p)
			continue
		}
		prompts[i].Safety = prompts[i].Safety || p.Safety
	}
	return prompts
}
