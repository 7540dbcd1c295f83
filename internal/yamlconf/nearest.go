package yamlconf

import (
	"cmp"
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/tame-rlhf/tame/internal/each"
)

// unknown refuses a key and names the one that was meant, if there is one: a similar key here, or the same one elsewhere.
func (r *reader) unknown(n *yaml.Node, fields []field, path string) {
	r.errs.Add(func() error {
		place := ""
		if path != "" {
			place = " in " + path
		}
		hint := ", want one of " + keysOf(fields)
		if near := cmp.Or(nearest(n.Value, fields), elsewhere(n.Value, r.source.root)); near != "" {
			hint = fmt.Sprintf(", did you mean %s?", near)
		}
		return fmt.Errorf("%s: unknown key %q%s%s", r.where(n), n.Value, place, hint)
	})
}

// nearest is the key with the fewest edits from the one written, if these are few.
func nearest(key string, fields []field) string {
	return Nearest(key, each.Of(fields, func(f field) string { return f.key }))
}

// Nearest is the word with the fewest edits from the one written, if these are few; else empty.
func Nearest(written string, words []string) string {
	best, least := "", max(1, len(written)/3)+1
	for _, word := range words {
		if d := distance(written, word); d < least {
			best, least = word, d
		}
	}
	return best
}

// elsewhere is the path of a key that ends in the one written.
func elsewhere(key string, root reflect.Value) string {
	last := key[strings.LastIndexByte(key, '.')+1:]
	found := ""
	leaves(root, nil, "", func(path string, f field) {
		if found == "" && f.key == last {
			found = path
		}
	})
	return found
}

// distance is the number of letters to insert, delete, replace, or swap with the next (optimal string alignment).
func distance(a, b string) int {
	var before []int // the row before last
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, row[j]+1, last[j+1]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
