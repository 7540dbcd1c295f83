// Package train runs optimisation steps: bind a micro-batch, run the graph, add up gradients, clip, step.
package train
