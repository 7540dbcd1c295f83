package pipeline

import (
	"context"
	"fmt"
	"slices"

	"github.com/tame-rlhf/tame/internal/each"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/rejection"
)

// Tuning is a temperature that was tried (figure 8).
type Tuning struct {
	Temperature float64 `arrow:"temperature"`
	Max         float64 `arrow:"max"`      // mean reward of the best finished answer
	Median      float64 `arrow:"median"`   // mean of the median rewards
	Finished    float64 `arrow:"finished"` // share of answers that ended by themselves
	Winners     float64 `arrow:"winners"`  // share of prompts with a best answer
	Chosen      bool    `arrow:"chosen"`
}

// Schema is tuning v1.
func (Tuning) Schema() data.Schema { return data.Schema{Name: "tuning", Version: 1} }

// tune chooses the temperature on the validation prompts.
func (r *iteration) tune(ctx context.Context, v int, policy string, p *model.Params, judges *Judges) (float64, []Tuning, error) {
	cfg := r.cfg.Rejection
	cfg.Version = v
	l, err := r.store.lineage(of(v, "temperature"), struct {
		Rejection       rejection.Config
		Temperatures    []float64
		SafetyThreshold float64
	}{cfg, r.cfg.Temperatures, r.cfg.PPO.SafetyThreshold}, cfg.Seed, policy, at(v, "helpfulness"), at(v, "safety"), validationName)
	if err != nil {
		return 0, nil, err
	}
	rows, err := dataset(r.store, at(v, "temperatures.arrow"), l, func() ([]Tuning, error) {
		chosen, points, err := rejection.Tune(ctx, p, r.validation, judges.Reward, cfg, r.cfg.Temperatures)
		return each.Of(points, func(pt rejection.Point) Tuning {
			return Tuning{pt.Temperature, pt.Max, pt.Median, pt.Finished, pt.Winners, pt.Temperature == chosen}
		}), err
	})
	for _, row := range rows {
		if row.Chosen {
			return row.Temperature, rows, err
		}
	}
	return 0, nil, err
}

// sample draws the answers of a version, with their rewards.
func (r *iteration) sample(ctx context.Context, v int, policy string, p *model.Params, judges *Judges, temperature float64) ([]data.Sample, error) {
	cfg := r.cfg.Rejection
	cfg.Version, cfg.Temperature, cfg.OnProgress = v, temperature, nil
	name := at(v, "samples.arrow")
	l, err := r.store.lineage(of(v, "rejection sampling"), struct {
		rejection.Config
		SafetyThreshold float64
	}{cfg, r.cfg.PPO.SafetyThreshold}, cfg.Seed, policy, at(v, "helpfulness"), at(v, "safety"), at(v, "temperatures.arrow"), promptsName)
	if err != nil {
		return nil, err
	}
	return inParts(r.store, name, l, len(r.prompts), r.cfg.PartPrompts, func(lo, hi int) ([]data.Sample, error) {
		candidates, err := rejection.Sample(ctx, p, r.prompts[lo:hi], judges.Reward, cfg)
		if err != nil {
			return nil, err
		}
		rows := make([]data.Sample, len(candidates))
		for i, c := range candidates {
			if rows[i], err = r.row(c); err != nil {
				return nil, err
			}
		}
		return rows, nil
	})
}

// row is a candidate as it is written.
func (r *iteration) row(c rejection.Candidate) (data.Sample, error) {
	row, err := sampleRow(c.Answer, r.messages[c.Prompt.ID], r.data.Tokenizer)
	row.Combined, row.Version, row.Temperature = &c.Reward, c.Version, c.Temperature
	return row, err
}

// winners picks the best answer to each prompt: of this version's samples, or from PoolFrom on of all versions', whose rewards are
// then taken from the newest reward models.
func (r *iteration) winners(ctx context.Context, v int, judges *Judges) ([]data.Sample, error) {
	first := v
	if v >= r.cfg.PoolFrom {
		first = 1
	}
	inputs := []string{at(v, "helpfulness"), at(v, "safety")}
	for k := first; k <= v; k++ {
		inputs = append(inputs, at(k, "samples.arrow"))
	}
	l, err := r.store.lineage(of(v, "best answers"), map[string]float64{"first_version": float64(first), "safety_threshold": r.cfg.PPO.SafetyThreshold}, 0, inputs...)
	if err != nil {
		return nil, err
	}
	return dataset(r.store, at(v, "winners.arrow"), l, func() ([]data.Sample, error) {
		pool := slices.Concat(r.samples[first-1 : v]...)
		if first < v {
			rewards, err := judges.Reward(ctx, answersOf(pool, func(row data.Sample) bool { return r.isSafety[row.PromptID] }))
			if err != nil {
				return nil, err
			}
			for i := range pool {
				pool[i].Combined = &rewards[i]
			}
		}
		count := CountSamples(pool)
		r.store.watch(Event{Step: at(v, "winners.arrow"), Sampled: &count})
		rows := BestSamples(pool)
		if len(rows) == 0 {
			return nil, fmt.Errorf("of %d answers none is finished and not empty: raise Rejection.MaxNewTokens (%d), or train the model to answer and to stop", len(pool), r.cfg.Rejection.MaxNewTokens)
		}
		return rows, nil
	})
}

// fineTune is SFT on the winners, "the best answer becomes the new gold answer" of its prompt, and on further examples.
func (r *iteration) fineTune(ctx context.Context, v int, inputs []string, start *model.Params, examples []data.Example) (*model.Params, error) {
	name := at(v, "tuned")
	cfg := r.cfg.FineTune
	l, err := r.store.lineage(of(v, "SFT on the best answers"), cfg, cfg.Seed, inputs...)
	if err != nil {
		return nil, err
	}
	return r.store.params(name, l, func() (*model.Params, error) {
		p := start.Clone()
		cfg.Checkpointing, cfg.OnStep = r.store.keep(name), r.steps(name)
		cfg.OnPlan = r.plans(name)
		_, err := r.stages.fineTune(ctx, p, examples, nil, cfg)
		return p, err
	})
}

func examplesOfWinners(winners []data.Sample) []data.Example {
	return each.Of(winners, func(w data.Sample) data.Example { return data.Join(w.Prompt, w.Tokens) })
}
