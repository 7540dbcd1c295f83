// Package columnar reads files of columns as Arrow records, whatever their format: Arrow IPC files, Arrow IPC streams and
// Parquet files. It knows nothing of what the rows mean.
//
//	f, err := columnar.Open(path, memory.DefaultAllocator)
//	defer f.Close()
//	next := f.Records()
//	err = columnar.Guard(func() error {
//		rec, err := next() // io.EOF at the end
//		...
//	})
//
// A damaged file is an error. The Arrow library trusts what a file says about itself: it panics where that is wrong, and
// takes memory for as many things as are claimed, and running out of memory cannot be recovered from. So descriptions are
// gone through before the library reads them (flatbuffer.go), memory is limited to what a file of that size could hold,
// and Guard turns panics into errors.
package columnar
