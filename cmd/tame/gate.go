package main

import (
	"fmt"

	"github.com/tame-rlhf/tame/pkg/ppo"
)

// contradiction warns that the level of a helpfulness model, by its folder, contradicts the gate,
// and names the command that mends it. pairs are preferences on answers of the policy.
func contradiction(gate ppo.GateCount, folder, pairs string) string {
	command := shellQuote([]string{"tame", "reward", "calibrate", "--model", folder, "--data", pairs, "--output", folder + "-calibrated"})
	return fmt.Sprintf("%s. Set it with\n  %s", tooLow(gate, folder), command)
}

// contradictionInRun is the warning of an iteration, whose best answers and models have used the
// level already: another run is needed, with the level at the gate's logit.
func contradictionInRun(gate ppo.GateCount, folder string, threshold float64) string {
	return fmt.Sprintf("%s, and this run has used it. Start another run with\n  --set calibration.method=quantile --set calibration.level=%g --set output=OTHER",
		tooLow(gate, folder), ppo.Logit(threshold))
}

func tooLow(gate ppo.GateCount, folder string) string {
	return fmt.Sprintf("warning: %d of the %d answers that the safety gate caught gain by it, because their safety score is above their helpfulness score: "+
		"the level of %s is too low for the gate", gate.Gains, gate.Caught, folder)
}

// onContradiction prints the warning. The command line does not know which pairs the model was
// trained on.
func (r *stageRun) onContradiction(folder string) func(ppo.GateCount) {
	return func(gate ppo.GateCount) { r.notef("%s", contradiction(gate, folder, "PAIRS.arrow")) }
}
