package setting

import (
	"strings"
	"unicode"
)

// Key is the name of a Go field in configuration files, in snake case: MinLRRatio is min_lr_ratio,
// NumKVHeads is num_kv_heads, KLCoef is kl_coef.
func Key(name string) string {
	runes := []rune(strings.ReplaceAll(name, "GAtt", "Gatt")) // one word
	var b strings.Builder
	for i, r := range runes {
		upper := unicode.IsUpper(r)
		if upper && i > 0 && runes[i-1] != '_' &&
			(!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
