package model

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/model/internal/hf"
)

func TestSaveShards(t *testing.T) {
	p := randomParams(tiny(), tensor.Float32, 51)
	dir := filepath.Join(t.TempDir(), "m")
	embed := int64(31 * 24 * 4)
	require.NoError(t, SaveAs(dir, p, SaveConfig{DType: F32, MaxShardBytes: embed}, nil)) // the embedding fits exactly, gate and up do not together with others
	got, err := Load(dir)
	require.NoError(t, err)
	assertSame(t, p, got)
	assert.NoFileExists(t, filepath.Join(dir, hf.WeightsFile))

	raw, err := os.ReadFile(filepath.Join(dir, hf.IndexFile))
	require.NoError(t, err)
	var index struct {
		Metadata  map[string]int64  `json:"metadata"`
		WeightMap map[string]string `json:"weight_map"`
	}
	require.NoError(t, json.Unmarshal(raw, &index))
	assert.Equal(t, map[string]int64{"total_parameters": p.NumParams(), "total_size": 4 * p.NumParams()}, index.Metadata)
	files, err := filepath.Glob(filepath.Join(dir, "*.safetensors"))
	require.NoError(t, err)
	require.Greater(t, len(files), 5)
	var names []string
	for _, file := range files {
		tensors, err := ReadSafetensors(file)
		require.NoError(t, err)
		size := 0
		for _, x := range tensors {
			names = append(names, x.Name)
			assert.Equal(t, filepath.Base(file), index.WeightMap[x.Name])
			size += 4 * len(x.Data)
		}
		assert.LessOrEqual(t, int64(size), embed)
	}
	assert.Len(t, names, len(index.WeightMap))
	assert.Equal(t, fmt.Sprintf("model-00001-of-%05d.safetensors", len(files)), index.WeightMap["model.embed_tokens.weight"])

	require.NoError(t, SaveAs(dir, p, SaveConfig{DType: F32, MaxShardBytes: 1}, nil)) // every tensor alone
	got, err = Load(dir)
	require.NoError(t, err)
	assertSame(t, p, got)
	require.NoError(t, Save(dir, p, nil))
	assert.NoFileExists(t, filepath.Join(dir, hf.IndexFile), "nothing of the shards is left")
}

func TestSaveHalf(t *testing.T) {
	p := randomParams(tiny(), tensor.Float32, 52)
	for dtype, step := range map[string]float64{F16: 1.0 / (1 << 11), BF16: 1.0 / (1 << 8)} {
		dir := filepath.Join(t.TempDir(), "m")
		require.NoError(t, SaveAs(dir, p, SaveConfig{DType: dtype, MaxShardBytes: 5e9}, nil))
		stat, err := os.Stat(filepath.Join(dir, hf.WeightsFile))
		require.NoError(t, err)
		assert.Less(t, stat.Size(), 2*p.NumParams()+4096)
		got, err := Load(dir)
		require.NoError(t, err)
		for i, q := range got.All() {
			want := floats[float32](p.All()[i].Value)
			for j, v := range floats[float32](q.Value) {
				require.InEpsilon(t, want[j], v, step, "%s %s", dtype, q.Name)
			}
		}
		again := filepath.Join(t.TempDir(), "m")
		require.NoError(t, SaveAs(again, got.As(tensor.Float64), SaveConfig{DType: dtype, MaxShardBytes: 5e9}, nil))
		twice, err := Load(again)
		require.NoError(t, err)
		assertSame(t, got, twice)
	}

	floats[float32](p.Get("layers.1.down").Value)[7] = 65520
	dir := filepath.Join(t.TempDir(), "m")
	err := SaveAs(dir, p, SaveConfig{DType: F16, MaxShardBytes: 5e9}, nil)
	assert.ErrorContains(t, err, `tensor "model.layers.1.mlp.down_proj.weight": 65520 would become infinite: F16 ends at 65504`)
	assert.NoDirExists(t, dir)
	require.NoError(t, SaveAs(dir, p, SaveConfig{DType: BF16, MaxShardBytes: 5e9}, nil))

	wide := p.As(tensor.Float64)
	floats[float64](wide.Get("norm").Value)[1] = 1e300
	assert.ErrorContains(t, Save(dir, wide, nil), `norm: 1e+300 would become infinite`)
}

// A bias of 0 is not written: LlamaForSequenceClassification has none, and transformers would report it.
func TestSaveNoBias(t *testing.T) {
	p := randomParams(tiny(), tensor.Float32, 53)
	p.AddHead(nil)
	dir := filepath.Join(t.TempDir(), "m")
	require.NoError(t, Save(dir, p, nil))
	tensors, err := ReadSafetensors(filepath.Join(dir, hf.WeightsFile))
	require.NoError(t, err)
	assert.Equal(t, "score.weight", tensors[len(tensors)-1].Name)
	got, err := Load(dir)
	require.NoError(t, err)
	assertSame(t, p, got)
}

func TestSaveConfigValidate(t *testing.T) {
	assert.NoError(t, DefaultSaveConfig().Validate())
	err := SaveAs(filepath.Join(t.TempDir(), "m"), randomParams(tiny(), tensor.Float32, 54), SaveConfig{}, nil)
	assert.ErrorContains(t, err, `DType is ""`)
	assert.ErrorContains(t, err, "MaxShardBytes is 0")
}
