package gatt

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Section 3.3 and A.3.5 of the paper.
func TestDefaultConfigIsThePapers(t *testing.T) {
	cfg := DefaultConfig()
	assert.True(t, cfg.Repeat)
	assert.Equal(t, 0.5, cfg.ShortShare)
	assert.False(t, cfg.EveryTurn)
}

// A top-p that only the most probable token reaches is greedy decoding.
func TestSampleDialoguesUsesTopP(t *testing.T) {
	p, dialogs := tinyModel(t, 400), someDialogs(6, 2)
	answers := func(change func(*Config)) (tokens [][]int32) {
		cfg := config()
		for id := int32(firstNumber); id < vocab; id++ { // answers that end with their first word
			cfg.Stop = append(cfg.Stop, id)
		}
		change(&cfg)
		talks, err := SampleDialogues(context.Background(), p, template(t), words{}, dialogs, cfg)
		require.NoError(t, err)
		for _, talk := range talks {
			for _, turn := range talk.Turns {
				tokens = append(tokens, turn.Answer)
			}
		}
		require.NotEmpty(t, tokens)
		return tokens
	}
	greedy := answers(func(c *Config) { c.Temperature = 0 })
	assert.Equal(t, greedy, answers(func(c *Config) { c.TopP = 1e-9 }))
	assert.NotEqual(t, greedy, answers(func(*Config) {}))
}
