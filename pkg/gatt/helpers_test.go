package gatt

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
)

// Ids of the words' tokenizer.
const (
	bos, eos    = 1, 2
	open, shut  = 3, 4 // [INST] and [/INST]
	firstNumber = 5    // the word "0"
	vocab       = 40
)

// words is a tokenizer whose words are numbers: the word n has the id 5+n.
type words struct{}

func (words) Encode(text string) (ids []int32) {
	for _, w := range strings.Fields(text) {
		switch n, err := strconv.Atoi(w); {
		case w == "[INST]":
			ids = append(ids, open)
		case w == "[/INST]":
			ids = append(ids, shut)
		case err == nil:
			ids = append(ids, int32(firstNumber+n))
		default:
			panic(fmt.Sprintf("%q is no number", w))
		}
	}
	return ids
}

func (words) BOS() int32 { return bos }
func (words) EOS() int32 { return eos }

func (words) Decode(ids []int32) (string, error) {
	var list []string
	for _, id := range ids {
		if id >= firstNumber {
			list = append(list, strconv.Itoa(int(id-firstNumber)))
		}
	}
	return strings.Join(list, " "), nil
}

func template(t testing.TB) *data.Template {
	t.Helper()
	tmpl, err := data.Llama2Template(words{})
	require.NoError(t, err)
	return tmpl
}

// tinyModel draws a model that ends an answer soon.
func tinyModel(t testing.TB, context int) *model.Params {
	t.Helper()
	p := model.NewParams(model.Config{
		Dim: 16, NumLayers: 1, NumHeads: 2, NumKVHeads: 1, HeadDim: 8, HiddenDim: 24, VocabSize: vocab, MaxSeqLen: context,
		NormEps: 1e-5, RopeTheta: 1e4, BOS: bos, EOS: eos,
	}, tensor.Float32)
	p.Init(rand.New(rand.NewPCG(1, 9)))
	return p
}

func config() Config {
	cfg := DefaultConfig()
	cfg.MaxNewTokens, cfg.Stop, cfg.Seed = 60, []int32{eos}, 5
	return cfg
}

// someDialogs are dialogues with numbers for words.
func someDialogs(n, turns int) []Dialog {
	out := make([]Dialog, n)
	for i := range out {
		out[i] = Dialog{ID: fmt.Sprint("dialogue ", i), Instruction: "20 21 22", Short: "23"}
		for k := range turns {
			out[i].Questions = append(out[i].Questions, fmt.Sprint((i+k)%20))
		}
	}
	return out
}
