package importer

import "slices"

//go:generate go test . -run TestDialectsPage -update

// KeyUse says what becomes of a key of a row.
type KeyUse int

// The uses. A key that a dialect does not list is not used: it is counted, and refused by Config.Strict.
const (
	KeyRead    KeyUse = iota // it makes what the row gives
	KeyRefused               // a row that has something there is refused: what it means cannot be kept
	KeyLabel                 // it says where a row is from or what it is about, and is left out: counted, but not refused
)

// Key is a key of a dialect's rows.
type Key struct {
	Name string
	Use  KeyUse
	Note string // what it means, or why it is refused
	Keys []Key  // of the object, or of each object of the list, that is its value

	grade bool // only the grade that decides is read, see Config.Score
	first bool // only the first of a list is read
}

func reads(note string, names ...string) (keys []Key) {
	for _, name := range names {
		keys = append(keys, Key{Name: name, Note: note})
	}
	return keys
}

func objects(note string, of []Key, names ...string) []Key {
	keys := reads(note, names...)
	for i := range keys {
		keys[i].Keys = of
	}
	return keys
}

func refuses(note string, names ...string) []Key {
	keys := reads(note, names...)
	for i := range keys {
		keys[i].Use = KeyRefused
	}
	return keys
}

func labels(names ...string) []Key {
	keys := reads("", names...)
	for i := range keys {
		keys[i].Use = KeyLabel
	}
	return keys
}

// commonKeys are refused and left out in all dialects, unless these read them.
var commonKeys = slices.Concat(
	refuses("a dialogue of texts cannot hold the use of tools", "tools", "functions", "tool_calls", "function_call"),
	refuses("a dialogue of texts cannot hold hidden reasoning", "reasoning_content"),
	refuses("only text can be used", "image", "images", "video", "videos", "audio", "audios"),
	labels("", "id", "idx", "index", "uid", "uuid", "question_id", "prompt_id", "source", "dataset", "category", "subset", "lang", "language", "model", "url", "timestamp"),
)

// messageKeys are those of a message of a dialogue.
var messageKeys = slices.Concat(
	reads("`system`, `user` (`human`, `prompter`) or `assistant` (`gpt`, `chatgpt`, `bot`, `model`)", "role", "from"),
	objects("a text, or a list of parts of which each is a text", partKeys, "content", "value"),
	refuses("a dialogue of texts cannot hold the use of tools", "tool_calls", "function_call", "tool_call_id", "tools"),
	refuses("a dialogue of texts cannot hold hidden reasoning", "reasoning_content", "thinking"),
	refuses("the roles are the only names that a dialogue has", "name"),
	refuses("only text can be used", "image", "images", "video", "videos", "audio", "audios"),
	refuses("a refusal apart from the content", "refusal"),
)

var partKeys = slices.Concat(reads("`text`: a row with another is refused", "type"), reads("a part of the text", "text"))

// learnedKeys are those of a message that may be learned from.
var learnedKeys = slices.Concat(messageKeys,
	reads("how much the answer counts in the loss: a number of at least 0, `true` (1) or `false` (0); a message that is not an answer may only have 0", "weight", "loss", "train", "training"),
	refuses("whether it counts a message or hides it differs between programs: name it \"weight\", 0 for what does not count", "mask", "masked"),
	refuses("a part of a message cannot have a weight", "train_detail"),
)

// Keys that dialects share.
var (
	systemKeys = reads("the system prompt", "system", "system_prompt")
	inputKeys  = reads("a text that the question is about, put after it", "input", "context")
	promptKeys = slices.Concat(
		objects("the question, or the dialogue up to it", messageKeys, "prompt"),
		reads("the question", "instruction", "question"),
		inputKeys, systemKeys)
	dialogKeys = slices.Concat(objects("the dialogue up to the question", messageKeys, "messages", "conversations"), promptKeys)

	// qualityKeys say whether a row is one to learn from.
	qualityKeys = reads("`false` refuses the row: it is a bad example", "label", "is_safe")
	gradeKeys   = grades(scoreKeys...)
)

func grades(names ...string) []Key {
	keys := reads("the grade: a number, or a list of numbers of which the mean counts; the first of these keys that a row has, or `--score`", names...)
	for i := range keys {
		keys[i].grade = true
	}
	return keys
}

func firstOf(note, name string) []Key { return []Key{{Name: name, Note: note, first: true}} }

// checkedKeys are those of a question beside a dialogue.
var checkedKeys = objects("has to be a question of the dialogue", messageKeys, "prompt")

// find looks a key up; common ones come last.
func find(keys []Key, name string, top bool) *Key {
	for i := range keys {
		if keys[i].Name == name {
			return &keys[i]
		}
	}
	if top {
		return find(commonKeys, name, false)
	}
	return nil
}
