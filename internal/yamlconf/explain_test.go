package yamlconf

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/setting"
)

// is is a wrong value.
func is(path string, value any, want string) error {
	return &setting.FieldError{Owner: "p: Settings", Path: path, Value: value, Want: want}
}

// explainLines are the lines of Explain, after a file and assignments.
func explainLines(t *testing.T, text string, sets []string, errs ...error) []string {
	t.Helper()
	_, s, err := parse(t, text)
	require.NoError(t, err)
	for _, set := range sets {
		require.NoError(t, s.Set(set))
	}
	return strings.Split(s.Explain(errors.Join(errs...)).Error(), "\n")
}

func TestExplain(t *testing.T) {
	assert.Equal(t, []string{
		"c.yaml:1: epochs is 0, want at least 1",
		"c.yaml:3: optim.learning_rate is -1, want a number",
		"c.yaml:4: optim.beta2 is 3, want less",
		"--set share=2: share is 2, want a share",
		"optim.beta1 is 0.9 by default, want more",
		"shape.num_kv_heads: file does not exist",
		"c.yaml:5: data[1] is b, want a name",
		"c.yaml:5: data is [a, b], want one name",
		"c.yaml:7: mode is fast, want slow",
		`model is "" by default, want a folder`,
	}, explainLines(t, "epochs: 0\noptim:\n  learning_rate: -1\n  beta2: 3\ndata: [a, b]\n\nmode: fast", []string{"share=2"},
		is("Epochs", 0, "at least 1"),
		is("Optim.LearningRate", -1.0, "a number"),
		is("Optim.Beta2", 3, "less"),
		is("Share", 2, "a share"),
		is("Optim.Beta1", 0.9, "more"),
		&setting.FieldError{Owner: "p: Settings", Path: "Shape.NumKVHeads", Err: fs.ErrNotExist},
		is("Data[1]", "b", "a name"),
		is("Data", []string{"a", "b"}, "one name"),
		is("Mode", mode(1), "slow"),
		is("Model", "", "a folder"),
	))
	_, s, err := parse(t, "")
	require.NoError(t, err)
	assert.NoError(t, s.Explain(nil))
	err = s.Explain(&setting.FieldError{Owner: "p: Settings", Path: "Model", Err: fs.ErrNotExist})
	assert.ErrorIs(t, err, fs.ErrNotExist)
	assert.Len(t, setting.Fields(err), 1)
}

// What has no key, and what is no FieldError, keeps its text.
func TestExplainKeepsOtherErrors(t *testing.T) {
	lines := []string{"p: Settings.Stop is [], want ids", "p: Settings.Other.Epochs is 0, want more", "p: Settings.Epochs.X is 0, want more",
		"open data: nothing there", "two: data and model"}
	assert.Equal(t, lines, explainLines(t, "epochs: 0", nil,
		is("Stop", []int32{}, "ids"), // left out by omit
		is("Other.Epochs", 0, "more"),
		is("Epochs.X", 0, "more"),
		errors.New("open data: nothing there"),
		fmt.Errorf("two: %w and %w", errors.New("data"), errors.New("model")),
	))
}

// Two sections have the same keys, and the first one's are right.
func TestExplainFindsTheSection(t *testing.T) {
	var c struct{ First, Second, Third innerConfig }
	s, err := Parse("c.yaml", []byte("first:\n  optim:\n    learning_rate: 1\n  epochs: 1\nsecond:\n  epochs: 0\n  optim: {learning_rate: -1}\n"), &c)
	require.NoError(t, err)
	check := setting.NewChecks("p: Config")
	wrong := setting.NewChecks("q: Config")
	wrong.AtLeast("Epochs", 0, 1)
	wrong.That(false, "Optim.LearningRate", -1, "at least Beta1, or Epochs")
	check.Nested("Second", wrong.Err())
	check.Nested("Third", wrong.Err())
	assert.EqualError(t, s.Explain(check.Err()), `c.yaml:6: second.epochs is 0, want at least 1
c.yaml:7: second.optim.learning_rate is -1, want at least beta1, or epochs
third.epochs is 0 by default, want at least 1
third.optim.learning_rate is -1 by default, want at least beta1, or epochs`)
}

// A Want names fields of the struct around, of one around that, and by a path.
func TestExplainKeysInWant(t *testing.T) {
	for want, text := range map[string]string{
		"1 to MaxSeqLen":              "1 to MaxSeqLen", // which omit leaves out
		"a divisor of Epochs":         "a divisor of epochs",
		"at most Shape.NumKVHeads, 8": "at most shape.num_kv_heads, 8",
		"as many as NumKVHeads":       "as many as num_kv_heads",
		"a number: Paper 2.2":         "a number: Paper 2.2",
		"below Beta2":                 "below Beta2", // of another struct
	} {
		assert.Equal(t, []string{"shape.num_kv_heads is 3 by default, want " + text}, explainLines(t, "", nil, is("Shape.NumKVHeads", 3, want)))
	}
}

// An error that others have put words around is explained if it is about these settings, and not
// about another struct with fields of the same names.
func TestExplainWrappedErrors(t *testing.T) {
	wrap := func(errs ...error) error { return fmt.Errorf("x/config.json: %w", errors.Join(errs...)) }
	assert.Equal(t, []string{
		"c.yaml:1: epochs is 7, want less", "c.yaml:2: seed is 3, want 4",
		"x/config.json: p: Settings.Epochs is 8, want less",
		"x/config.json: p: Settings.Epochs is 7, want less", "p: Settings.Layers is 1, want more",
		"(p: Settings.Epochs is 7, want less)",
	}, explainLines(t, "epochs: 7\nseed: 3", nil,
		wrap(is("Epochs", 7, "less"), is("Seed", uint64(3), "4")),
		wrap(is("Epochs", 8, "less")),
		wrap(is("Epochs", 7, "less"), is("Layers", 1, "more")),
		fmt.Errorf("(%w)", is("Epochs", 7, "less")),
	))
}
