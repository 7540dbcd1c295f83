package model

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/pth"
	"github.com/tame-rlhf/tame/pkg/model/internal/hf"
)

// torch-bin are the weights of the other folder as torch 2.15.0 writes them: see testdata/torch_bin.py.
func TestLoadTorch(t *testing.T) {
	want, err := Load("testdata/transformers-4.46-tied-f32")
	require.NoError(t, err)
	got, err := Load("testdata/torch-bin")
	require.NoError(t, err)
	assertSame(t, want, got)
	assert.Empty(t, got.LeftAside())
}

// torchFolder writes p as pytorch_model.bin; change may edit the tensors' numbers.
func torchFolder(t *testing.T, p *Params, change func(map[string]Tensor)) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "m")
	require.NoError(t, Save(dir, p, nil))
	tensors, err := ReadSafetensors(filepath.Join(dir, hf.WeightsFile))
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(dir, hf.WeightsFile)))
	byName := make(map[string]Tensor)
	for _, x := range tensors {
		byName[x.Name] = x
	}
	if change != nil {
		change(byName)
	}
	var sources []pth.Source
	for name, x := range byName {
		sources = append(sources, pth.Source{Name: name, DType: F32, Shape: x.Shape, Write: func(w io.Writer) error {
			return binary.Write(w, binary.LittleEndian, x.Data)
		}})
	}
	var buf bytes.Buffer
	require.NoError(t, pth.Write(&buf, sources))
	require.NoError(t, os.WriteFile(filepath.Join(dir, hf.TorchFile), buf.Bytes(), 0o600))
	return dir
}

func TestLoadTorchOneFile(t *testing.T) {
	for _, tie := range []bool{false, true} {
		cfg := tiny()
		cfg.TieEmbeddings = tie
		p := randomParams(cfg, tensor.Float32, 71)
		dir := torchFolder(t, p, nil)
		got, err := Load(dir)
		require.NoError(t, err)
		assertSame(t, p, got)

		// Beside safetensors it is left aside, and that is said.
		require.NoError(t, SaveAs(filepath.Join(dir, "other"), randomParams(cfg, tensor.Float32, 72), DefaultSaveConfig(), nil))
		raw, err := os.ReadFile(filepath.Join(dir, "other", hf.WeightsFile))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, hf.WeightsFile), raw, 0o600))
		got, err = Load(dir)
		require.NoError(t, err)
		assertSame(t, randomParams(cfg, tensor.Float32, 72), got)
		assert.Equal(t, []string{"pytorch_model.bin is not read, because model.safetensors is there"}, got.LeftAside())
	}
}

func TestLoadTorchRefuses(t *testing.T) {
	const norm, q = "model.norm.weight", "model.layers.1.self_attn.q_proj.weight"
	for want, change := range map[string]func(map[string]Tensor){
		`pytorch_model.bin: tensor "` + q + `" has shape [24], config.json wants [24 24]`: func(m map[string]Tensor) { m[q] = m[norm] },
		`tensor "model.norm.weight" of shape [24] is missing`:                             func(m map[string]Tensor) { delete(m, norm) },
		`pytorch_model.bin: tensor "v_head.weight" belongs to no Llama`:                   func(m map[string]Tensor) { m["v_head.weight"] = m[norm] },
	} {
		_, err := Load(torchFolder(t, withoutHead(tiny(), 73), change))
		assert.ErrorContains(t, err, want)
	}
	cfg := tiny()
	cfg.TieEmbeddings = true
	_, err := Load(torchFolder(t, withoutHead(cfg, 73), func(m map[string]Tensor) {
		x := m["model.embed_tokens.weight"]
		x.Data = append([]float32(nil), x.Data...)
		x.Data[5]++
		m["lm_head.weight"] = x
	}))
	assert.ErrorContains(t, err, `pytorch_model.bin: tensor "lm_head.weight" differs from the embedding`)

	// Flipped bits are found by the archive's checksum; what is refused of a pickle is tested in internal/pth.
	dir := torchFolder(t, withoutHead(tiny(), 73), nil)
	path := filepath.Join(dir, hf.TorchFile)
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	first := binary.LittleEndian.AppendUint32(nil, math.Float32bits(floats[float32](withoutHead(tiny(), 73).Get("embed").Value)[7]))
	at := bytes.Index(raw, first)
	require.Positive(t, at)
	damaged := append([]byte(nil), raw...)
	damaged[at] ^= 1
	require.NoError(t, os.WriteFile(path, damaged, 0o600))
	_, err = Load(dir)
	assert.ErrorContains(t, err, `tensor "model.embed_tokens.weight": the checksum is wrong`)
	require.NoError(t, os.WriteFile(path, []byte("\x80\x02}q\x00."), 0o600))
	_, err = Load(dir)
	assert.ErrorContains(t, err, "pytorch_model.bin: not a zip archive, as torch.save has written it since version 1.6")
}
