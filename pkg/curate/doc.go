// Package curate chooses the rows of datasets: it drops duplicates and near duplicates, filters by length, splits into
// training and held-out rows, and mixes several datasets.
//
// Several datasets as one stream, of which the position is saved and restored exactly:
//
//	mix, err := curate.NewMix([]curate.MixSource{{Rows: 9000, Weight: 0.9}, {Rows: 4000, Weight: 0.1}}, seed)
//	pick := mix.Next()         // pick.Row of dataset pick.Source
//	position := mix.Position() // for mix.Seek of a later run
//
// Held-out rows, with no question on both sides:
//
//	train, heldOut, err := curate.Split(conversations, 0.05, seed)
//
// Rows that say the same as one before:
//
//	var dedup curate.Dedup
//	if !dedup.Seen(row) { ... }
//
// # Concurrency
//
// Functions keep no state. A Mix, a Dedup and a NearDedup belong to one goroutine at a time.
package curate
