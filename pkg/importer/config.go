package importer

import (
	"fmt"
	"math"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/setting"
)

// Config says how to read other people's files. The zero value, with a valid PreferenceConfig, recognises everything.
type Config struct {
	// As names the dialect, see Dialects. Default "": it is recognised by the first rows of each file.
	As string

	// Preference is what preferences get that rows do not say.
	Preference PreferenceConfig

	// Separator separates the documents of a plain text. Default "": files whose names end in .txt are plain text with
	// DefaultSeparator.
	Separator string

	// Score is the key of the grade that decides between answers. Default "": the first of "score", "overall_score",
	// "helpfulness", "gpt4_scores", "scores", "rating", "fine-grained_score" that a row has.
	Score string

	// Strict makes refused rows an error, at the end so that all are counted, and refuses rows with keys that are not used.
	Strict bool
}

// DefaultSeparator separates the documents of a .txt file.
const DefaultSeparator = "<|endoftext|>"

// DefaultConfig recognises the dialect and has DefaultPreferenceConfig.
func DefaultConfig() Config { return Config{Preference: DefaultPreferenceConfig()} }

// Validate reports all that is wrong with the config.
func (c Config) Validate() error {
	check := setting.NewChecks("importer: Config")
	check.Nested("Preference", c.Preference.Validate())
	if c.As != "" && c.As != tameDialect {
		_, err := dialectNamed(c.As)
		check.Nested("As", err)
	}
	return check.Err()
}

// PreferenceConfig says what an importer takes for granted where rows do not say it themselves.
type PreferenceConfig struct {
	// Rating of a choice that was only "this one", without a strength. The paper's data has four points (section 3.2.1),
	// which decide on the margin of the ranking loss. Default Better.
	Rating data.Rating

	// Set is what the annotators judged. Default HelpfulnessSet.
	Set data.Set

	// Thresholds turn grades, votes and margins into a rating. Default nil: those of the dialect.
	Thresholds *Thresholds

	// KeepTies takes a tie as a pair with the first answer chosen, rated NegligiblyBetter. Default false: which answer is
	// chosen would be chance, and a ranking loss would learn from it.
	KeepTies bool
}

// DefaultPreferenceConfig returns Better and HelpfulnessSet.
func DefaultPreferenceConfig() PreferenceConfig {
	return PreferenceConfig{Rating: data.Better, Set: data.HelpfulnessSet}
}

// Validate reports all that is wrong with the config.
func (c PreferenceConfig) Validate() error {
	check := setting.NewChecks("importer: PreferenceConfig")
	_, err := c.Rating.MarshalText()
	check.Nested("Rating", err)
	_, err = c.Set.MarshalText()
	check.Nested("Set", err)
	if c.Thresholds != nil {
		check.Nested("Thresholds", c.Thresholds.Validate())
	}
	return check.Err()
}

// thresholds are those of the dialect, unless others are set.
func (c PreferenceConfig) thresholds(dialect Thresholds) Thresholds {
	if c.Thresholds != nil {
		return *c.Thresholds
	}
	return dialect
}

// Thresholds put the difference between two answers on the scale of four points: from the first on the better one is
// slightly better, from the second on better, from the third on significantly better; below the first it is negligibly
// better. No difference is a tie.
type Thresholds [3]float64

// The thresholds that dialects have by themselves.
var (
	// Points are for grades such as 1 to 5, or rewards.
	pointThresholds = Thresholds{0.3, 1, 2}
	// Shares are for votes and probabilities: those for the answer less those against it, from -1 to 1.
	shareThresholds = Thresholds{0.2, 0.5, 0.8}
	// Steps are for verdicts that have three strengths.
	stepThresholds = Thresholds{1, 2, 3}
)

// Validate wants them to grow.
func (t Thresholds) Validate() error {
	if !(t[0] > 0 && t[1] > t[0] && t[2] > t[1] && t[2] < math.Inf(1)) {
		return fmt.Errorf("%v, want three numbers above 0 that grow", [3]float64(t))
	}
	return nil
}

// Rate is the point for a difference above 0.
func (t Thresholds) Rate(difference float64) data.Rating {
	rating := data.NegligiblyBetter
	for _, at := range t {
		if difference+1e-9 >= at { // 0.3 of decimals may come out a bit below
			rating++
		}
	}
	return rating
}
