package main

import "github.com/tame-rlhf/tame/pkg/eval"

// claim is a statement of the paper, the number that decides it here, and the verdict.
type claim struct {
	Claim   string    `json:"claim"`
	Number  eval.Mean `json:"number"`
	Unit    unit      `json:"unit"`
	Verdict verdict   `json:"verdict"`
	// Direction marks a claim that is part of what the paper says with the table or figure as a
	// whole. The other claims are finer.
	Direction bool `json:"direction"`
}

// findings are the claims of one table or figure. Every table and figure has a function judgeNAME
// that computes them from measured numbers alone, so that a test can feed it noise: a direction
// that noise can pass is no finding.
type findings []claim

// claim adds a claim.
func (f *findings) claim(text string, number eval.Mean, u unit, v verdict) {
	*f = append(*f, claim{Claim: text, Number: number, Unit: u, Verdict: v})
}

// lead adds a claim that is part of the direction.
func (f *findings) lead(text string, number eval.Mean, u unit, v verdict) {
	*f = append(*f, claim{Claim: text, Number: number, Unit: u, Verdict: v, Direction: true})
}

// above claims that a number is above 0.
func (f *findings) above(text string, number eval.Mean, u unit) {
	f.claim(text, number, u, positive(number))
}

// leadAbove is above as part of the direction.
func (f *findings) leadAbove(text string, number eval.Mean, u unit) {
	f.lead(text, number, u, positive(number))
}

// direction is the verdict on the whole: that of all leading claims together.
func (f findings) direction() verdict {
	var parts []verdict
	for _, c := range f {
		if c.Direction {
			parts = append(parts, c.Verdict)
		}
	}
	if len(parts) == 0 {
		return undecided
	}
	return all(parts...)
}
