package chattemplate

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// golden.json holds what Jinja itself makes of templates: see testdata/make.py.
func TestGolden(t *testing.T) {
	raw, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	var cases []struct {
		Name, Template, Text, Error string
		Messages                    []Message
		Generate                    bool
	}
	require.NoError(t, json.Unmarshal(raw, &cases))
	require.Greater(t, len(cases), 400)
	vars := map[string]string{"bos_token": "<s>", "eos_token": "</s>"}
	for _, c := range cases {
		tmpl, err := Compile(c.Template)
		if !assert.NoError(t, err, "%s: %q", c.Name, c.Template) {
			continue
		}
		text, _, err := tmpl.Render(c.Messages, vars, c.Generate)
		if c.Error != "" {
			assert.ErrorContains(t, err, c.Error, "%s", c.Name)
			continue
		}
		assert.NoError(t, err, "%s: %q", c.Name, c.Template)
		assert.Equal(t, c.Text, text, "%s: %q", c.Name, c.Template)
	}
}

func TestMarks(t *testing.T) {
	tmpl, err := Compile("{% for m in messages %}\n{% if m.role == 'assistant' %}\nA:{% generation %}\n{{ m.content }}!{% endgeneration %}\n{% else %}U:{{ m.content }}\n{% endif %}\n{% endfor %}")
	require.NoError(t, err)
	assert.True(t, tmpl.Marks())
	text, answers, err := tmpl.Render([]Message{{"user", "x"}, {"assistant", "one"}, {"user", "y"}, {"assistant", "two"}}, nil, false)
	require.NoError(t, err)
	assert.Equal(t, "U:x\nA:one!U:y\nA:two!", text)
	var found []string
	for _, a := range answers {
		found = append(found, text[a[0]:a[1]])
	}
	assert.Equal(t, []string{"one!", "two!"}, found)
	_, _, err = tmpl.Render([]Message{{"user", "x\uFDD0"}}, nil, false)
	assert.ErrorContains(t, err, "message 0 (user) has U+FDD0")
}

// What a template of somebody's model may try ends in an error, soon.
func TestHostile(t *testing.T) {
	for source, want := range map[string]string{
		"{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}":                                       "more than 200 deep",
		"{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}": "more than 200 deep",
		"{% for i in range(1000000000) %}x{% endfor %}":                                         "more than 100000 numbers",
		"{% for i in range(1, 9000000000, 0) %}x{% endfor %}":                                   "step is 0",
		"{% for i in range(10000) %}{% for k in range(10000) %}{% endfor %}{% endfor %}":        "more than 1000000 rounds",
		"{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}":                               "recursive loops",
		"{{ strftime_now('%Y') }}":                                                              "strftime_now",
		"{{ messages[99].content.x.y }}{{ raise_exception('no such message') }}":                "",
		strings.Repeat("{{ x }}", MaxSource):                                                    "at most 65536 bytes",
		"a\n\n{% if x":                                                                          "line 3",
		"{% raw %} a":                                                                           "raw without endraw",
		"a\n  {%- if true %}\n{{ '\n' }}{% nonsense %}":                                         "line 4",
		"{{ " + strings.Repeat("(", 20000):                                                      "",
		"{{ " + strings.Repeat("[", 20000) + " }}":                                              "",
		"{% generation %}{% generation %}{% endgeneration %}":                                   "inside each other",
		"{% for m in messages %}{% endgeneration %}{% endfor %}":                                "inside each other",
	} {
		name := source[:min(len(source), 60)]
		tmpl, err := Compile(source)
		if err == nil {
			_, _, err = tmpl.Render([]Message{{"user", "x"}}, nil, true)
		}
		if assert.Error(t, err, "%q", name) {
			assert.Contains(t, err.Error(), want, "%q", name)
		}
	}
}

// Whatever a template says, it is rendered or refused.
func FuzzTemplate(f *testing.F) {
	f.Add("{% for m in messages %}{{ m['role'] + m.content | trim }}{% generation %}x{% endgeneration %}{% endfor %}", "Hello")
	f.Add("{%- macro f(a, b=1) -%}{{ a[b:] }}{%- endmacro -%}{% set ns = namespace(x=0) %}{{ f('abc') ~ ns.x | tojson }}", "{{ x }}")
	f.Add("{% raw %}{% if %}{% endraw %}{% if add_generation_prompt is defined and not tools %}{{ '%}' }}{% endif %}", "")
	f.Fuzz(func(t *testing.T, source, content string) {
		tmpl, err := Compile(source)
		if err != nil {
			return
		}
		text, answers, err := tmpl.Render([]Message{{"user", content}, {"assistant", content}}, nil, true)
		for _, a := range answers {
			if err == nil && (a[0] > a[1] || a[1] > len(text)) {
				t.Fatalf("answer %v of %d bytes", a, len(text))
			}
		}
	})
}
