package arch_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tame-rlhf/tame/pkg/model/arch"
)

// The pieces of each part have all of its rows, and no name occurs twice.
func TestTableIsWhole(t *testing.T) {
	c := tiny()
	seen := map[string]bool{}
	once := func(name string) {
		assert.False(t, seen[name], name)
		seen[name] = true
	}
	weights := arch.Llama().Weights(c)
	assert.Len(t, weights, 1+6*c.NumLayers+2+2)
	for _, w := range weights {
		once("ours: " + w.Name)
		rows := 0
		for _, p := range w.Part.Files {
			if p.Rows == nil {
				rows += w.Shape[0]
			} else {
				rows += p.Rows(c)
			}
			for format, name := range p.Names {
				if name != "" {
					once(string(rune('0'+format)) + arch.Numbered(name, w.Layer))
				}
			}
			assert.False(t, p.Rotated && len(w.Shape) == 1, "%s: rows of a vector are not put into another order", w.Name)
		}
		assert.Equal(t, w.Shape[0], rows, w.Name)
	}
}

// The layers come one after another, with the parts of each in the order of the table.
func TestWeightsInOrder(t *testing.T) {
	var names []string
	for _, w := range arch.Llama().Weights(tiny()) {
		names = append(names, w.Name)
	}
	layer := []string{"attn_norm", "qkv", "attn_out", "ffn_norm", "gate_up", "down"}
	want := []string{"embed"}
	for _, l := range []string{"layers.0.", "layers.1."} {
		for _, part := range layer {
			want = append(want, l+part)
		}
	}
	assert.Equal(t, append(want, "norm", "output", "score.weight", "score.bias"), names)
}
