package main

import (
	"context"
	"go/parser"
	"go/token"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/losstest"
)

// cases draws pairs of answers: segment 2i is the chosen one, 2i+1 the rejected one, and two segments are unused.
func cases(rng *rand.Rand, pairs int) losstest.Case {
	c := losstest.Case{
		Token:   map[string][]float64{},
		Segment: map[string][]float64{losstest.SegmentMask: make([]float64, 2*pairs+2)},
		Wrt:     []string{"LogProbs"},
	}
	add := func(seg int32, counted, logProb, ref float64) {
		c.Segments = append(c.Segments, seg)
		c.Token[losstest.TokenMask] = append(c.Token[losstest.TokenMask], counted)
		c.Token["LogProbs"] = append(c.Token["LogProbs"], logProb)
		c.Token["RefLogProbs"] = append(c.Token["RefLogProbs"], ref)
	}
	for seg := range int32(2 * pairs) {
		add(seg, 0, 0, 0) // the prompt
		for range 1 + rng.IntN(3) {
			add(seg, 1, -rng.ExpFloat64(), -rng.ExpFloat64())
		}
		add(seg, 0, 0, 0) // the last token has no target
		c.Segment[losstest.SegmentMask][seg] = 1
		c.Groups = append(c.Groups, seg/2)
	}
	add(-1, 0, 0, 0)
	c.Groups = append(c.Groups, -1, -1)
	return c
}

// The loss of the paper, pair by pair.
func TestDPO(t *testing.T) {
	c := cases(rand.New(rand.NewPCG(1, 1)), 3)
	rewards := make([]float64, 6)
	for i, seg := range c.Segments {
		if c.Token["Mask"][i] == 1 {
			rewards[seg] += beta * (c.Token["LogProbs"][i] - c.Token["RefLogProbs"][i])
		}
	}
	want, hits := 0.0, 0.0
	for i := 0; i < 6; i += 2 {
		want += math.Log1p(math.Exp(rewards[i+1]-rewards[i])) / 3
		if rewards[i] > rewards[i+1] {
			hits++
		}
	}
	got, err := losstest.Eval(dpo, c)
	require.NoError(t, err)
	assert.InDelta(t, want, got.Loss, 1e-12)
	assert.InDelta(t, hits/3, got.Metrics["accuracy"], 1e-12)

	losstest.CheckGrad(t, dpo, c)
	losstest.CheckMask(t, dpo, c)
	losstest.CheckSplit(t, dpo, c)
}

func TestRun(t *testing.T) {
	r, err := run(context.Background(), t.Output())
	require.NoError(t, err)
	require.NotEmpty(t, r.steps)
	start, end := r.steps[0], r.steps[len(r.steps)-1]
	assert.InDelta(t, math.Ln2, start.Metrics["loss"], 1e-6, "the policy is its own reference")
	assert.Zero(t, start.Metrics["margin"])
	assert.Less(t, end.Metrics["loss"], 0.5)
	assert.Greater(t, end.Metrics["accuracy"], 0.9)
	assert.Less(t, r.before, 0.6)
	assert.Greater(t, r.now, 0.7)
}

// A module of one's own has no internal packages: neither has this one.
func TestPublicImportsOnly(t *testing.T) {
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, spec := range file.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			require.NoError(t, err)
			if rest, ok := strings.CutPrefix(path, "github.com/tame-rlhf/tame/"); ok {
				assert.True(t, strings.HasPrefix(rest, "pkg/") && !strings.Contains(rest, "internal"), "%s imports %s", name, path)
			}
		}
	}
}
