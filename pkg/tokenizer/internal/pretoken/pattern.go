package pretoken

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// translate writes a pattern of Oniguruma for regexp2. It knows the constructs of pre-tokenizers and refuses all others, because many mean
// something else there (^, $, \w, (?m), sets inside sets).
func translate(pattern string) (string, error) {
	t := &translator{in: pattern, folds: []bool{false}}
	for t.in != "" {
		if err := t.step(); err != nil {
			return "", err
		}
	}
	return t.out.String(), nil
}

type translator struct {
	in    string // what is left
	out   strings.Builder
	folds []bool // for each open group: case does not matter
}

// next takes a character.
func (t *translator) next() rune {
	r, n := utf8.DecodeRuneInString(t.in)
	t.in = t.in[n:]
	return r
}

// take takes a text if it is next.
func (t *translator) take(text string) bool {
	rest, ok := strings.CutPrefix(t.in, text)
	t.in = rest
	return ok
}

func (t *translator) fold() bool { return t.folds[len(t.folds)-1] }

// step translates one construct outside of sets.
func (t *translator) step() error {
	switch {
	case t.take("("):
		return t.group()
	case t.take(")"):
		if len(t.folds) == 1 {
			return errors.New("a closing parenthesis too many")
		}
		t.folds = t.folds[:len(t.folds)-1]
		t.out.WriteByte(')')
	case t.take("["):
		return t.set()
	case t.take(`\`):
		return t.escape(false)
	default:
		r := t.next()
		if strings.ContainsRune("^$", r) {
			return fmt.Errorf("%q, which is not supported", r)
		}
		if r == '}' && strings.HasPrefix(t.in, "+") {
			return errors.New("}+, which is not supported") // possessive in one engine, a repetition of it in the other
		}
		if others := orbit(r); t.fold() && len(others) > 1 {
			t.out.WriteString("[" + string(others) + "]")
			return nil
		}
		t.out.WriteRune(r)
	}
	return nil
}

func (t *translator) group() error {
	for _, kind := range []string{"?:", "?=", "?!", "?<=", "?<!", "?>", "?i:", ""} {
		if kind == "" && strings.HasPrefix(t.in, "?") || !t.take(kind) {
			continue
		}
		t.folds = append(t.folds, t.fold() || kind == "?i:")
		t.out.WriteString("(" + strings.ReplaceAll(kind, "?i:", "?:"))
		return nil
	}
	return fmt.Errorf("the group (%.3s, which is not supported", t.in)
}

// set translates the inside of square brackets.
func (t *translator) set() error {
	t.out.WriteByte('[')
	if t.take("^") {
		t.out.WriteByte('^')
	}
	for first := true; ; first = false {
		switch {
		case t.in == "":
			return errors.New("a set without an end")
		case t.take("]"):
			t.out.WriteByte(']')
			if first {
				return errors.New("an empty set")
			}
			return nil
		case strings.HasPrefix(t.in, "[") || strings.HasPrefix(t.in, "&&"):
			return errors.New("a set inside a set, which is not supported")
		case t.take(`\`):
			if err := t.escape(true); err != nil {
				return err
			}
		default:
			r := t.next()
			if others := orbit(r); t.fold() && len(others) > 1 {
				if strings.HasPrefix(t.in, "-") {
					return errors.New("a range where case does not matter, which is not supported")
				}
				t.out.WriteString(string(others))
				continue
			}
			t.out.WriteRune(r)
		}
	}
}

// escape translates what follows a backslash.
func (t *translator) escape(inSet bool) error {
	r := t.next()
	switch {
	case strings.ContainsRune("rntfv", r) || r < utf8.RuneSelf && (unicode.IsPunct(r) || unicode.IsSymbol(r) || r == ' '):
		t.out.WriteString(`\` + string(r))
	case r == 's' || r == 'S':
		t.class(spaceRanges, r == 'S', inSet)
	case r == 'd' || r == 'D':
		t.out.WriteString(`\` + string(r))
	case r == 'x' && strings.HasPrefix(t.in, "{"), r == 'u' && len(t.in) >= 4, r == 'x' && len(t.in) >= 2:
		digits := t.in[:min(len(t.in), 2)]
		if r == 'u' {
			digits = t.in[:4]
		}
		t.in = t.in[len(digits):]
		if strings.HasPrefix(digits, "{") {
			inside, rest, ok := strings.Cut(digits+t.in, "}")
			if !ok {
				return errors.New(`a \x{ without an end`)
			}
			digits, t.in = inside[1:], rest
		}
		code, err := strconv.ParseUint(digits, 16, 32)
		if err != nil || code > utf8.MaxRune || t.fold() && len(orbit(rune(code))) > 1 {
			return fmt.Errorf(`the character \%c%s, which is not supported`, r, digits)
		}
		if code < utf8.RuneSelf {
			fmt.Fprintf(&t.out, `\x%02x`, code)
		} else {
			t.out.WriteRune(rune(code))
		}
	case (r == 'p' || r == 'P') && strings.HasPrefix(t.in, "{"):
		name, rest, _ := strings.Cut(t.in[1:], "}")
		t.in = rest
		return t.property(name, r == 'P', inSet)
	default:
		return fmt.Errorf(`\%c, which is not supported`, r)
	}
	return nil
}

// property translates \p{name}. Letters and numbers are those of the tables here.
func (t *translator) property(name string, not, inSet bool) error {
	if rest, ok := strings.CutPrefix(name, "^"); ok {
		name, not = rest, !not
	}
	switch name {
	case "L":
		t.class(letterRanges, not, inSet)
	case "N":
		t.class(numberRanges, not, inSet)
	default:
		if unicode.Categories[name] == nil && unicode.Scripts[name] == nil {
			return fmt.Errorf(`\p{%s}, which is not supported`, name)
		}
		kind := `\p`
		if not {
			kind = `\P`
		}
		t.out.WriteString(kind + "{" + name + "}")
	}
	return nil
}

// class writes a set of characters, inside a set or as one.
func (t *translator) class(of []rune, not, inSet bool) {
	if not {
		of = complement(of)
	}
	text := ranges(of)
	if !inSet {
		text = "[" + text + "]"
	}
	t.out.WriteString(text)
}

// orbit lists the characters that differ from r in case alone, and r.
func orbit(r rune) []rune {
	all := []rune{r}
	for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
		all = append(all, other)
	}
	slices.Sort(all)
	return all
}
