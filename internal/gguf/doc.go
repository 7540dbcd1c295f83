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
// F32, F16 and Q8_0 are read and written. The others are read only:
//
//	F32, F16   as they are
//	BF16       the upper half of a float32
//	Q8_0       blocks of 32 numbers of a row: a scale d (F16) and 32 int8 q; a number is d*q
//	Q4_0       d, then 16 bytes: their lower halves are q of numbers 0 to 15, the upper halves of 16 to 31; a number is d*(q-8)
//	Q4_1       d, m (F16), 16 bytes: d*q + m
//	Q5_0       d, a uint32 with the fifth bit of each q, 16 bytes: d*(q-16)
//	Q5_1       d, m, fifth bits, 16 bytes: d*q + m
//
// In the types whose names end in K, a block has 256 numbers, in parts with scales of their own:
//
//	Q4_K       d, m (F16), 12 bytes with a scale s and a minimum l (6 bits each) for each part of 32 numbers, 128 bytes:
//	           (d*s)*q - m*l
//	Q5_K       the same with 32 bytes of fifth bits before the 128 bytes: bit p of byte j is of number j of part p
//	Q6_K       128 bytes with the lower 4 bits, 64 bytes with the upper 2, 16 int8 scales s of 16 numbers each, d (F16):
//	           (d*s)*(q-32)
//
// The numbers are those of llama.cpp's Python package gguf bit by bit (a NaN is any NaN): every operation is rounded to float32.
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
