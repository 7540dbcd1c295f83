package gatt

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/model"
)

// BenchmarkSampleDialogues has dialogues of 20 turns, in the shape of quickstart's model.
func BenchmarkSampleDialogues(b *testing.B) {
	p := model.NewParams(model.Config{
		Dim: 128, NumLayers: 4, NumHeads: 4, NumKVHeads: 2, HeadDim: 32, HiddenDim: 352, VocabSize: vocab, MaxSeqLen: 4096,
		NormEps: 1e-5, RopeTheta: 1e4, BOS: bos, EOS: eos,
	}, tensor.Float32)
	p.Init(rand.New(rand.NewPCG(1, 9)))
	cfg := config()
	cfg.MaxNewTokens, cfg.Slots = 200, 64
	tmpl, turns := template(b), 0
	for b.Loop() {
		talks, err := SampleDialogues(b.Context(), p, tmpl, words{}, someDialogs(100, 20), cfg)
		require.NoError(b, err)
		for _, t := range talks {
			turns += len(t.Turns)
		}
	}
	b.ReportMetric(float64(turns)/b.Elapsed().Seconds(), "turns/s")
}
