package main

import (
	"encoding/json"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// plainModel is a model whose layers do nothing: its state is the normed embedding of the last token,
// (1, 1) for all tokens but id 5 and EOS, which have (1, -1). change sets the rest.
func plainModel(t *testing.T, change func(p *model.Params)) string {
	t.Helper()
	cfg := tokenizer.DefaultTrainConfig()
	cfg.VocabSize = 272
	tok, err := tokenizer.Train(t.Context(), slices.Values([]string{"the cat"}), cfg)
	require.NoError(t, err)
	p := model.NewParams(model.Config{
		Dim: 2, NumLayers: 1, NumHeads: 1, NumKVHeads: 1, HeadDim: 2, HiddenDim: 2, VocabSize: tok.VocabSize(),
		MaxSeqLen: 40, NormEps: 1e-12, RopeTheta: 1e4, BOS: tok.BOS(), EOS: tok.EOS(),
	}, tensor.Float32)
	for _, q := range p.All() {
		if x := q.Value.Float32s(); q.Name == "embed" || len(q.Value.Shape()) == 1 {
			for i := range x {
				x[i] = 1
			}
		}
	}
	for _, id := range []int32{5, tok.EOS()} {
		p.Get("embed").Value.Float32s()[2*id+1] = -1
	}
	change(p)
	dir := filepath.Join(t.TempDir(), "plain")
	require.NoError(t, model.Save(dir, p, tok.SaveFolder))
	return dir
}

// judge is a reward model: w · (1, ±1) + bias.
func judge(t *testing.T, bias float32, w ...float32) string {
	return plainModel(t, func(p *model.Params) {
		p.AddHead(nil)
		copy(p.Get("score.weight").Value.Float32s(), w)
		p.Get("score.bias").Value.Float32s()[0] = bias
	})
}

func rowsFile[T data.Row](t *testing.T, rows ...T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rows.arrow")
	require.NoError(t, data.Write(path, rows, data.Lineage{}))
	return path
}

func talk(question string, answers ...string) []data.Message {
	messages := []data.Message{{Role: data.User, Content: question}}
	for i, a := range answers {
		if i > 0 {
			messages = append(messages, data.Message{Role: data.User, Content: question})
		}
		messages = append(messages, data.Message{Role: data.Assistant, Content: a})
	}
	return messages
}

func evaluate(t *testing.T, args ...string) measured {
	t.Helper()
	var m measured
	require.NoError(t, json.Unmarshal([]byte(mustRun(t, append([]string{"evaluate", "--json"}, args...)...)), &m))
	return m
}

// EOS has the probability 1/2, every other one of 272 tokens 1/542.
func TestEvaluateLanguageModel(t *testing.T) {
	dir := plainModel(t, func(p *model.Params) {
		p.Output().Value.Float32s()[2*p.Config().EOS] = float32(math.Log(271))
	})
	tok, err := tokenizer.OfModel(dir)
	require.NoError(t, err)
	tmpl, err := chatTemplate(tok, nil, "")
	require.NoError(t, err)
	turns, err := tmpl.EncodeTurns(talk("a", "the", "cat"))
	require.NoError(t, err)
	answers := []int{len(turns[0].Answer), len(turns[1].Answer)} // with EOS
	other, eos := math.Log(542), math.Log(2)

	conversations := rowsFile(t, data.Conversation{Messages: talk("a", "the", "cat")}, data.Conversation{Messages: talk("a", strings.Repeat("the cat ", 12)+"the")})
	m := evaluate(t, "--model", dir, "--data", conversations)
	assert.Equal(t, "conversation", m.Form)
	assert.Equal(t, 1, m.Rows)
	assert.Equal(t, 1, m.TooLong)
	n := answers[0] + answers[1]
	loss := (float64(n-2)*other + 2*eos) / float64(n)
	assert.Equal(t, n, m.Loss.Tokens)
	assert.InDelta(t, loss, m.Loss.Loss, 1e-5)
	assert.InDelta(t, math.Exp(loss), m.Loss.Perplexity, 1e-2)
	assert.InDelta(t, 2/float64(n), m.Loss.Accuracy, 1e-9, "EOS is always the most probable one")

	last := evaluate(t, "--model", dir, "--data", conversations, "--last-turn-only")
	assert.Equal(t, answers[1], last.Loss.Tokens)

	samples := rowsFile(t, data.Sample{Messages: talk("a"), Prompt: []int32{1, 7}, Tokens: []int32{8, 2}})
	m = evaluate(t, "--model", dir, "--data", samples)
	assert.InDelta(t, (other+eos)/2, m.Loss.Loss, 1e-5)

	texts := rowsFile(t, data.Text{Text: "the"}, data.Text{Text: ""})
	m = evaluate(t, "--model", dir, "--data", texts)
	ids := len(tok.Encode("the"))
	assert.Equal(t, 2, m.Rows)
	assert.Equal(t, ids+2, m.Loss.Tokens, "EOS of both, and the ids of one")
	assert.InDelta(t, (float64(ids)*other+2*eos)/float64(ids+2), m.Loss.Loss, 1e-5)

	text := mustRun(t, "evaluate", "--model", dir, "--data", samples)
	assert.Equal(t, "1 sample\n  tokens          2\n  loss            3.4942 nats per token\n  perplexity      32.92\n  token accuracy  50.0 %", text)
}

// Answers that end in id 5 or EOS have the score 1 - 2 + 0.5, others 1 + 2 + 0.5.
func TestEvaluateRewardModels(t *testing.T) {
	dir := judge(t, 0.5, 1, 2)
	pair := func(chosen, rejected int32, rating data.Rating) pipeline.SampledPreference {
		return pipeline.SampledPreference{
			Messages: talk("a"), Chosen: "x", Rejected: "y", Rating: rating, PromptIDs: []int32{1, 7}, ChosenIDs: []int32{chosen}, RejectedIDs: []int32{rejected},
		}
	}
	pairs := rowsFile(t, pair(6, 5, data.Better), pair(5, 6, data.Better), pair(6, 5, data.SlightlyBetter), pair(6, 7, data.SlightlyBetter))
	out := mustRun(t, "evaluate", "--model", dir, "--data", pairs)
	assert.Contains(t, out, "4 preferences\n  accuracy                      62.5 % [")
	assert.Contains(t, out, "\n  better                        50.0 % [9.5, 90.5] of 2\n")
	assert.Contains(t, out, "\n  slightly better               75.0 % [", "one right, one tie")
	var m struct {
		Preferences struct {
			Accuracy   struct{ Rate float64 }
			MeanReward float64 `json:"mean_reward"`
		}
	}
	require.NoError(t, json.Unmarshal([]byte(mustRun(t, "evaluate", "--json", "--model", dir, "--data", pairs)), &m))
	assert.Equal(t, 0.625, m.Preferences.Accuracy.Rate)
	assert.InDelta(t, (5*3.5-3*0.5)/8, m.Preferences.MeanReward, 1e-6)

	sample := func(version int, last int32) data.Sample {
		return data.Sample{Messages: talk("a"), Prompt: []int32{1, 7}, Tokens: []int32{8, last}, Version: version}
	}
	samples := rowsFile(t, sample(1, 5), sample(0, 6), sample(1, 6), sample(0, 6))
	got := evaluate(t, "--model", dir, "--data", samples)
	require.Len(t, got.Rewards, 2)
	assert.InDelta(t, 3.5, got.Rewards[0].Reward.Mean, 1e-6)
	assert.InDelta(t, 1.5, got.Rewards[1].Reward.Mean, 1e-6, "(3.5 - 0.5) / 2")
	assert.Equal(t, 1, got.Rewards[1].Version)
	assert.Nil(t, got.Rewards[0].Helpfulness)

	conversations := rowsFile(t, data.Conversation{Messages: talk("a", "b", "c")})
	got = evaluate(t, "--model", dir, "--data", conversations)
	assert.InDelta(t, -0.5, got.Rewards[0].Reward.Mean, 1e-6, "read at the last answer's EOS")

	// A safety of sigmoid(-2) = 0.12 is below 0.15, so it decides; at a threshold of 0.1 helpfulness does.
	unsafe := judge(t, -2)
	both := []string{"--helpfulness", dir, "--safety", unsafe, "--data", samples}
	got = evaluate(t, both...)
	assert.InDelta(t, -2, got.Rewards[1].Reward.Mean, 1e-6)
	assert.InDelta(t, 1.5, got.Rewards[1].Helpfulness.Mean, 1e-6)
	assert.InDelta(t, -2, got.Rewards[1].Safety.Mean, 1e-6)
	got = evaluate(t, append(both, "--safety-threshold", "0.1")...)
	assert.InDelta(t, 1.5, got.Rewards[1].Reward.Mean, 1e-6)
	assert.Contains(t, mustRun(t, append([]string{"evaluate"}, both...)...), "4 samples\n  version 0   reward -2.000 [-2.000, -2.000] of 2  helpfulness 3.500  safety -2.000\n")
}

func TestEvaluateRefuses(t *testing.T) {
	reward, language := judge(t, 0), plainModel(t, func(*model.Params) {})
	texts, prompts := rowsFile(t, data.Text{Text: "a"}), rowsFile(t, data.Prompt{ID: "a", Messages: talk("a")})
	pairs := preferences(t, 3, 0)
	open := rowsFile(t, data.Conversation{Messages: append(talk("a", "b"), data.Message{Role: data.User, Content: "c"})})
	long := rowsFile(t, data.Conversation{Messages: talk("a", strings.Repeat("the cat ", 12)+"the")})
	for want, args := range map[string][]string{
		"give --model, or both":                                                         {"--data", texts},
		"give --model, or both --helpful":                                               {"--model", language, "--safety", reward, "--data", texts},
		"or both --helpfulness and --safety":                                            {"--safety", reward, "--data", texts},
		"is a reward model and " + texts + " holds texts":                               {"--model", reward, "--data", texts},
		"is a language model and " + pairs + " holds preferences":                       {"--model", language, "--data", pairs},
		"holds prompts, want conversations, samples or texts":                           {"--model", language, "--data", prompts},
		"want conversations or samples for two reward models":                           {"--helpfulness", reward, "--safety", reward, "--data", pairs},
		"they cannot be in one dataset":                                                 {"--model", language, "--data", texts, "--data", prompts},
		"--last-turn-only is for a language model and conversations":                    {"--model", language, "--data", texts, "--last-turn-only"},
		"--safety-threshold is for two reward models":                                   {"--model", reward, "--data", pairs, "--safety-threshold", "0.1"},
		"row 0: the last message is the user's":                                         {"--model", reward, "--data", open},
		"nothing is left to measure: of 1 rows all are longer than the model's context": {"--model", language, "--data", long},
		"no such file":                      {"--model", language, "--data", "nowhere.arrow"},
		"required flag(s) \"data\" not set": {"--model", language},
		"JudgesConfig.SafetyThreshold is 2": {"--helpfulness", reward, "--safety", reward, "--data", open, "--safety-threshold", "2"},
	} {
		_, err := tame(t, "", append([]string{"evaluate"}, args...)...)
		assert.ErrorContains(t, err, want)
	}
}
