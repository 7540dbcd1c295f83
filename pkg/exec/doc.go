// Package exec compiles the part of a gorgonia graph that some outputs need into a plan with fixed memory, and runs it.
//
// Gorgonia builds graphs and differentiates them; its machines are not used. A Program takes the nodes reachable from
// the wanted outputs in creation order, gives every intermediate its place in one arena by liveness, and runs operators
// of package ops as kernels on that memory: sibling results of one kernel are computed by one call, and running
// allocates nothing. Gorgonia's own operators work beside them, through their Do method, with their allocations.
//
//	prog, err := exec.Compile([]*gorgonia.Node{loss, dw}, exec.Options{})
//	err = prog.Bind(w, weights)  // used in place
//	err = prog.Bind(x, batch)
//	err = prog.Run(ctx)
//	v, err := prog.Value(loss)   // valid until the next Run
//
// # Concurrency
//
// A Program is for one goroutine at a time. Programs that share bound weights may run at the same time, as long as
// nobody writes the weights.
package exec
