package pipeline

import (
	"context"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
)

// calibration gives a helpfulness model its level after training.
type calibration struct {
	cfg                        rewardmodel.Calibration
	pairs                      []data.Pair
	microTokens, microSegments int
	level                      rewardmodel.Level // what it did
}

// calibration is on the last version's pairs that are not held out, whose answers are closest to
// those that the model will judge.
func (r *iteration) calibration() *calibration {
	c := &calibration{cfg: r.cfg.Calibration, microTokens: r.cfg.Helpfulness.MicroTokens, microSegments: r.cfg.Helpfulness.MicroSegments}
	rows := r.helpfulness.train
	for _, row := range rows {
		if row.Version == rows[len(rows)-1].Version {
			c.pairs = append(c.pairs, row.Pair())
		}
	}
	return c
}

// settings are those of the calibration, for the lineage; nil for none.
func (c *calibration) settings() *rewardmodel.Calibration {
	if c == nil {
		return nil
	}
	return &c.cfg
}

// apply moves the bias of a trained model.
func (c *calibration) apply(ctx context.Context, p *model.Params) error {
	if c == nil {
		return nil
	}
	scorer, err := rewardmodel.NewScorer(p, c.microTokens, c.microSegments)
	if err != nil {
		return err
	}
	c.level, err = rewardmodel.CalibratePairs(ctx, scorer, c.pairs, c.cfg)
	return err
}

// write notes in the model's folder what was done.
func (c *calibration) write(dir string) error {
	if c == nil {
		return nil
	}
	return c.level.Write(dir)
}
