package model_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/model"
)

// The settings of generation_config.json are read, and written again with the ids of the model.
func TestGeneration(t *testing.T) {
	dir := endsModel(t, func(map[string]any) {}, `{"_from_model_config": true, "bos_token_id": 1, "eos_token_id": [2, 7], "pad_token_id": 0, "do_sample": true,
		"temperature": 0.6, "top_p": 0.95, "top_k": 20, "repetition_penalty": 1.05, "max_length": null, "transformers_version": "4.51.0"}`)
	p, err := model.Load(dir)
	require.NoError(t, err)
	check := func(p *model.Params) {
		g, err := p.Generation()
		require.NoError(t, err)
		greedy, temperature, topP, topK := false, 0.6, 0.95, 20
		assert.Equal(t, model.Generation{Greedy: &greedy, Temperature: &temperature, TopP: &topP, TopK: &topK, Unused: []string{"repetition_penalty"}}, g)
	}
	check(p)
	again := filepath.Join(t.TempDir(), "again")
	require.NoError(t, model.Save(again, p.Clone(), nil))
	raw, err := os.ReadFile(filepath.Join(again, "generation_config.json"))
	require.NoError(t, err)
	var fields map[string]any
	require.NoError(t, json.Unmarshal(raw, &fields))
	assert.Equal(t, map[string]any{
		"bos_token_id": 1.0, "eos_token_id": []any{2.0, 7.0}, "do_sample": true, "temperature": 0.6, "top_p": 0.95, "top_k": 20.0, "repetition_penalty": 1.05,
	}, fields)
	p, err = model.Load(again)
	require.NoError(t, err)
	check(p)

	p, err = model.Load(endsModel(t, func(map[string]any) {}, ""))
	require.NoError(t, err)
	g, err := p.Generation()
	require.NoError(t, err)
	assert.Equal(t, model.Generation{}, g, "a model without the file")
	p, err = model.Load(endsModel(t, func(map[string]any) {}, `{"temperature": "hot"}`))
	require.NoError(t, err)
	_, err = p.Generation()
	assert.ErrorContains(t, err, "generation_config.json: temperature: json: cannot unmarshal string")

	// A reward model does not generate.
	p.AddHead(nil)
	require.NoError(t, model.Save(again, p, nil))
	assert.NoFileExists(t, filepath.Join(again, "generation_config.json"))
}
