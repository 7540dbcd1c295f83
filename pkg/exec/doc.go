// Package exec compiles the part of a gorgonia graph that some outputs need into a plan with fixed memory, and runs it.
//
// Gorgonia builds graphs and differentiates them; its machines are not used. A Program takes the nodes reachable from
// the wanted outputs in creation order, gives every intermediate its place in one arena by liveness, asks a backend for the kernels
// of the operators of package ops, and runs those on that memory: sibling results of one kernel are computed by one call, and running
// allocates nothing. Gorgonia's own operators work too, through their Do method, with their allocations.
//
//	prog, err := exec.Compile([]*gorgonia.Node{loss, dw}, exec.Options{})
//	err = prog.Bind(w, weights)  // used in place
//	err = prog.Bind(x, batch)
//	err = prog.Run(ctx)
//	v, err := prog.Value(loss)   // valid until the next Run
//
// # Memory
//
// A value lives from the step that computes it to the last one that reads it, a reshape being its source in another shape, and
// the arena is laid out when the graph is compiled. Outputs have memory of their own.
//
// Options.Sums names outputs, such as gradients, that RunAdd adds to in place: operators that can (ops.Operator.Adds) do so as
// they compute, for others a temporary value is added. An output that is a sum of gradients, as that of a tied embedding is,
// is added up in the same way. Options.Recompute trades time for memory: values of a group of nodes, such as a layer, are not
// kept for the backward pass but computed again for it.
//
// An operator with a table of rows need not make the unused rows of its result 0 where no output and no operator sees them; then they
// hold what was in that memory before (backend.Buffer.Dirty). With CheckFinite they are 0 everywhere.
//
// # Concurrency
//
// A Program is for one goroutine at a time. Programs that share bound weights may run at the same time, as long as
// nobody writes the weights.
package exec
