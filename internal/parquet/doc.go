// Package parquet reads and writes Parquet files as Arrow records. It knows nothing of what the rows mean.
//
//	f, err := parquet.Open(file, size, memory.DefaultAllocator)
//	for next := f.Records(); ; {
//		rec, err := next() // io.EOF at the end
//		...
//		rec.Release()
//	}
//
// Reading is tame's own: every claim of a file is compared with what is there before memory is taken for it, and a
// damaged file is an error. Arrow's Parquet package, which writes the files, panics in goroutines of its own where a
// file is damaged, which no caller can recover, and takes as much memory as the file claims to need.
//
// It reads pages of version 1 and 2; plain, dictionary, RLE, delta and byte-stream-split values; Snappy, gzip,
// Brotli, Zstandard and raw LZ4; nested lists, maps and structs. Decimals become float64. LZO, Hadoop's LZ4, encryption
// and columns in other files are refused by name.
//
// The format is that of https://github.com/apache/parquet-format. A value's definition level says how far down its path
// there is something, its repetition level in which of the lists around it a new element begins.
package parquet
