package model

import (
	"bytes"
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/gguf"
)

// rowBytes is the size of a row of 256 numbers.
var rowBytes = map[gguf.Type]int{
	gguf.Q4_0: 144, gguf.Q4_1: 160, gguf.Q5_0: 176, gguf.Q5_1: 192, gguf.Q8_0: 272, gguf.Q4_K: 144, gguf.Q5_K: 176, gguf.Q6_K: 210,
}

// quantise writes p as F16 and makes its matrices random blocks of typ, which tame itself does not write: the bytes of a row, and its length and type
// in the table of tensors.
func quantise(t testing.TB, p *Params, typ gguf.Type, seed uint64) (path string, blocks map[string][]byte) {
	t.Helper()
	halves := rowBytes[typ] / 2 // numbers of F16 of the same size
	var sources []gguf.Source
	f, err := gguf.Open(saveGGUF(t, p, F16, nil))
	require.NoError(t, err)
	meta := f.Metadata
	zeros := make([]float32, 256)
	for _, info := range f.Tensors {
		s := gguf.Source{Name: info.Name, Shape: slices.Clone(info.Shape), Type: gguf.F32, Row: func(int) []float32 { return zeros }}
		if len(s.Shape) == 2 {
			require.Equal(t, 256, s.Shape[1])
			s.Shape[1], s.Type, s.Row = halves, gguf.F16, func(int) []float32 { return zeros[:halves] }
		}
		sources = append(sources, s)
	}
	require.NoError(t, f.Close())
	var buf bytes.Buffer
	require.NoError(t, gguf.Write(&buf, meta, sources))
	path = t.TempDir() + "/q.gguf"
	require.NoError(t, os.WriteFile(path, buf.Bytes(), 0o600))
	f, err = gguf.Open(path)
	require.NoError(t, err)
	raw, rng := buf.Bytes(), rand.New(rand.NewPCG(seed, 1))
	blocks = make(map[string][]byte)
	for _, info := range f.Tensors {
		if len(info.Shape) != 2 {
			continue
		}
		data := raw[info.Begin():info.End()]
		for i := range data {
			data[i] = byte(rng.Uint32()) &^ 0x40 // so that no scale is infinite or NaN
		}
		blocks[info.Name] = data
		name := append(binary.LittleEndian.AppendUint64(nil, uint64(len(info.Name))), info.Name...)
		entry := raw[bytes.Index(raw, name)+len(name)+4:]
		binary.LittleEndian.PutUint64(entry, 256)
		binary.LittleEndian.PutUint32(entry[16:], uint32(typ))
	}
	require.NoError(t, f.Close())
	require.NoError(t, os.WriteFile(path, raw, 0o600))
	return path, blocks
}

// Quantised rows come to where rows of other types do: those of q and k are in the order of neighbouring columns in the file, and all lie side by side in
// memory. That the numbers of a block are right is tested in internal/gguf.
func TestGGUFQuantisedRows(t *testing.T) {
	cfg := tiny()
	cfg.Dim, cfg.HiddenDim, cfg.HeadDim, cfg.NumLayers = 256, 256, 64, 1
	p := withoutHead(cfg, 61)
	for _, typ := range slices.Sorted(maps.Keys(rowBytes)) {
		path, blocks := quantise(t, p, typ, 62)
		got, err := Load(path)
		require.NoError(t, err, typ)
		row := func(tensor string, r int) []float32 {
			x, size := make([]float32, 256), rowBytes[typ]
			typ.DecodeRow(x, blocks[tensor][r*size:][:size])
			return x
		}
		qkv := floats[float32](got.Get("layers.0.qkv").Value)
		up := floats[float32](got.Get("layers.0.gate_up").Value)
		embed := floats[float32](got.Get("embed").Value)
		for r := range 256 {
			in := r/64*64 + r%64%32*2 + r%64/32 // where the file has row r of q and k
			assert.Equal(t, row("blk.0.attn_q.weight", in), qkv[256*r:][:256], "%v: q, row %d", typ, r)
			assert.Equal(t, row("blk.0.ffn_up.weight", r), up[256*(256+r):][:256], "%v: up, row %d", typ, r)
			if r < 128 {
				assert.Equal(t, row("blk.0.attn_k.weight", in), qkv[256*(256+r):][:256], "%v: k, row %d", typ, r)
				assert.Equal(t, row("blk.0.attn_v.weight", r), qkv[256*(384+r):][:256], "%v: v, row %d", typ, r)
			}
			if r < 31 {
				assert.Equal(t, row("token_embd.weight", r), embed[256*r:][:256], "%v: embedding, row %d", typ, r)
			}
		}
	}
}
