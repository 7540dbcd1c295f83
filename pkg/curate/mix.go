package curate

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/tame-rlhf/tame/pkg/data"
)

// MixSource is one of the datasets that a Mix draws from.
type MixSource struct {
	Rows   int     `json:"rows"`   // how many the dataset has
	Weight float64 `json:"weight"` // its share of the rows drawn, relative to the weights of the others; 0 for none
}

// Pick names a row of one of several datasets.
type Pick struct{ Source, Row int }

// Mix draws rows from several datasets without end, such as 90 % safety and 10 % helpfulness preferences for a reward
// model (section 3.2.2), or fresh SFT data with a replay of the old. It deals in row numbers, so the datasets may lie
// anywhere.
//
// Shares are kept exactly, not on average: the next row comes from the dataset that is furthest behind its share, the
// first of several. So no dataset is ever a whole row ahead of its share, and every batch has the mixture. Each dataset
// is gone through in epochs, each a new permutation (data.Shuffled).
//
// What is drawn depends on the sources and the seed alone. Where a Mix stands is a MixPosition.
type Mix struct {
	sources []MixSource
	seed    uint64
	shares  []float64
	drawn   []int // from each source
	orders  []epochOrder
}

// epochOrder is the permutation of a source's current epoch.
type epochOrder struct {
	seed  uint64
	epoch int // -1 for none yet
	rows  []int
}

// MixPosition says how far a Mix is. It is small, and JSON keeps it exactly.
type MixPosition struct {
	Seed    uint64      `json:"seed"`
	Sources []MixSource `json:"sources"`
	Drawn   []int       `json:"drawn"` // rows drawn from each source, epochs before included
}

// NewMix starts a mixture from the beginning.
func NewMix(sources []MixSource, seed uint64) (*Mix, error) {
	total := 0.0
	var errs []error
	for i, s := range sources {
		if !(s.Weight >= 0) || math.IsInf(s.Weight, 0) {
			errs = append(errs, fmt.Errorf("curate: mix: dataset %d has the weight %v, want a number from 0 on", i, s.Weight))
		}
		if s.Rows < 1 && s.Weight != 0 {
			errs = append(errs, fmt.Errorf("curate: mix: dataset %d has %d rows and the weight %v: there is nothing to draw", i, s.Rows, s.Weight))
		}
		total += s.Weight
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if !(total > 0) || math.IsInf(total, 0) {
		return nil, fmt.Errorf("curate: mix: the weights of %d datasets add up to %v, want a positive number", len(sources), total)
	}
	m := &Mix{sources: slices.Clone(sources), seed: seed, drawn: make([]int, len(sources))}
	for i, s := range sources {
		m.shares = append(m.shares, s.Weight/total)
		// A stream for each: datasets of the same size must not be shuffled alike.
		m.orders = append(m.orders, epochOrder{seed: rand.New(rand.NewPCG(seed, uint64(i))).Uint64(), epoch: -1})
	}
	return m, nil
}

// Next draws a row.
func (m *Mix) Next() Pick {
	i := nextSource(m.shares, m.drawn)
	rows, at := m.sources[i].Rows, m.drawn[i]
	m.drawn[i]++
	return Pick{i, m.orders[i].at(rows, at/rows)[at%rows]}
}

// nextSource is the source that is furthest behind its share of one row more than were drawn.
func nextSource(shares []float64, drawn []int) int {
	total := 1
	for _, n := range drawn {
		total += n
	}
	best, most := 0, math.Inf(-1)
	for i, share := range shares {
		// The conversion keeps machines with a fused multiply-add from rounding differently.
		if behind := float64(share*float64(total)) - float64(drawn[i]); behind > most && share > 0 {
			best, most = i, behind
		}
	}
	return best
}

// at is the order of an epoch.
func (o *epochOrder) at(rows, epoch int) []int {
	if o.epoch != epoch {
		o.rows, o.epoch = data.Shuffled(rows, o.seed, epoch), epoch
	}
	return o.rows
}

// Once is how many rows can be drawn from the beginning before one comes a second time.
func (m *Mix) Once() int {
	drawn := make([]int, len(m.sources))
	for n := 0; ; n++ {
		i := nextSource(m.shares, drawn)
		if drawn[i] == m.sources[i].Rows {
			return n
		}
		drawn[i]++
	}
}

// Position says where the mixture stands: Seek goes on from there, in this Mix or another of the same sources and seed.
func (m *Mix) Position() MixPosition {
	return MixPosition{Seed: m.seed, Sources: slices.Clone(m.sources), Drawn: slices.Clone(m.drawn)}
}

// Seek goes to a position. One of another mixture is refused: it would mean other rows.
func (m *Mix) Seek(p MixPosition) error {
	if p.Seed != m.seed || !slices.Equal(p.Sources, m.sources) {
		return fmt.Errorf("curate: mix: the position is that of seed %d over %v, this mixture has seed %d over %v: "+
			"go on with the same datasets, weights and seed", p.Seed, p.Sources, m.seed, m.sources)
	}
	if len(p.Drawn) != len(m.drawn) || slices.ContainsFunc(p.Drawn, func(n int) bool { return n < 0 }) {
		return fmt.Errorf("curate: mix: the position has %v rows drawn, want %d numbers from 0 on", p.Drawn, len(m.drawn))
	}
	copy(m.drawn, p.Drawn)
	return nil
}
