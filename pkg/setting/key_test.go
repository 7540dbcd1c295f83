package setting

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestKeys(t *testing.T) {
	for name, want := range map[string]string{
		"MaxNewTokens": "max_new_tokens", "MinLRRatio": "min_lr_ratio", "NumKVHeads": "num_kv_heads", "KLCoef": "kl_coef", "TopP": "top_p",
		"GAELambda": "gae_lambda", "Beta1": "beta1", "K": "k", "BOS": "bos", "MaxKL": "max_kl", "TieEmbeddings": "tie_embeddings",
		"GAttFrom": "gatt_from", "max_new_tokens": "max_new_tokens",
	} {
		assert.Equal(t, want, Key(name))
	}
}
