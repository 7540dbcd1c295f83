package printable

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hostile has ESC, BEL, a C1 control, DEL, two marks of direction, and what may stay.
const hostile = "a\x1b[2Jb\ac\u009bd\x7fe\u202ef\u2066g é\n\t😀"

func TestText(t *testing.T) {
	assert.Equal(t, `a\x1b[2Jb\ac\u009bd\x7fe\u202ef\u2066g é`+"\n\t😀", Text(hostile))
	assert.Equal(t, "plain é\n", Text("plain é\n"))
	assert.Equal(t, "\ufffd[31m", Text("\x9b[31m"), "a byte that 8-bit terminals take for CSI")
}

func TestWriter(t *testing.T) {
	var out bytes.Buffer
	n, err := Writer(&out).Write([]byte(hostile))
	require.NoError(t, err)
	assert.Equal(t, len(hostile), n)
	assert.Equal(t, Text(hostile), out.String())
}

func TestLine(t *testing.T) {
	assert.Equal(t, `a\n\tb\x1b`, Line("a\n\tb\x1b"))
}

// TestJSON: the value stays the same, and no character that steers is left.
func TestJSON(t *testing.T) {
	var out bytes.Buffer
	encoder := json.NewEncoder(JSONWriter(&out))
	encoder.SetEscapeHTML(false)
	require.NoError(t, encoder.Encode(map[string]string{hostile: hostile + "\ufffd"}))
	assert.Equal(t, out.String(), Text(out.String()), "nothing is left to escape")
	assert.Contains(t, out.String(), `\u009b`)
	var back map[string]string
	require.NoError(t, json.Unmarshal(out.Bytes(), &back))
	assert.Equal(t, map[string]string{hostile: hostile + "\ufffd"}, back)
}
