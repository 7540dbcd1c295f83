package safetensors

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/model/internal/file"
)

func TestSafetensorsCutWhileRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	for _, dtype := range []string{file.F32, file.BF16} {
		var buf bytes.Buffer
		require.NoError(t, Write(&buf, []Source{{Name: "w", Shape: []int{pieceBytes}, Data: make([]float32, pieceBytes)}}, dtype, nil))
		require.NoError(t, os.WriteFile(path, buf.Bytes(), 0o600))
		f, err := Open(path)
		require.NoError(t, err)
		require.NoError(t, os.Truncate(path, int64(buf.Len())/2))
		info, ok := f.Tensor("w")
		require.True(t, ok)
		err = ReadAll([]Read{{f, info, make([]float32, pieceBytes)}})
		assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
		assert.ErrorContains(t, err, path+`: tensor "w": `)
		require.NoError(t, f.Close())
	}
}

// The same damaged file gives the same error, whichever processor is first.
func TestEachPieceGivesFirstError(t *testing.T) {
	const step = pieceBytes / 4
	reads := []Read{{Info: Info{DType: file.F32}, Into: make([]float32, 9*step+1)}, {Info: Info{DType: file.F32}, Into: make([]float32, step)}}
	for range 100 {
		err := eachPiece(reads, func(_ Read, lo, hi int, _ []byte) error {
			if lo >= 3*step {
				return fmt.Errorf("%d to %d", lo, hi)
			}
			return nil
		})
		require.EqualError(t, err, fmt.Sprintf("%d to %d", 3*step, 4*step))
	}
	sum := make([]int, 2)
	var mu sync.Mutex
	require.NoError(t, eachPiece(reads, func(r Read, lo, hi int, _ []byte) error {
		mu.Lock()
		defer mu.Unlock()
		if len(r.Into) == step {
			sum[1] += hi - lo
		} else {
			sum[0] += hi - lo
		}
		return nil
	}))
	assert.Equal(t, []int{9*step + 1, step}, sum)
}

// What is read is allocated once, with little besides.
// No header makes the parser panic, and what it accepts fills the data without gaps.
func FuzzSafetensorsHeader(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"__metadata__": {"format": "pt"}}`,
		`{"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}`,
		`{"w": {"dtype": "F16", "shape": [], "data_offsets": [0, 2]}, "v": {"dtype": "I8", "shape": [6], "data_offsets": [2, 8]}}`,
		`{"w": {"dtype": "BF16", "shape": [2147483647, 0, 9], "data_offsets": [0, 0]}}`,
	} {
		f.Add([]byte(s), int64(8))
	}
	f.Fuzz(func(t *testing.T, raw []byte, dataLen int64) {
		if dataLen < 0 {
			return
		}
		infos, _, err := parseHeader(raw, dataLen)
		if err != nil {
			return
		}
		at := int64(0)
		for _, info := range infos {
			require.Equal(t, at, info.begin)
			require.LessOrEqual(t, info.begin, info.end)
			at = info.end
			if size, known := file.DTypeSize(info.DType); known {
				require.Equal(t, info.end-info.begin, int64(info.Len())*size)
			}
		}
		require.Equal(t, dataLen, at)
	})
}
