package exec

// OutputBytes is the memory of the outputs, which is not in the arena.
func (p *Program) OutputBytes() int {
	total := 0
	for _, s := range p.outputs {
		if !s.input {
			total += words(s) * 8
		}
	}
	return total
}
