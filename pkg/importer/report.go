package importer

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/tame-rlhf/tame/pkg/data"
)

// Report says what an importer took and what it refused. A bad row does not stop the others.
type Report struct {
	Read    int        // rows of the input
	Rows    int        // rows taken: a row of the input may give none, one or several
	Skipped int        // rows of the input that are all right and give nothing: ties, answers without a partner
	Refused []RowError // in the order of the files; the first MaxRefused of them where rows are imported one by one
	More    int        // refused rows that are not in Refused

	reasons map[Reason]int
	unused  map[UnusedKey]int
	special map[string]int
}

// MaxRefused is how many refused rows an Import keeps. It counts the others.
const MaxRefused = 1000

// RowError names a row that was refused.
type RowError struct {
	File string
	Line int // of the row's beginning, from 1; in Arrow and Parquet the row
	// Element is the row's place in a JSON array, from 1; 0 in other files.
	Element int
	Err     error
}

func (e RowError) Error() string {
	if e.Element > 0 {
		return fmt.Sprintf("%s:%d: element %d: %v", e.File, e.Line, e.Element, e.Err)
	}
	return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err)
}

// Unwrap is the reason.
func (e RowError) Unwrap() error { return e.Err }

// NumRefused counts the rows that were refused.
func (r Report) NumRefused() int { return len(r.Refused) + r.More }

// String is a line for people: the counts, and the first reason.
func (r Report) String() string {
	if r.NumRefused() == 0 {
		return fmt.Sprintf("%d rows taken", r.Rows)
	}
	return fmt.Sprintf("%d rows taken, %d refused; the first: %v", r.Rows, r.NumRefused(), r.Refused[0])
}

// Reason is why rows gave nothing. What differs from row to row, numbers and quoted text, is left out of Text.
type Reason struct {
	Text    string
	Skipped bool // the row is all right
}

// ReasonCount is a reason with the number of rows that it holds for.
type ReasonCount struct {
	Reason
	Rows int
}

// Reasons counts the rows that were refused or skipped, the most frequent reason first.
func (r Report) Reasons() []ReasonCount {
	var list []ReasonCount
	for reason, n := range r.reasons {
		list = append(list, ReasonCount{reason, n})
	}
	slices.SortFunc(list, func(a, b ReasonCount) int {
		return cmp.Or(cmp.Compare(b.Rows, a.Rows), strings.Compare(a.Text, b.Text))
	})
	return list
}

// UnusedKey is a key that has something to say in rows and was not used.
type UnusedKey struct {
	Key   string // nested ones with those that they are in: "messages.name"
	Label bool   // known to say only where a row is from or what it is about: not refused by Config.Strict
	Hint  string // what may be wrong with it
}

// UnusedCount is a key that was not used, with the number of rows that have it.
type UnusedCount struct {
	UnusedKey
	Rows int
}

// Unused counts the keys that were not used, those first that may mean something, the most frequent ones first.
func (r Report) Unused() []UnusedCount {
	var list []UnusedCount
	for key, n := range r.unused {
		list = append(list, UnusedCount{key, n})
	}
	slices.SortFunc(list, func(a, b UnusedCount) int {
		if a.Label != b.Label {
			return cmp.Compare(strconv.FormatBool(a.Label), strconv.FormatBool(b.Label))
		}
		return cmp.Or(cmp.Compare(b.Rows, a.Rows), strings.Compare(a.Key, b.Key))
	})
	return list
}

const maxUnused = 1000

// leftOut counts the keys of a row that are not used, each once.
func (r *Report) leftOut(keys []UnusedKey) {
	for i, key := range keys {
		if slices.Contains(keys[:i], key) {
			continue
		}
		if r.unused == nil {
			r.unused = map[UnusedKey]int{}
		}
		if _, ok := r.unused[key]; !ok && len(r.unused) >= maxUnused {
			key = UnusedKey{Key: "other keys"}
		}
		r.unused[key]++
	}
}

// SpecialTokens counts the rows taken that have special tokens of chat formats as text, see data.SpecialTokens.
func (r Report) SpecialTokens() map[string]int { return maps.Clone(r.special) }

// take counts a row that an import gives.
func (r *Report) take(row any) {
	r.Rows++
	if row, ok := row.(interface{ Parts() []data.Part }); ok {
		for _, token := range data.SpecialTokens(row) {
			if r.special == nil {
				r.special = map[string]int{}
			}
			r.special[token]++
		}
	}
}

// errSkip marks a row that is all right and gives nothing.
type errSkip struct{ reason string }

func (e errSkip) Error() string { return e.reason }

const maxReasons = 50

var (
	differing   = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|\b[0-9]+\b|'[^']*'`)
	otherReason = Reason{Text: "other reasons"}
)

func (r *Report) count(reason string, skipped bool, rows int) {
	if r.reasons == nil {
		r.reasons = map[Reason]int{}
	}
	key := Reason{reason, skipped}
	if !skipped {
		key.Text = differing.ReplaceAllStringFunc(reason, func(s string) string {
			if strings.ContainsAny(s[:1], `"'`) {
				if s[0] == '"' && len(s) <= 24 && isName(s[1:len(s)-1]) {
					return s // a key or a role
				}
				return `"..."`
			}
			return "N"
		})
	}
	if _, ok := r.reasons[key]; !ok && len(r.reasons) >= maxReasons {
		key = otherReason
	}
	r.reasons[key] += rows
}

func isName(s string) bool {
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-/ ") == ""
}

// refuse notes a row that gave nothing, and says whether it was a bad one.
func (r *Report) refuse(e RowError, most int) bool {
	var skip errSkip
	if errors.As(e.Err, &skip) {
		r.Skipped++
		r.count(skip.reason, true, 1)
		return false
	}
	r.count(e.Err.Error(), false, 1)
	if len(r.Refused) < most {
		r.Refused = append(r.Refused, e)
	} else {
		r.More++
	}
	return true
}
