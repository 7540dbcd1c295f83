package exec

// findDirty marks the values whose unused rows are never read: what computes them need not make
// those rows 0, which costs a pass over the memory of each value where a batch is not full. Such a
// value is the result of an operator with a table of rows, or a sum of two; it is not an output,
// nothing else is in its memory, and whatever reads it reads the used rows alone, by the table that
// it was computed by. A sum reads all rows, but what it reads of the unused ones goes into its own unused
// ones.
func (p *plan) findDirty() {
	// 1. All that might be, with the tables of their rows.
	table := map[*slot]*slot{}
	for _, st := range p.steps {
		by := st.table(table)
		for _, s := range st.out {
			if s != nil && by != nil {
				table[s] = by
				s.dirty = !s.output && s.home == nil && s.adds == never
			}
		}
	}
	for _, s := range p.all {
		if s.home != nil {
			s.root().dirty = false
		}
	}

	// 2. But for those that somebody reads. A sum that is one of them takes its parts along.
	for changed := true; changed; {
		changed = false
		for _, st := range p.steps {
			for i, s := range st.in {
				if s.dirty && !st.readsUsed(i, table[s]) {
					s.dirty, changed = false, true
				}
			}
		}
	}
}

// table is what says which rows of the step's results are used, nil if nothing does. known are the
// tables of values.
func (st *step) table(known map[*slot]*slot) *slot {
	if st.isSum() && known[st.in[0]] == known[st.in[1]] {
		return known[st.in[0]]
	}
	if st.ours != nil && st.ours.Table >= 0 {
		return st.in[st.ours.Table].root()
	}
	return nil
}

// readsUsed says whether the step lets nothing out of input i but the rows that are used by the
// table.
func (st *step) readsUsed(i int, table *slot) bool {
	if st.isSum() {
		return st.out[0].dirty
	}
	return st.ours != nil && st.ours.ReadsUsed[i] && st.table(nil) == table
}
