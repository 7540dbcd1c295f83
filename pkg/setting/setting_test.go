package setting

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type inner struct{ Rate float64 }

func (i inner) validate() error {
	check := NewChecks("optim: Config")
	check.Positive("Rate", i.Rate)
	check.That(i.Rate < 1, "Rate", i.Rate, "below 1")
	return check.Err()
}

func TestChecks(t *testing.T) {
	check := NewChecks("sft: Config")
	check.AtLeast("BatchSize", 0, 1)
	check.Nested("Optim", inner{math.Inf(1)}.validate())
	check.Nested("", inner{-1}.validate())
	check.Nested("File", fs.ErrNotExist)
	check.NotNegative("KL", math.NaN())
	check.Share("HeldOut", 1.5)
	check.ShareBelowOne("Beta", 1)
	err := check.Err()
	assert.EqualError(t, err, `sft: Config.BatchSize is 0, want at least 1
sft: Config.Optim.Rate is +Inf, want a positive number
sft: Config.Optim.Rate is +Inf, want below 1
sft: Config.Rate is -1, want a positive number
sft: Config.File: file does not exist
sft: Config.KL is NaN, want a number of at least 0
sft: Config.HeldOut is 1.5, want a number in [0, 1]
sft: Config.Beta is 1, want a number in [0, 1)`)
	assert.ErrorIs(t, err, fs.ErrNotExist)
	fields := Fields(fmt.Errorf("stage: %w", errors.Join(errors.New("other"), err)))
	require.Len(t, fields, 8)
	assert.Equal(t, "Optim.Rate", fields[1].Path)
	assert.Equal(t, " is 0, want at least 1", fields[0].Reason())
}

func TestNothingWrong(t *testing.T) {
	check := NewChecks("sft: Config")
	check.That(true, "A", 1, "1")
	check.AtLeast("B", 2, 2)
	check.NotNegative("C", 0)
	check.Positive("D", math.SmallestNonzeroFloat64)
	check.Share("E", 1)
	check.ShareBelowOne("F", 0)
	check.Nested("Optim", nil)
	assert.NoError(t, check.Err())
	assert.Empty(t, Fields(nil))
}
