package importer

import (
	"bufio"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Quotes mean what they mean to pandas 3.1.1, whose rows these are.
func TestCSVQuotes(t *testing.T) {
	for text, want := range map[string]string{
		"a,b\n1,x \"q\" y\n":           `{"a":"1","b":"x \"q\" y"}`,
		"a,b\n\"1\" z,2\n":             `{"a":"1 z","b":"2"}`,
		"a,b\n\"x \"\"y\"\" z\",2\n":   `{"a":"x \"y\" z","b":"2"}`,
		"a,b\n5\" disk,\"a,b\"\n":      `{"a":"5\" disk","b":"a,b"}`,
		"a,b\n\"a\nb\",c\n":            `{"a":"a\nb","b":"c"}`,
		"a,a\n1,2\n":                   `{"a":"1","a.1":"2"}`,
		"a,b\n\"x\"y\"z,2\n":           `{"a":"xy\"z","b":"2"}`,
		"a,b\n\"\",x\n\n1,2\n":         `{"a":"","b":"x"}|{"a":"1","b":"2"}`,
		"a,b\n1,2\"\n":                 `{"a":"1","b":"2\""}`,
		"a,b\n\"\"x,2":                 `{"a":"x","b":"2"}`,
		"\r\na,b\r\n1,2\r\n\r\n3,\r\n": `{"a":"1","b":"2"}|{"a":"3","b":""}`,
		"a,b\n1\n1,2\n":                "2: it has 1 fields, the header 2|" + `{"a":"1","b":"2"}`,
		"a,b\n1,\"2\n":                 "2: a quote is not closed",
	} {
		var rows []string
		for row, err := range csvRows(origin{path: "x.csv"}, bufio.NewReader(strings.NewReader(text))) {
			assert.NoError(t, err)
			if row.err != nil {
				rows = append(rows, RowError{File: "", Line: row.line, Err: row.err}.Error()[1:])
				continue
			}
			rows = append(rows, string(row.raw))
		}
		assert.Equal(t, want, strings.Join(rows, "|"), "%q", text)
	}
}

func TestCSVColumns(t *testing.T) {
	for text, want := range map[string]string{
		strings.Repeat(",", maxColumns) + "\n": "importer: x.csv: the header: it has 10001 columns, at most 10000 are read",
		"caf\xe9,b\n":                          "importer: x.csv: the header: not valid UTF-8: if it is in Latin-1 or Windows-1252: iconv -f WINDOWS-1252 -t UTF-8 < x.csv > x.utf8.csv",
	} {
		for _, err := range csvRows(origin{path: "x.csv"}, bufio.NewReader(strings.NewReader(text))) {
			assert.EqualError(t, err, want)
		}
	}
}
