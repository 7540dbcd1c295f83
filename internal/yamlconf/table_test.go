package yamlconf

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTable(t *testing.T) {
	c := defaults()
	c.Model, c.Data = "a|b", []string{"x"}
	var b strings.Builder
	require.NoError(t, Table(&b, &c, Docs{
		"yamlconf.config.Model":             "Model is a|b. Default: c.",
		"yamlconf.config.Share":             "Share goes with NumKVHeads, see section 2.2.",
		"yamlconf.innerConfig.Optim":        "Optim is AdamW. Paper 2.2.",
		"yamlconf.optimConfig.LearningRate": "LearningRate is the peak, i.e. 1.5 times more",
		"yamlconf.optimConfig.Beta1":        "Beta1 and Beta2 are decays.\nBoth.",
		"yamlconf.config.Shape":             "Shape has NumKVHeads, and MaxSeqLen has no key.",
		"yamlconf.innerConfig.Mode":         "Mode is how.",
	}))
	assert.Equal(t, strings.TrimSpace(`
| key | default | meaning |
|---|---|---|
| 'model' | '"a\|b"' | model is a\|b. Required. |
| 'data' | '[x]' | Required. |
| 'optim.*' |  | optim is AdamW. |
| 'optim.learning_rate' | '2e-05' | learning_rate is the peak, i.e. 1.5 times more |
| 'optim.beta1' | '0.9' | beta1 and beta2 are decays. |
| 'optim.beta2' | '0.95' | beta1 and beta2 are decays. |
| 'epochs' | '2' |  |
| 'seed' | '0' |  |
| 'gate' | 'false' |  |
| 'mode' | 'slow' | mode is how. One of: slow, fast. |
| 'margins' | 'large' |  |
| 'share' | '0.1' | share goes with NumKVHeads, see section 2.2. |
| 'shape.*' |  | shape has num_kv_heads, and MaxSeqLen has no key. |
| 'shape.num_kv_heads' | '8' |  |
`), strings.ReplaceAll(strings.TrimSpace(b.String()), "`", "'"))
}
