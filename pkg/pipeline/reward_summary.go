package pipeline

import (
	"maps"
	"slices"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
)

// RewardSummary are the mean rewards of answers, with intervals of 95 %.
type RewardSummary struct {
	Version     int        `json:"version"` // of the model that sampled the answers
	Reward      eval.Mean  `json:"reward"`  // what decides
	Helpfulness *eval.Mean `json:"helpfulness,omitempty"`
	Safety      *eval.Mean `json:"safety,omitempty"`
}

// SummariseRewards takes the means of answers that Judges.RateSamples has rated: one summary for each
// version among them, in ascending order.
func SummariseRewards(rows []data.Sample) []RewardSummary {
	byVersion := map[int][]data.Sample{}
	for _, row := range rows {
		byVersion[row.Version] = append(byVersion[row.Version], row)
	}
	var list []RewardSummary
	for _, v := range slices.Sorted(maps.Keys(byVersion)) {
		of := byVersion[v]
		s := RewardSummary{
			Version:     v,
			Helpfulness: meanOf(of, func(s data.Sample) *float64 { return s.Helpfulness }),
			Safety:      meanOf(of, func(s data.Sample) *float64 { return s.Safety }),
		}
		if reward := meanOf(of, func(s data.Sample) *float64 { return s.Combined }); reward != nil {
			s.Reward = *reward
		}
		list = append(list, s)
	}
	return list
}

// meanOf is the mean of a column, nil if it is empty.
func meanOf(rows []data.Sample, column func(data.Sample) *float64) *eval.Mean {
	var values []float64
	for _, row := range rows {
		if x := column(row); x != nil {
			values = append(values, *x)
		}
	}
	if len(values) == 0 {
		return nil
	}
	mean := eval.MeanOf(values)
	return &mean
}
