package yamlconf

import (
	"bytes"
	"io"
	"reflect"
	"regexp"
	"strings"

	"github.com/tame-rlhf/tame/pkg/setting"
)

// Table writes a Markdown table of all keys of a config, each in full, with its value, which is the
// default in a config of defaults, and the first sentence of its comment.
func Table(w io.Writer, cfg any, docs Docs) error {
	var b bytes.Buffer
	b.WriteString("| key | default | meaning |\n|---|---|---|\n")
	writeRows(&b, reflect.ValueOf(cfg).Elem(), nil, "", docs)
	_, err := w.Write(b.Bytes())
	return err
}

func writeRows(b *bytes.Buffer, v reflect.Value, omit []string, path string, docs Docs) {
	fields := fieldsOf(v, omit)
	last := ""
	for _, f := range fields {
		doc := docs[f.owner.String()+"."+f.name]
		if doc == "" && (strings.Contains(last, f.name) || strings.Contains(last, f.key)) {
			doc = last // it speaks of both
		}
		last = doc
		key := setting.Join(path, f.key)
		meaning := notes(keysForNames(firstSentence(doc), namedIn(fields, f)), f)
		if text, ok := literal(f.value); ok {
			writeRow(b, "`"+key+"`", "`"+text+"`", meaning)
			continue
		}
		writeRow(b, "`"+key+".*`", "", meaning)
		writeRows(b, f.value, f.omit, key, docs)
	}
}

func writeRow(b *bytes.Buffer, cells ...string) {
	for _, cell := range cells {
		b.WriteString("| " + strings.ReplaceAll(cell, "|", `\|`) + " ")
	}
	b.WriteString("|\n")
}

var sentenceEnd = regexp.MustCompile(`\.\s+[A-Z]`)

func firstSentence(doc string) string {
	if end := sentenceEnd.FindStringIndex(doc); end != nil {
		return doc[:end[0]+1]
	}
	return doc
}
