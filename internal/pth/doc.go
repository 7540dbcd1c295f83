// Package pth reads and writes the files of torch.save that hold tensors by name, such as Meta's consolidated.00.pth, and nothing else of
// what torch.save can write.
//
// Such a file is a zip archive: NAME/data.pkl is a Python pickle that describes the tensors, NAME/data/0, NAME/data/1 and so on are their
// numbers, stored without compression.
//
// # Safety
//
// A pickle is a program, and Python's unpickler runs it. This package does not: it follows the two dozen instructions that torch uses for
// dictionaries of tensors, and knows these names, which it takes as data:
//
//	collections.OrderedDict              an empty dictionary
//	torch._utils._rebuild_tensor_v2      a tensor: storage, offset, shape, strides
//	torch._utils._rebuild_parameter      the tensor inside
//	torch.FloatStorage                   float32
//	torch.HalfStorage                    float16
//	torch.BFloat16Storage                bfloat16
//
// Every other name and every other instruction is refused, with its name and place. Names inside the archive are looked up in the archive
// and never on the disk. Lengths are compared with what is there before anything is allocated, and the checksums of the archive are
// compared with the numbers.
//
// # Concurrency
//
// A File may be read by many goroutines; Close must come after them.
package pth
