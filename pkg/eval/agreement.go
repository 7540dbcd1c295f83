package eval

import (
	"fmt"
	"math"
)

// Agreement compares yes-or-no verdicts with labels that are taken for the truth.
type Agreement struct {
	TruePositives, FalsePositives, FalseNegatives, TrueNegatives int
}

// AgreementOf counts the verdicts and their labels, item by item.
func AgreementOf(verdicts, labels []bool) (Agreement, error) {
	var a Agreement
	if len(verdicts) != len(labels) {
		return a, fmt.Errorf("eval: %d verdicts for %d labels, want one for each", len(verdicts), len(labels))
	}
	for i, v := range verdicts {
		switch {
		case v && labels[i]:
			a.TruePositives++
		case v:
			a.FalsePositives++
		case labels[i]:
			a.FalseNegatives++
		default:
			a.TrueNegatives++
		}
	}
	return a, nil
}

// Accuracy is the share of items on which both agree.
func (a Agreement) Accuracy() Mean {
	return shareOf(float64(a.TruePositives+a.TrueNegatives), a.TruePositives+a.TrueNegatives+a.FalsePositives+a.FalseNegatives)
}

// Precision is the share of positive verdicts that are right.
func (a Agreement) Precision() Mean {
	return shareOf(float64(a.TruePositives), a.TruePositives+a.FalsePositives)
}

// Recall is the share of positive labels that were found.
func (a Agreement) Recall() Mean {
	return shareOf(float64(a.TruePositives), a.TruePositives+a.FalseNegatives)
}

// Kappa is Cohen's kappa of the verdicts and the labels; see the function.
func (a Agreement) Kappa() float64 {
	return kappa([][]int{{a.TrueNegatives, a.FalsePositives}, {a.FalseNegatives, a.TruePositives}})
}

// Kappa is Cohen's kappa (1960) of two raters who put the same items into categories:
//
//	κ = (p_o - p_e) / (1 - p_e)
//
// with the share p_o of items on which they agree and the share p_e on which raters would agree who give their categories as often, but at
// random. 1 is full agreement, 0 that of chance; it is NaN if both gave all items the same category, or without items.
func Kappa[C comparable](first, second []C) (float64, error) {
	if len(first) != len(second) {
		return 0, fmt.Errorf("eval: %d categories of the first rater for %d of the second, want one for each", len(first), len(second))
	}
	numbers, size := number([][]C{first, second})
	table := make([][]int, size)
	for i := range table {
		table[i] = make([]int, size)
	}
	for i, c := range numbers[0] {
		table[c-1][numbers[1][i]-1]++
	}
	return kappa(table), nil
}

// kappa is Cohen's kappa of a table of counts, (categories of one rater, categories of the other).
func kappa(table [][]int) float64 {
	n, same := 0.0, 0.0
	rows, columns := make([]float64, len(table)), make([]float64, len(table))
	for i, row := range table {
		for j, count := range row {
			c := float64(count)
			n, rows[i], columns[j] = n+c, rows[i]+c, columns[j]+c
			if i == j {
				same += c
			}
		}
	}
	observed, expected := same/n, 0.0
	for i := range rows {
		expected += rows[i] / n * columns[i] / n
	}
	if expected == 1 {
		return math.NaN()
	}
	return (observed - expected) / (1 - expected)
}
