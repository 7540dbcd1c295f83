// Package arch describes a Llama, and the families like it, as data: Config is a model's shape, Table the list of its weights.
//
// The table says of each weight what its name and shape are, how it is initialised, whether weight
// decay applies, and under which names and in which rows the file formats have it. Package model
// makes, counts, initialises, loads and saves weights by this table, and puts them into the graph
// and into the decoder. A weight is added to the model by a row of the table, and by the line of
// the graph and of the decoder that computes with it.
//
// A format that has no name for a weight refuses to write it, by the weight's name; so it does with
// a field of Config that it cannot express.
package arch
