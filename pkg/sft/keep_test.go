package sft

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/train"
)

// TestKeep stops a run after every number of steps, by its context and as if it were killed, and wants the bits of one that did not stop.
func TestKeep(t *testing.T) {
	examples := copies(4, 20)
	cfg := tinyConfig()
	straight := tinyModel(t)
	want, err := Train(t.Context(), straight, examples, cfg)
	require.NoError(t, err)
	require.Equal(t, 6, want.Steps)

	for stop := 1; stop < want.Steps; stop++ {
		for _, killed := range []bool{false, true} {
			cfg.Keep = train.Keep{Dir: filepath.Join(t.TempDir(), "run"), Every: 2}
			ctx, cancel := context.WithCancel(t.Context())
			cfg.OnStep = func(info train.StepInfo) {
				switch {
				case info.Step < stop:
				case killed:
					panic("killed")
				default:
					cancel()
				}
			}
			start := func() (err error) {
				_, err = Train(ctx, tinyModel(t), examples, cfg)
				return err
			}
			saved := stop
			if killed {
				assert.Panics(t, func() { _ = start() })
				saved = (stop - 1) / 2 * 2
			} else {
				assert.ErrorIs(t, start(), context.Canceled)
			}
			cancel()

			var steps []int
			cfg.OnStep = func(info train.StepInfo) { steps = append(steps, info.Step) }
			p := tinyModel(t)
			got, err := Train(t.Context(), p, examples, cfg)
			require.NoError(t, err)
			assert.Equal(t, want, got)
			assert.Equal(t, numbers(straight), numbers(p), "stopped at %d", stop)
			assert.Equal(t, saved+1, steps[0], "it goes on where it was")
		}
	}
}
