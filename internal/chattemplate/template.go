package chattemplate

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/ardanlabs/jinja"
)

// Bounds of a template and of one rendering.
const (
	MaxSource = 64 << 10

	maxSteps = 1_000_000 // rounds of loops and calls of macros
	maxDepth = 200       // macros that call each other
	maxRange = 100_000   // numbers of range
)

// Begin and end of what {% generation %} encloses: noncharacters of Unicode, which no text should have.
const (
	beginMark = "\uFDD0"
	endMark   = "\uFDD1"
)

// Names that the rewritten template calls.
const (
	stepName  = "tame_step"
	enterName = "tame_enter"
	leaveName = "tame_leave"
)

// Message is one message of a dialogue: role and content in the template.
type Message struct{ Role, Content string }

// Template is a compiled chat template. It may be used at the same time.
type Template struct {
	compiled *jinja.Template
	marks    bool
	dated    bool
}

// Compile reads the source of a template.
func Compile(source string) (t *Template, err error) {
	if len(source) > MaxSource {
		return nil, fmt.Errorf("a template has at most %d bytes, this one has %d", MaxSource, len(source))
	}
	defer recovered(&err)
	segments, err := scan(source)
	if err != nil {
		return nil, err
	}
	t = &Template{dated: strings.Contains(source, "strftime_now")}
	rewritten, err := t.rewrite(segments)
	if err != nil {
		return nil, err
	}
	if t.compiled, err = jinja.Compile(rewritten); err != nil {
		return nil, err
	}
	return t, nil
}

// Marks says whether the template marks the answers to learn from.
func (t *Template) Marks() bool { return t.marks }

// rewrite turns segments into a template without any text outside of tags, so that the white space around tags is what scan left,
// with marks for answers, and with a count of what its loops and macros do.
func (t *Template) rewrite(segments []segment) (string, error) {
	var b strings.Builder
	for _, s := range segments {
		switch s.open {
		case "":
			b.WriteString("{{ '" + quoter.Replace(s.body) + "' }}")
			continue
		case "{%":
		default:
			b.WriteString(s.open + s.body + closers[s.open])
			continue
		}
		word, rest, _ := strings.Cut(strings.TrimSpace(s.body), " ")
		switch word {
		case "generation", "endgeneration":
			t.marks = true
			mark := map[string]string{"generation": beginMark, "endgeneration": endMark}[word]
			b.WriteString("{{ '" + mark + "' }}")
			continue
		case "endmacro":
			b.WriteString("{{ " + leaveName + "() }}")
		}
		b.WriteString("{%" + s.body + "%}")
		switch word {
		case "macro":
			b.WriteString("{{ " + enterName + "() }}")
		case "for":
			if recursive.MatchString(rest) {
				return "", fmt.Errorf("line %d: recursive loops are not supported", s.line)
			}
			b.WriteString("{{ " + stepName + "() }}")
		}
	}
	return b.String(), nil
}

var (
	quoter    = strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	recursive = regexp.MustCompile(`\brecursive\s*$`)
)

// Render returns the text of a dialogue. variables are the special tokens by the names that transformers gives them, such as bos_token.
// With generate, the text ends where the answer begins. answers are the byte offsets of what the template marks, in pairs.
func (t *Template) Render(messages []Message, variables map[string]string, generate bool) (text string, answers [][2]int, err error) {
	defer recovered(&err)
	list := make([]jinja.Value, len(messages))
	for i, m := range messages {
		if strings.Contains(m.Content, beginMark) || strings.Contains(m.Content, endMark) {
			return "", nil, fmt.Errorf("message %d (%s) has U+FDD0 or U+FDD1, which are no characters of Unicode", i, m.Role)
		}
		list[i] = jinja.NewDict()
		list[i].AsDict().Set("role", jinja.NewString(m.Role))
		list[i].AsDict().Set("content", jinja.NewString(m.Content))
	}
	values := guards()
	for name, value := range variables {
		values[name] = jinja.NewString(value)
	}
	values["messages"] = jinja.NewList(list)
	values["add_generation_prompt"] = jinja.NewBool(generate)
	values["tools"], values["documents"] = jinja.None(), jinja.None()
	text, err = t.compiled.RenderValues(values)
	if err != nil {
		if t.dated && strings.Contains(err.Error(), "strftime_now") {
			err = fmt.Errorf("%w: the template writes the date of the day, with which no run could be repeated: put a fixed date in its place", err)
		}
		return "", nil, err
	}
	return unmark(text)
}

// guards are the functions that count, and the names that a template does not get.
func guards() map[string]jinja.Value {
	steps, depth := 0, 0
	nothing := jinja.NewString("")
	step := func() (jinja.Value, error) {
		if steps++; steps > maxSteps {
			return nothing, fmt.Errorf("more than %d rounds of loops", maxSteps)
		}
		return nothing, nil
	}
	function := func(name string, fn func() (jinja.Value, error)) jinja.Value {
		return jinja.NewCallable(name, func([]jinja.Value, map[string]jinja.Value) (jinja.Value, error) { return fn() })
	}
	return map[string]jinja.Value{
		stepName: function(stepName, step),
		enterName: function(enterName, func() (jinja.Value, error) {
			if depth++; depth > maxDepth {
				return nothing, fmt.Errorf("macros call each other more than %d deep", maxDepth)
			}
			return step()
		}),
		leaveName: function(leaveName, func() (jinja.Value, error) {
			depth--
			return nothing, nil
		}),
		"range":        jinja.NewCallable("range", numbers),
		"strftime_now": jinja.Undefined(),
	}
}

// numbers is Jinja's range, which stops at maxRange numbers.
func numbers(args []jinja.Value, _ map[string]jinja.Value) (jinja.Value, error) {
	ends := []int64{0, 0, 1}
	if len(args) == 0 || len(args) > 3 {
		return jinja.None(), fmt.Errorf("range: want 1 to 3 numbers, got %d", len(args))
	}
	for i, a := range args {
		if !a.IsInt() {
			return jinja.None(), fmt.Errorf("range: %v is no whole number", a)
		}
		if len(args) == 1 {
			i = 1
		}
		ends[i] = a.AsInt()
	}
	start, stop, by := ends[0], ends[1], ends[2]
	if by == 0 {
		return jinja.None(), errors.New("range: the step is 0")
	}
	var list []jinja.Value
	for x := start; by > 0 && x < stop || by < 0 && x > stop; x += by {
		if len(list) == maxRange {
			return jinja.None(), fmt.Errorf("range: more than %d numbers", maxRange)
		}
		list = append(list, jinja.NewInt(x))
	}
	return jinja.NewList(list), nil
}

// unmark takes the marks out of a text.
func unmark(text string) (string, [][2]int, error) {
	var b strings.Builder
	var answers [][2]int
	open := false
	for {
		i := strings.IndexAny(text, beginMark+endMark)
		if i < 0 {
			b.WriteString(text)
			break
		}
		b.WriteString(text[:i])
		begins := strings.HasPrefix(text[i:], beginMark)
		if begins == open {
			return "", nil, errors.New("the template's generation blocks are inside each other")
		}
		if open = begins; begins {
			answers = append(answers, [2]int{b.Len(), b.Len()})
		} else {
			answers[len(answers)-1][1] = b.Len()
		}
		text = text[i+len(beginMark):]
	}
	return b.String(), answers, nil
}

// recovered turns a panic of the template engine, which runs in this goroutine, into an error.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("the template cannot be run: %v", r)
	}
}
