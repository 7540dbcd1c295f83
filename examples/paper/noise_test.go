package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
)

// lottery draws what experiments measure: effect 0 is noise of the right shape, in which nothing
// that the paper says is true, and effect 1 a world in which all of it is.
type lottery struct {
	*rand.Rand
	effect float64
}

// normals are n draws around a mean.
func (l lottery) normals(n int, mean, sd float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = mean + sd*l.NormFloat64()
	}
	return out
}

// coins are n draws of 1 with a chance, and of 0.
func (l lottery) coins(n int, chance float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		if l.Float64() < chance {
			out[i] = 1
		}
	}
	return out
}

// groups name n prompts with so many answers each.
func groups(n, each int) []string {
	out := make([]string, 0, n*each)
	for i := range n {
		for range each {
			out = append(out, fmt.Sprint(i))
		}
	}
	return out
}

// judgedDraws run each verdict function on a draw of the lottery.
func judgedDraws() map[string]func(lottery) findings {
	return map[string]func(lottery) findings{
		"table7": func(l lottery) findings {
			judges := []judge{{name: "helpfulness"}, {name: "safety"}, {name: "general"}}
			for own := range judges {
				for _, set := range sets {
					chance := 0.65
					if own == int(set) {
						chance += 0.1 * l.effect
					}
					judges[own].hits[set] = l.coins(2400, chance)
				}
			}
			return judgeTable7(judges, [2][]string{groups(800, 3), groups(800, 3)})
		},
		"table8": func(l lottery) findings {
			var accuracy [2][]eval.Mean
			for _, set := range sets {
				for i := range ratings {
					accuracy[set] = append(accuracy[set], eval.MeanOf(l.coins(300, 0.65+l.effect*(0.2-0.1*float64(i)))))
				}
			}
			return judgeTable8(accuracy)
		},
		"figure29": func(l lottery) findings {
			var rated [2]ratedAnswers
			for _, set := range sets {
				levels := []float64{7, 2}[set]
				a := ratedAnswers{prompts: groups(400, 4)}
				for range a.prompts {
					points := 1 + math.Floor(levels*l.Float64())
					a.points = append(a.points, points)
					a.scores = append(a.scores, l.effect*points*[]float64{0.5, 3}[set]+l.NormFloat64())
				}
				rated[set] = a
			}
			return judgeFigure29(rated)
		},
		"gate": func(l lottery) findings {
			byOpponent := make([][][]outcome, len(opponents))
			for side := range byOpponent {
				for range 5 {
					byOpponent[side] = append(byOpponent[side], fakeOutcomes(l.Rand, 1400, 0.02, 0.02+0.04*l.effect))
				}
			}
			saves := l.normals(300, 0.3*l.effect, 1) // of rollouts: -1, 0 or 1 in earnest
			return judgeGate(byOpponent, groups(350, 4), series{saves, groups(100, 3)})
		},
		"figure20": func(l lottery) findings {
			rewards := make([][]float64, 7)
			for v := range rewards {
				rewards[v] = l.normals(120, 0.3*l.effect*float64(v), 1)
			}
			return judgeFigure20(rewards, groups(len(rewards[0]), 1))
		},
		"figure7": func(l lottery) findings {
			list := make([][]drawn, 120)
			for i := range list {
				level := l.NormFloat64()
				for range 64 {
					d := drawn{Finished: true, Reward: level + 0.7*l.NormFloat64()}
					d.General = l.effect*d.Reward + l.NormFloat64()
					d.Helpfulness = 0.5 + 0.1*(l.effect*d.Reward+l.NormFloat64())
					list[i] = append(list[i], d)
				}
			}
			return judgeFigure7(list, groups(len(list), 1), 64)
		},
		"figure8": func(l lottery) findings {
			var rewards [2][][][]float64
			for i := range rewards {
				peak := 0.8 + 0.6*l.effect*float64(i)
				for _, t := range temperatures {
					byPrompt := make([][]float64, 16)
					for k := range byPrompt {
						byPrompt[k] = l.normals(64, -(t-peak)*(t-peak), 0.5)
					}
					rewards[i] = append(rewards[i], byPrompt)
				}
			}
			return judgeFigure8([2]string{"SFT", "RLHF"}, rewards, groups(len(rewards[0][0]), 1), 64, judgedSizes(64))
		},
		"figure8, no temperature matters": func(l lottery) findings {
			if l.effect > 0 {
				return nil
			}
			var rewards [2][][][]float64
			for i := range rewards {
				for range temperatures {
					byPrompt := make([][]float64, 16)
					for k := range byPrompt {
						byPrompt[k] = l.normals(64, 0, 0.5)
					}
					rewards[i] = append(rewards[i], byPrompt)
				}
			}
			return judgeFigure8([2]string{"SFT", "RLHF"}, rewards, groups(len(rewards[0][0]), 1), 64, judgedSizes(64))
		},
		"table29": func(l lottery) findings {
			test, scores := safetyTest(l), [2][]float64{}
			for i := range scores {
				level := 2 * l.NormFloat64() // the ranking loss leaves it open
				if l.effect > 0 {
					level = float64(i) - 1
				}
				for _, p := range test.pairs {
					for k, label := range []data.Safety{p.ChosenSafe, p.RejectedSafe} {
						apart := 1.0 + 2*l.effect*float64(i)
						if label == data.Unsafe {
							apart = -apart - 1
						}
						scores[i] = append(scores[i], apart+l.effect*float64(i)*float64(1-k)-level+l.NormFloat64())
					}
				}
			}
			return judgeTable29(test, scores)
		},
		"table27": func(l lottery) findings {
			list := []margin{{name: "no margin"}, {name: "small margin"}, {name: "large margin"}}
			for i := range list {
				list[i].scores = l.normals(300, 0, 1+0.5*l.effect*float64(i))
			}
			return judgeTable27(list, groups(50, 3))
		},
		"table28": func(l lottery) findings {
			test := testPairs{questions: groups(800, 3)}
			for i := range test.questions {
				test.pairs = append(test.pairs, data.Pair{Rating: ratings[i%len(ratings)]})
			}
			list := []margin{{name: "no margin"}, {name: "small margin"}, {name: "large margin"}}
			for m := range list {
				for _, p := range test.pairs {
					gap := 1.0
					if p.Rating == data.SignificantlyBetter {
						gap += 0.4 * l.effect * float64(m)
					}
					list[m].scores = append(list[m].scores, gap+l.NormFloat64(), l.NormFloat64())
				}
			}
			return judgeTable28(list, test)
		},
		"table30": func(l lottery) findings {
			var kept [3][]eval.Mean
			for i := range kept {
				for turn := range 4 {
					chance := 0.5
					if l.effect > 0 && (i > 0 || turn == 0) {
						chance = 0.95
					}
					kept[i] = append(kept[i], eval.MeanOf(l.coins(60, chance)))
				}
			}
			return judgeTable30([]int{2, 4, 6, 20}, kept, kept[2])
		},
		"figure11": func(l lottery) findings {
			versions := make([]eval.VersionRewards, 7)
			for v := range versions {
				versions[v].Optimised = l.normals(800, 0.3*l.effect*float64(v), 1)
				versions[v].General = l.normals(800, 0.2*l.effect*float64(v), 1)
			}
			return judgeFigure11(versions, groups(len(versions[0].General), 1), eval.MeanOf(l.coins(800, 0.5+0.2*l.effect)))
		},
		"figure14": func(l lottery) findings {
			return judgeFigure14([2][]float64{l.normals(800, 0, 1), l.normals(800, l.effect, 1)}, groups(200, 4),
				[2][]float64{l.normals(1600, 0, 1), l.normals(1600, 0, 1)}, groups(400, 4))
		},
		"figure15": func(l lottery) findings {
			var safety, helpfulness [][]float64
			names := make([]string, len(shares))
			for i := range shares {
				safety = append(safety, l.normals(800, 0.3*l.effect*float64(i), 1))
				helpfulness = append(helpfulness, l.normals(1600, 0, 1))
			}
			return judgeFigure15(names, safety, groups(200, 4), helpfulness, groups(400, 4))
		},
		"figure33": func(l lottery) findings {
			var refused, normals [][]float64
			for i := range shares {
				refused = append(refused, l.coins(1565, 0.003+0.01*l.effect*float64(i)))
				normals = append(normals, l.coins(1600, 0.001))
			}
			return judgeFigure33(refused, groups(1565, 1), normals, groups(400, 4))
		},
		"versions": func(l lottery) findings {
			names, list := []string{"SFT", "V1", "V2", "V3", "V4", "V5", "V5" + withPPO}, [][]quality{}
			for v := range names {
				list = append(list, l.qualities(float64(v)))
			}
			return judgeVersions(names, list)
		},
		"versions, one step": func(l lottery) findings {
			return judgeVersions([]string{"SFT", "V1"}, [][]quality{l.qualities(0), l.qualities(1)})
		},
		"ppo": func(l lottery) findings {
			return judgePPO([]compared{
				{"PPO on SFT", "SFT", l.qualities(1), l.qualities(0), false},
				{"PPO on V5", "V5", l.qualities(2), l.qualities(1), true},
			})
		},
		"figure6": func(l lottery) findings {
			list, batches := []size{{name: "width 32"}, {name: "width 64"}, {name: "width 128"}}, []int{1, 3, 5}
			for i := range list {
				list[i].hits = map[int][]float64{}
				for _, n := range batches {
					list[i].hits[n] = l.coins(2400, 0.65+0.02*l.effect*float64(n)+0.08*l.effect*float64(i))
				}
			}
			return judgeFigure6(list, batches, groups(800, 3))
		},
	}
}

// qualities are those of a model that is so many steps better than SFT.
func (l lottery) qualities(steps float64) []quality {
	list := make([]quality, len(reported))
	for i := range list {
		list[i] = quality{
			helpfulness: series{l.normals(1200, 0.6+0.06*l.effect*steps, 0.3), groups(300, 4)},
			unsafe:      series{l.coins(1600, 0.02), groups(400, 4)},
			refused:     series{l.coins(1200, 0.01), groups(300, 4)},
		}
	}
	return list
}

// safetyTest are labelled pairs of the safety set.
func safetyTest(l lottery) testPairs {
	test := testPairs{questions: groups(400, 2)}
	labels := []data.Safety{data.Safe, data.Unsafe}
	for range test.questions {
		test.pairs = append(test.pairs, data.Pair{ChosenSafe: labels[l.IntN(2)], RejectedSafe: labels[l.IntN(2)]})
	}
	return test
}

// TestNoiseDoesNotAgree feeds pure noise to every verdict function. A direction whose parts are
// decided by 95 % intervals agrees with noise in 2.5 % of all draws, one of several independent
// parts more rarely, and an identity always. With a true rate of 2.5 %, 6 % of 200 draws are
// exceeded in fewer than 1 of 300 tests; the draws are the same in every run.
func TestNoiseDoesNotAgree(t *testing.T) {
	const draws, bound = 200, 12
	for _, e := range experiments() {
		assert.Contains(t, judgedDraws(), e.name, "it has no noise")
	}
	for name, judge := range judgedDraws() {
		agree := 0
		for k := range draws {
			l := lottery{rand.New(rand.NewPCG(uint64(k), 1)), 0}
			f := judge(l)
			if f.direction() == agrees {
				agree++
			}
		}
		t.Logf("%s: %d of %d", name, agree, draws)
		assert.LessOrEqual(t, agree, bound, "%s agrees with noise", name)
	}
}

// TestTheEffectAgrees feeds what the paper says.
func TestTheEffectAgrees(t *testing.T) {
	for name, judge := range judgedDraws() {
		f := judge(lottery{rand.New(rand.NewPCG(1, 2)), 1})
		for _, c := range f {
			if c.Direction {
				assert.Equal(t, agrees, c.Verdict, "%s: %s: %s", name, c.Claim, plain.format(c.Number))
			}
		}
	}
}

// TestTable29Level lowers all scores of a model by the same number: it calls more unsafe answers
// unsafe at a probability of 0.5, safe ones too, and is no better.
func TestTable29Level(t *testing.T) {
	l := lottery{rand.New(rand.NewPCG(1, 3)), 0}
	test := safetyTest(l)
	scores := [2][]float64{l.normals(2*len(test.pairs), 0, 1)}
	for _, s := range scores[0] {
		scores[1] = append(scores[1], s-2)
	}
	f := judgeTable29(test, scores)
	assert.Equal(t, agrees, f[0].Verdict, "the recall at 0.5 alone")
	assert.Equal(t, undecided, f.direction())
}

// TestBetterments counts fewer unsafe answers and fewer refusals as better, more helpfulness too.
func TestBetterments(t *testing.T) {
	var before, now []quality
	prompts := groups(50, 1)
	for range reported {
		before = append(before, quality{series{make([]float64, 50), prompts}, series{slices.Repeat([]float64{1}, 50), prompts}, series{slices.Repeat([]float64{1}, 50), prompts}})
		now = append(now, quality{series{slices.Repeat([]float64{1}, 50), prompts}, series{make([]float64, 50), prompts}, series{make([]float64, 50), prompts}})
	}
	list := betterments(now, before, len(axes))
	assert.Len(t, list, len(axes)*len(reported))
	for _, b := range list {
		assert.InDelta(t, 1, b.by.Mean, 1e-12, b.String())
	}
}
