package train

import "maps"

// Result is what one optimisation step reports. Its maps belong to the Step and are valid until the next Run.
type Result struct {
	// Step is the number of this step, counted from 0.
	Step int
	// Loss is the loss of the whole batch: the sum over its micro-batches.
	Loss float64
	// Metrics are the sums of Terms.Metrics over the micro-batches, by name.
	Metrics map[string]float64
	// GradNorm is the global gradient norm of each network before clipping, by the network's name.
	GradNorm map[string]float64
	// LR is the learning rate that each network was stepped with, by the network's name.
	LR map[string]float64
	// Tokens is the number of counted tokens of the batch.
	Tokens int
	// Weight is the sum of their weights, see data.Example.
	Weight float64
	// Seqs is the number of segments of the batch.
	Seqs int
}

// Clone is a copy that the next Run does not change.
func (r Result) Clone() Result {
	r.Metrics, r.GradNorm, r.LR = maps.Clone(r.Metrics), maps.Clone(r.GradNorm), maps.Clone(r.LR)
	return r
}

// StepInfo is what a stage reports to its OnStep callback after every optimisation step.
type StepInfo struct {
	// Stage names the stage, such as "sft" or "ppo".
	Stage string
	// Step is the number of steps done, Total the number planned.
	Step, Total int
	// Metrics are the stage's numbers by their log names.
	Metrics map[string]float64

	stop *string
}

// Stop ends the run after this step, without an error: it saves its checkpoint, and its report names
// the reason. Started again it resumes. Only within the callback.
func (i StepInfo) Stop(reason string) {
	if i.stop != nil {
		*i.stop = reason
	}
}

// Tell calls a stage's OnStep callback, if it is not nil. stopped is the reason if the callback has
// called Stop, which the stage then has to do, else "".
func (i StepInfo) Tell(onStep func(StepInfo)) (stopped string) {
	if onStep != nil {
		i.stop = &stopped
		onStep(i)
	}
	return stopped
}
