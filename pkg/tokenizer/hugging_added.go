package tokenizer

import "fmt"

// huggingAdded is an added token of a tokenizer.json.
type huggingAdded struct {
	ID         int64  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// add adds the tokens of files next to the tokenizer.json, as transformers does: what these say of a token counts. It says whether nothing
// has changed.
func (f *huggingFile) add(added []addedEntry, m *huggingModel) (asWritten bool, err error) {
	asWritten = true
	size := int64(len(m.Vocab))
	at := make(map[string]int, len(f.AddedTokens))
	for i, a := range f.AddedTokens {
		at[a.Content] = i
		if _, inVocab := m.Vocab[a.Content]; !inVocab {
			size = max(size, a.ID+1)
		}
	}
	for _, a := range added {
		i, known := at[a.text]
		id, inVocab := m.Vocab[a.text]
		if known {
			id = f.AddedTokens[i].ID
		}
		switch token := a.token(); {
		case (known || inVocab) && id != token.ID:
			return false, fmt.Errorf("%s: %q has the id %d, and %d in %s", a.file, a.text, a.id, id, huggingTokenizer)
		case !known && !inVocab && token.ID != size:
			return false, fmt.Errorf("%s adds %q with the id %d, want %d, the first one that is free", a.file, a.text, a.id, size)
		case known && token.Special && !f.AddedTokens[i].Special:
			f.AddedTokens[i].Special, asWritten = true, false
		case known:
		default:
			f.AddedTokens, asWritten = append(f.AddedTokens, token), false
			size = max(size, token.ID+1)
		}
	}
	return asWritten, nil
}
