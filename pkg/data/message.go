package data

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tame-rlhf/tame/internal/enum"
)

// Role says who speaks. The zero value is nobody, so that a missing role is noticed.
type Role int

// The roles of a dialogue. System may only open it.
const (
	System Role = iota + 1
	User
	Assistant
)

var roleNames = []string{System: "system", User: "user", Assistant: "assistant"}

// String is the role's name in JSON and Arrow: system, user or assistant.
func (r Role) String() string { return enum.String("Role", r, roleNames) }

// MarshalText is String for known roles.
func (r Role) MarshalText() ([]byte, error) { return enum.Marshal("role", r, roleNames) }

// UnmarshalText reads what MarshalText writes.
func (r *Role) UnmarshalText(text []byte) error {
	return enum.Unmarshal("role", text, r, roleNames)
}

// Message is one turn of a dialogue.
type Message struct {
	Role    Role   `json:"role" arrow:"role"`
	Content string `json:"content" arrow:"content"`
}

// Tags are the marks of Llama 2's chat format. Give them to a tokenizer of your own as user-defined pieces, so that
// each costs one token (see PieceTemplate).
func Tags() []string { return []string{"[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"} }

// ErrTag says that a message holds one of the Tags: text from outside could fake a turn or a system prompt with it.
var ErrTag = errors.New("data: message contains a tag of the chat format")

// CheckMessages reports what is wrong with a dialogue: it may open with one system message, then user and assistant
// alternate, a user's message is not blank, and no message contains one of the Tags (ErrTag). It may end with either.
func CheckMessages(messages []Message) error {
	if err := checkTurns(messages); err != nil {
		return err
	}
	for i, m := range messages {
		for _, tag := range Tags() {
			if strings.Contains(m.Content, tag) {
				return fmt.Errorf("%w: message %d (%v) has %q", ErrTag, i, m.Role, tag)
			}
		}
	}
	return nil
}

// checkTurns is CheckMessages without the tags.
func checkTurns(messages []Message) error {
	turns := messages
	if len(turns) > 0 && turns[0].Role == System {
		turns = turns[1:]
	}
	if len(turns) == 0 {
		return errors.New("data: dialogue has no user message")
	}
	for i, m := range turns {
		want := User
		if i%2 == 1 {
			want = Assistant
		}
		at := len(messages) - len(turns) + i
		if m.Role != want {
			return fmt.Errorf("data: message %d is from %v, want %v: after an optional system message, "+
				"user and assistant alternate", at, m.Role, want)
		}
		if m.Role == User && TrimSpace(m.Content) == "" {
			return fmt.Errorf("data: message %d (user) is blank", at)
		}
	}
	return nil
}

// CheckPrompt reports what is wrong with a dialogue that waits for an answer: as CheckMessages, without the tags, and the
// last message is the user's.
func CheckPrompt(messages []Message) error {
	if err := checkTurns(messages); err != nil {
		return err
	}
	if last := len(messages) - 1; messages[last].Role != User {
		return fmt.Errorf("data: message %d, the last of the prompt, is from %v, want user", last, messages[last].Role)
	}
	return nil
}

// DialogID names a dialogue by its content: 16 hexadecimal digits that are the same wherever and in whatever order the
// dialogue is read.
func DialogID(messages []Message) string {
	h := sha256.New()
	for _, m := range messages {
		fmt.Fprintf(h, "%d:%d:%s", int(m.Role), len(m.Content), m.Content)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// StreamKey turns a prompt's ID into the number that keys its random stream when answers are sampled, so that an
// answer does not depend on which other prompts are sampled beside it.
func StreamKey(id string) uint64 {
	sum := sha256.Sum256([]byte(id))
	return binary.LittleEndian.Uint64(sum[:])
}

// CheckIDs refuses two of n prompts that share an ID without being the same: their answers would
// compete, and come from the same random stream. prompt gives the ID of prompt i and what it says.
func CheckIDs[T comparable](n int, prompt func(i int) (id string, content []T)) error {
	first := map[string]int{}
	for i := range n {
		id, content := prompt(i)
		k, known := first[id]
		if !known {
			first[id] = i
			continue
		}
		if _, other := prompt(k); !slices.Equal(other, content) {
			return fmt.Errorf("prompts %d and %d differ and have the same ID %q: give each its own, such as data.DialogID", k, i, id)
		}
	}
	return nil
}
