// Package data holds what goes between the stages: datasets, chat templates, and the ragged batches a model reads.
package data
