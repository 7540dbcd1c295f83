package data

// Progress is the share of the file that the last Rows has read, in record batches. It depends on
// the number of rows read alone.
func (r *Reader[T]) Progress() float64 { return r.source.done() }
