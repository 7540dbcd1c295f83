package yamlconf

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A config with everything in it.
type optimConfig struct {
	LearningRate float64
	Beta1, Beta2 float64
}

type innerConfig struct {
	Optim   optimConfig
	Epochs  int
	Seed    uint64
	Stop    []int32
	OnStep  func()
	Keep    string `json:"-"`
	Gate    bool
	Mode    mode
	Margins margins
}

type config struct {
	Model       string   `conf:"required,place"`
	Data        []string `conf:"required,input"`
	innerConfig `conf:"omit=stop"`
	Share       float32
	Shape       struct{ NumKVHeads, MaxSeqLen int } `conf:"omit=max_seq_len"`
}

type mode int

var modes = []string{"slow", "fast"}

func (m mode) MarshalText() ([]byte, error) {
	if int(m) >= len(modes) {
		return nil, errors.New("no mode")
	}
	return []byte(modes[m]), nil
}

func (m *mode) UnmarshalText(text []byte) error {
	for i, name := range modes {
		if name == string(text) {
			*m = mode(i)
			return nil
		}
	}
	return fmt.Errorf("unknown mode %q", text)
}

// margins is a struct that has names for some of its values.
type margins struct{ Big, Small float64 }

func (m margins) MarshalText() ([]byte, error) {
	if m == (margins{3, 1}) {
		return []byte("large"), nil
	}
	return nil, errors.New("no name")
}

func (m *margins) UnmarshalText(text []byte) error {
	if string(text) != "large" {
		return fmt.Errorf("unknown margins %q, want large", text)
	}
	*m = margins{3, 1}
	return nil
}

func defaults() config {
	c := config{Share: 0.1}
	c.Optim, c.Epochs, c.Margins = optimConfig{2e-5, 0.9, 0.95}, 2, margins{3, 1}
	c.Shape.NumKVHeads, c.Shape.MaxSeqLen = 8, 4096
	c.Stop = []int32{2}
	return c
}

func parse(t *testing.T, text string) (config, *Source, error) {
	t.Helper()
	c := defaults()
	s, err := Parse("c.yaml", []byte(text), &c)
	return c, s, err
}

func TestValues(t *testing.T) {
	c, _, err := parse(t, `
model: 7          # a text all the same
data: one.arrow   # a list of one
optim: {learning_rate: 1e-4, beta2: .5}
epochs: 4_000
seed: 18446744073709551615
gate: true
mode: fast
share: &x 0.5
margins: {big: 9}
shape:
  num_kv_heads: 2
`)
	require.NoError(t, err)
	want := defaults()
	want.Model, want.Data = "7", []string{"one.arrow"}
	want.Optim, want.Epochs, want.Seed, want.Gate, want.Mode = optimConfig{1e-4, 0.9, 0.5}, 4000, math.MaxUint64, true, 1
	want.Share, want.Margins.Big, want.Shape.NumKVHeads = 0.5, 9, 2
	assert.Equal(t, fmt.Sprint(want), fmt.Sprint(c)) // functions do not compare
}

func TestErrorsNameLineAndKey(t *testing.T) {
	for text, want := range map[string]string{
		"epochs: 1\noptim:\n  learning_ratee: 1": `c.yaml:3: unknown key "learning_ratee" in optim, did you mean learning_rate?`,
		"learning_rate: 1":                       `c.yaml:1: unknown key "learning_rate", did you mean optim.learning_rate?`,
		"epochs: 1\n\tgate: true":                `c.yaml:2: no YAML: found a tab`,
		"zzzzzzzz: 1":                            `c.yaml:1: unknown key "zzzzzzzz", want one of model, data, optim, epochs, seed, gate, mode, margins, share, shape`,
		"stop: [1]":                              `unknown key "stop"`,
		"shape: {max_seq_len: 1}":                `c.yaml:1: unknown key "max_seq_len" in shape`,
		"keep: x":                                `unknown key "keep"`,
		"\nepochs: many":                         `c.yaml:2: epochs is "many", want a whole number`,
		"epochs: 1.5":                            `c.yaml:1: epochs is "1.5", want a whole number`,
		"epochs: \"3\"":                          `epochs is "3", want a whole number`,
		"epochs:":                                `epochs is empty, want a whole number`,
		"epochs: [1]":                            `epochs is a list, want a whole number`,
		"seed: -1":                               `seed is "-1", want a whole number of at least 0`,
		"gate: yes":                              `gate is "yes", want true or false`,
		"share: .nan":                            `share is ".nan", want a number`,
		"share: inf":                             `share is "inf", want a number`,
		"model: {a: 1}":                          `model is a map, want a text`,
		"data: {a: 1}":                           `data is a map, want a list`,
		"data: [a, [b]]":                         `data[1] is a list, want a text`,
		"optim: 3":                               `optim is "3", want keys: learning_rate, beta1, beta2`,
		"mode: quick":                            `c.yaml:1: mode: unknown mode "quick"`,
		"margins: huge":                          `c.yaml:1: margins: unknown margins "huge", want large`,
		"epochs: 1\nseed: 2\nepochs: 3":          `c.yaml:3: key "epochs" stands here again, first in line 1`,
		"a: [":                                   `c.yaml:2: no YAML: `,
		"- a":                                    `c.yaml:1: the file is a list, want keys: model, data`,
		"epochs: 1\n---\nepochs: 2":              `second document`,
		"epochs: x\ngate: 3\noptim: {beta3: 0.25}": "c.yaml:1: epochs is \"x\", want a whole number\nc.yaml:2: gate is \"3\", want true or false\nc.yaml:3: unknown key \"beta3\" in optim, did you mean beta1?",
	} {
		_, _, err := parse(t, text)
		if assert.Error(t, err, text) {
			assert.Contains(t, err.Error(), want, text)
		}
	}
}

// A file that was made to hurt has many keys, or is large.
func TestManyErrors(t *testing.T) {
	text := ""
	for i := range 1000 {
		text += fmt.Sprintf("k%d: 1\n", i)
	}
	var cfg innerConfig
	_, err := Parse("x.yaml", []byte(text), &cfg)
	assert.ErrorContains(t, err, `x.yaml:1: unknown key "k0"`)
	assert.ErrorContains(t, err, "and 990 more such errors")
	assert.Equal(t, 10, strings.Count(err.Error(), "\n"))

	path := filepath.Join(t.TempDir(), "x.yaml")
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("# x\n", maxFileBytes/4+1)), 0o600))
	_, err = Load(path, &cfg)
	assert.ErrorContains(t, err, path+" has more than 524288 bytes, which is the limit")
}

func TestSet(t *testing.T) {
	c := defaults()
	s, err := Load("", &c)
	require.NoError(t, err)
	for _, a := range []string{"optim.learning_rate=0.5", "data=[a, b]", "model=x=y", "shape.num_kv_heads=4", "mode=fast", "epochs=9"} {
		require.NoError(t, s.Set(a), a)
	}
	assert.Equal(t, 0.5, c.Optim.LearningRate)
	assert.Equal(t, []string{"a", "b"}, c.Data)
	assert.Equal(t, "x=y", c.Model)
	assert.Equal(t, 4, c.Shape.NumKVHeads)
	assert.Equal(t, 9, c.Epochs)
	require.NoError(t, s.Set("model="))
	assert.Empty(t, c.Model)
	for assignment, want := range map[string]string{
		"optim.learning_ratee=1": `--set optim.learning_ratee=1: unknown key "learning_ratee" in optim, did you mean learning_rate?`,
		"epochs=x":               `--set epochs=x: epochs is "x", want a whole number`,
		"epochs":                 `--set epochs: want key=value`,
		"epochs.x=1":             `--set epochs.x=1: epochs is a map, want a whole number`,
		"data=[a":                `--set data=[a: `,
	} {
		assert.ErrorContains(t, s.Set(assignment), want)
	}
}

func TestMissingAreNamedTogether(t *testing.T) {
	_, s, err := parse(t, "data: []")
	require.NoError(t, err)
	assert.EqualError(t, s.Missing(), "c.yaml: missing model, data: write it there, or give --set model=VALUE")
	_, s, err = parse(t, "data: [a]\nmodel: m")
	require.NoError(t, err)
	assert.NoError(t, s.Missing())
}

// What Print writes is the config again, with comments in the words of the file.
func TestPrint(t *testing.T) {
	c := defaults()
	c.Model, c.Data, c.Mode = "a b: c #", []string{"x.arrow", "true", "1, 2", "null", ""}, 1
	var b strings.Builder
	require.NoError(t, Print(&b, &c, Docs{
		"yamlconf.innerConfig.Epochs":       "Epochs is the number of passes. See LearningRate.",
		"yamlconf.optimConfig.LearningRate": "LearningRate is the peak; " + strings.Repeat("and ", 40) + "so on.",
		"yamlconf.innerConfig.Gate":         "Gate goes with MarginsX and Epochs.",
	}))
	text := b.String()
	assert.Contains(t, text, "\n# epochs is the number of passes. See LearningRate.\nepochs: 2\n")
	assert.Contains(t, text, "\n# gate goes with MarginsX and Epochs.\ngate: false\n")
	assert.Contains(t, text, "  # learning_rate is the peak; and and")
	assert.Contains(t, text, "# One of: slow, fast.\nmode: fast\n")
	assert.Contains(t, text, "margins: large\n")
	assert.Contains(t, text, "# Required.\nmodel: \"a b: c #\"\n")
	assert.NotContains(t, text, "stop")
	assert.NotContains(t, text, "max_seq_len")
	for line := range strings.Lines(text) {
		assert.LessOrEqual(t, len(line), commentWidth+1)
	}
	again := defaults()
	_, err := Parse("printed", []byte(text), &again)
	require.NoError(t, err)
	assert.Equal(t, fmt.Sprint(c), fmt.Sprint(again))
}

// JSON holds what decides the result: no folders.
func TestJSON(t *testing.T) {
	c := defaults()
	c.Model, c.Data = "m", []string{"/where/d.arrow", ""}
	assert.Equal(t, `{"data":["d.arrow",""],"optim":{"learning_rate":0.00002,"beta1":0.9,"beta2":0.95},"epochs":2,"seed":0,"gate":false,"mode":"slow","margins":"large",`+
		`"share":0.1,"shape":{"num_kv_heads":8}}`, string(JSON(&c)))
	c.Margins.Big = 5
	assert.Contains(t, string(JSON(&c)), `"margins":{"big":5,"small":1}`)
}
