// Package run answers "is this the same run?" for everything that can be stopped and resumed:
// checkpoints of training, results of a pipeline, outputs of commands. Parts are what a run that
// samples stores until its result is whole.
//
// An Identity names what decides a result: stage, settings, seed, and the fingerprints of what was
// read. Two runs of one identity produce identical files. Check compares two of them; what differs
// is named field by field:
//
//	id, err := run.NewIdentity(ctx, "sft", cfg, func(d *run.Digest) {
//		for _, e := range examples {
//			d.Example(e)
//		}
//	}, params)
//	...
//	err = run.Check(dir, saved, id) // ErrOtherRun: config field optim.learning_rate was 0.1 and is 0.2
package run
