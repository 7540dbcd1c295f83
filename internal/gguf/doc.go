// Package gguf reads and writes GGUF, the file format of llama.cpp: typed metadata and a table of tensors in front of the tensors' numbers.
// It knows the format only; what the metadata and the tensors of a Llama mean is known by pkg/model and pkg/tokenizer.
//
// A file is, all little endian:
//
//	"GGUF", version (uint32), number of tensors, number of metadata entries (uint64 each)
//	each entry:  key, type of the value (uint32), value
//	each tensor: name, number of dimensions (uint32), dimensions (uint64 each, the innermost first), type (uint32), offset (uint64)
//	padding to the alignment (32, or the entry general.alignment), then the data, each tensor at its offset from here
//
// A text is its length (uint64) and its bytes, an array the type and the number of its elements and then those. Versions 2 and 3 are
// read, 3 is written.
//
// # Types of numbers
//
//	F32, F16   as they are
//	BF16       the upper half of a float32; read only
//	Q8_0       blocks of 32 numbers of a row: a scale d (F16) and 32 int8 q; a number is d*q
//
// Q8_0 is made as llama.cpp's reference does it: d = max|x|/127 in float32, q = x*(1/d) rounded to the nearest integer, halves away from
// zero, and d itself rounded to F16. So a number is off by at most d/2 from rounding q, and by 127*d/2048 from rounding d: together
// max|x|/226 of its block (and, where d is below F16's normal numbers, by 127/2^25 on top of d/2).
//
// # Damaged files
//
// Every length is compared with the bytes that are left before anything is allocated, and an error names the byte. Files are read, not
// mapped, F32 straight to where it belongs: so a file that somebody else cuts short meanwhile gives an error, not a crash.
//
// # Concurrency
//
// A File may be read by many goroutines; Close must come after them.
package gguf
