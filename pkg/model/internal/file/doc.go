// Package file holds what the file formats of models have in common: Tensor, which the table of
// package arch gives, the types of numbers, and careful reading of JSON.
//
// Each format is a package next to this one. To read, it opens a model, compares names, shapes and
// types with what the model's settings ask for before anything of the model's size is allocated, and
// then fills the weights. To write, it encodes a Config, decodes it again, and refuses the fields
// that come back as something else (SameConfig): so no field is lost that somebody adds.
package file
