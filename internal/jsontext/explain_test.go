package jsontext_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tame-rlhf/tame/internal/jsontext"
)

func TestUnmarshal(t *testing.T) {
	type inner struct {
		Sizes []int32 `json:"sizes"`
	}
	var to struct {
		Name  string            `json:"name"`
		Rate  *float64          `json:"rate"`
		On    bool              `json:"on"`
		Model inner             `json:"model"`
		Ids   map[string]uint16 `json:"ids"`
	}
	for text, want := range map[string]string{
		`{"name": 7}`:                    `"name" is a number, want a text`,
		`{"rate": "fast"}`:               `"rate" is a text, want a number`,
		`{"on": {}}`:                     `"on" is an object, want true or false`,
		`{"model": []}`:                  `"model" is a list, want an object`,
		`{"model": {"sizes": true}}`:     `"model.sizes" is true or false, want a list`,
		`{"model": {"sizes": [1, 2.5]}}`: `"model.sizes" is 2.5, want a whole number that is not too large`,
		`{"ids": {"a": -1}}`:             `"ids" is -1, want a whole number of at least 0 that is not too large`,
		`[1]`:                            `it is a list, want an object`,
		`{"name": `:                      `no JSON: it ends too early, after byte 9`,
		`{"name": x}`:                    `no JSON: invalid character 'x' looking for beginning of value (byte 10)`,
		``:                               `no JSON: it ends too early, after byte 0`,
	} {
		assert.EqualError(t, jsontext.Unmarshal([]byte(text), &to), want, text)
	}
	assert.NoError(t, jsontext.Unmarshal([]byte(`{"name": "x"}`), &to))

	strict := func(text string) error {
		d := json.NewDecoder(strings.NewReader(text))
		d.DisallowUnknownFields()
		return jsontext.Explain(d.Decode(&to))
	}
	assert.EqualError(t, strict(`{"nome": 1}`), `unknown field "nome"`)
	assert.EqualError(t, strict(``), "no JSON: it is empty")
	assert.EqualError(t, strict(`{"name"`), "no JSON: it ends too early")
	other := errors.New("other")
	assert.Equal(t, other, jsontext.Explain(other))
	assert.NoError(t, jsontext.Explain(nil))
}
