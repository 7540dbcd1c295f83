package pipeline_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/pipeline"
)

// An answer is empty if it ended by itself without a text; one that the length limit ended is unfinished, whatever its text.
func TestCountSamples(t *testing.T) {
	rows := []data.Sample{{Finished: true, Text: "yes"}, {Finished: true, Text: " \n"}, {Text: ""}, {Text: "so"}, {Finished: true}}
	assert.Equal(t, pipeline.SampleCount{Answers: 5, Unfinished: 2, Empty: 2}, pipeline.CountSamples(rows))
}
