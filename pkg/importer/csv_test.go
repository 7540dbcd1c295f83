package importer

import (
	"bufio"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// A quote that is not closed does not take the rest of a file into memory.
func TestCSVOpenQuote(t *testing.T) {
	text := strings.NewReader("text\none\n\"two\n" + strings.Repeat("words\n", maxRow/3))
	var rows []string
	var failed error
	for row, err := range csvRows(origin{path: "x.csv"}, bufio.NewReader(text)) {
		if failed = err; err == nil {
			rows = append(rows, string(row.raw))
		}
	}
	assert.Equal(t, []string{`{"text":"one"}`}, rows)
	assert.EqualError(t, failed, "importer: x.csv: the row behind line 2 is longer than 64 MiB: is a quote not closed?")
	assert.Positive(t, text.Len(), "not all was read")
}

// Reasons are for people who do not know our types.
func TestDecodeNamesTheKey(t *testing.T) {
	var r struct {
		Text     string
		Messages []importedMessage
	}
	assert.EqualError(t, decode([]byte(`{"text": 1}`), &r), `"text" is of the wrong kind: number`)
	err := decode([]byte(`{"messages": [{"role": "user", "content": {"a": 1}}]}`), &r)
	assert.ErrorContains(t, err, `content" is of the wrong kind: object`)
}
