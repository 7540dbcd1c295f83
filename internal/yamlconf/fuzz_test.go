package yamlconf

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// No file of settings makes the reader panic, and what is wrong with it is told in few lines.
func FuzzSettings(f *testing.F) {
	f.Add([]byte("model: 7\ndata: [one.arrow]\noptim: {learning_rate: 1e-4, beta2: .5}\nepochs: 4_000\ngate: true\n"))
	f.Add([]byte("a: &a [x]\ndata: *a\noptim:\n  <<: {beta1: 1}\n---\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c := defaults()
		s, err := Parse("c.yaml", raw, &c)
		if list, ok := err.(interface{ Unwrap() []error }); ok {
			require.LessOrEqual(t, len(list.Unwrap()), 11)
		}
		if err == nil {
			_ = s.Explain(s.Missing())
		}
	})
}
