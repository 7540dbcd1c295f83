package world

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
)

// The digests are of the texts before there were instructions, dialogues, pre-prompts and covert
// prompts: published results of a seed shall stay what they are. The counts are the defaults of
// that time.
func TestTextsOfASeedStay(t *testing.T) {
	for seed, want := range map[uint64][3]string{
		1: {"70187c6a64f9f585", "8b8705d3a39fdeaa", "7eceac24889fe9dc"},
		2: {"ddc110d863c631a1", "8b062629d9816338", "f7c2cce1def89453"},
		3: {"6737cd2c787fabc1", "db0964c5b1a2c03c", "6d2b9bceda140d68"},
	} {
		c := DefaultConfig()
		c.Seed, c.Pretraining.Words = seed, 200_000
		c.SFT = Counts{Normal: 1800, Borderline: 600, Hazard: 600}
		c.Helpfulness = Counts{Normal: 1900, Borderline: 450, Hazard: 650}
		c.Safety = Counts{Normal: 300, Borderline: 500, Hazard: 700}
		c.RL = Counts{Normal: 700, Borderline: 350, Hazard: 350}
		c.Validation = Counts{Normal: 120, Borderline: 65, Hazard: 65}
		c.Test = Counts{Normal: 400, Borderline: 200, Hazard: 200}
		w, err := New(c)
		require.NoError(t, err)
		pretraining, demos, prompts := sha256.New(), sha256.New(), sha256.New()
		for doc := range w.Pretraining() {
			fmt.Fprintln(pretraining, doc)
		}
		for _, d := range w.Demonstrations() {
			fmt.Fprintln(demos, d.Source, d.Messages)
		}
		for _, list := range [][]data.Prompt{w.PreferencePrompts(data.HelpfulnessSet), w.PreferencePrompts(data.SafetySet), w.RLPrompts(),
			w.ValidationPrompts(), w.TestPrompts()} {
			for _, p := range list {
				fmt.Fprintln(prompts, p.ID, p.Messages, p.Safety)
			}
		}
		got := [3]string{}
		for i, h := range [][]byte{pretraining.Sum(nil), demos.Sum(nil), prompts.Sum(nil)} {
			got[i] = fmt.Sprintf("%x", h[:8])
		}
		assert.Equal(t, want, got, "seed %d: pretraining text, demonstrations, prompts", seed)
	}
}
