// Package printable escapes what would steer a terminal in text that a model, a file or a program wrote: control
// characters (ESC, BEL, those of C1), the characters that change the direction of text, and bytes that are not UTF-8.
package printable

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text escapes a text as Go does in quoted strings. Line breaks and tabs stay.
func Text(text string) string {
	if strings.IndexFunc(text, steers) < 0 {
		return text
	}
	var b strings.Builder
	for _, c := range text {
		if steers(c) {
			quoted := strconv.QuoteRune(c)
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.WriteRune(c)
		}
	}
	return b.String()
}

// Line is Text for what has to stay on one line: line breaks and tabs are escaped too.
func Line(text string) string {
	return strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(Text(text))
}

// JSON escapes encoded JSON, which means the same afterwards. Its line breaks and tabs stay.
func JSON(encoded []byte) []byte {
	special := func(c rune) bool { return steers(c) && c != utf8.RuneError }
	if bytes.IndexFunc(encoded, special) < 0 {
		return encoded
	}
	var b bytes.Buffer
	for _, c := range string(encoded) {
		if special(c) {
			fmt.Fprintf(&b, `\u%04x`, c)
		} else {
			b.WriteRune(c)
		}
	}
	return b.Bytes()
}

// Writer passes texts on, escaped by Text. A Write has whole characters.
func Writer(w io.Writer) io.Writer {
	return writer{w, func(b []byte) []byte { return []byte(Text(string(b))) }}
}

// JSONWriter passes what a json.Encoder writes on, escaped by JSON. Encoders write a value at a time.
func JSONWriter(w io.Writer) io.Writer { return writer{w, JSON} }

type writer struct {
	w      io.Writer
	escape func([]byte) []byte
}

func (e writer) Write(b []byte) (int, error) {
	if _, err := e.w.Write(e.escape(b)); err != nil {
		return 0, err
	}
	return len(b), nil
}

func steers(c rune) bool {
	return c != '\n' && c != '\t' && (unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c) || c == utf8.RuneError)
}
