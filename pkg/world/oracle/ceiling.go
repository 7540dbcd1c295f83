package oracle

import (
	"fmt"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/world"
)

// Ceiling is how well the choices of one rating could be predicted at best.
type Ceiling struct {
	Rating   data.Rating
	Pairs    int     // preferences with this rating
	Accuracy float64 // expected accuracy of a judge who knows the true utilities; 0 without pairs
}

// Ceilings returns, for each rating from negligibly to significantly better, the accuracy to be expected of a judge who knows the
// utilities of the answers and always picks the larger. The noise of the annotators keeps it below 1: no reward model can do better
// but by luck. Where both utilities are equal, the judge is right half of the time.
func Ceilings(a *world.Annotator, preferences []data.Preference) ([]Ceiling, error) {
	out := []Ceiling{{Rating: data.NegligiblyBetter}, {Rating: data.SlightlyBetter}, {Rating: data.Better}, {Rating: data.SignificantlyBetter}}
	for _, p := range preferences {
		chance, err := a.Predictability(p)
		if err != nil {
			return nil, fmt.Errorf("oracle: %w", err)
		}
		c := &out[p.Rating-data.NegligiblyBetter]
		c.Pairs++
		c.Accuracy += (chance - c.Accuracy) / float64(c.Pairs)
	}
	return out, nil
}
