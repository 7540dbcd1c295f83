package yamlconf

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type sampling struct {
	Stop  []int32
	Slots int
}

type samplingStage struct {
	sampling
	Samples int
}

// TestOmitReachesEmbeddedStructs: keys are flat, and so is what a tag leaves out.
func TestOmitReachesEmbeddedStructs(t *testing.T) {
	var c struct {
		samplingStage `conf:"omit=stop"`
	}
	var out bytes.Buffer
	require.NoError(t, Print(&out, &c, nil))
	assert.Equal(t, "slots: 0\nsamples: 0\n", out.String())
	assert.Equal(t, `{"slots":0,"samples":0}`, string(JSON(&c)))
}
