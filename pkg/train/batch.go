package train

import "github.com/tame-rlhf/tame/pkg/data"

// Batch holds the micro-batches of an optimisation step, filled again for every step.
type Batch struct {
	n, s  int
	micro []*data.Ragged
}

// NewBatch makes micro-batches of n token slots and s segments as they are needed.
func NewBatch(n, s int) *Batch { return &Batch{n: n, s: s} }

// Fill fills one micro-batch for each list of the plan, as data.Batches makes it: add puts the segments of item i into
// the micro-batch. The micro-batches are valid until the next call.
func (b *Batch) Fill(plan [][]int, add func(r *data.Ragged, i int) error) ([]*data.Ragged, error) {
	for len(b.micro) < len(plan) {
		b.micro = append(b.micro, data.NewRagged(b.n, b.s))
	}
	for k, items := range plan {
		b.micro[k].Reset()
		for _, i := range items {
			if err := add(b.micro[k], i); err != nil {
				return nil, err
			}
		}
	}
	return b.micro[:len(plan)], nil
}

// UsedTokens is the number of tokens in the micro-batches, counted or not.
func UsedTokens(micro []*data.Ragged) int {
	total := 0
	for _, r := range micro {
		n, _ := r.Used()
		total += n
	}
	return total
}
