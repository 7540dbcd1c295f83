package curate

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
)

// Gather yields the rows that picks name, in that order, from datasets that are only read from front to back, such as
// Reader.Rows. It takes window picks at a time and goes through the datasets once for them: memory is that of window
// rows, time that of reading all for each window. Rows that are picked several times share their memory.
func Gather[T any](picks iter.Seq[Pick], window int, sources ...iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		if window < 1 {
			yield(zero, fmt.Errorf("curate: gather: a window of %d rows holds nothing", window))
			return
		}
		g := gatherer[T]{sources: sources} // its memory is that of the picks: a window may be much larger
		flush := func() bool {
			if err := g.read(); err != nil {
				yield(zero, err)
				return false
			}
			for _, row := range g.rows {
				if !yield(row, nil) {
					return false
				}
			}
			g.picks = g.picks[:0]
			return true
		}
		for pick := range picks {
			g.picks = append(g.picks, pick)
			if len(g.picks) == window && !flush() {
				return
			}
		}
		if len(g.picks) > 0 {
			flush()
		}
	}
}

// gatherer reads one window.
type gatherer[T any] struct {
	sources []iter.Seq2[T, error]
	picks   []Pick
	rows    []T
	order   []int // places of the picks by source and row
}

// read fills rows with what picks name.
func (g *gatherer[T]) read() error {
	g.rows = append(g.rows[:0], make([]T, len(g.picks))...)
	g.order = g.order[:0]
	for i := range g.picks {
		g.order = append(g.order, i)
	}
	slices.SortFunc(g.order, func(a, b int) int {
		return cmp.Or(cmp.Compare(g.picks[a].Source, g.picks[b].Source), cmp.Compare(g.picks[a].Row, g.picks[b].Row))
	})
	for len(g.order) > 0 {
		first := g.picks[g.order[0]]
		if first.Source < 0 || first.Source >= len(g.sources) || first.Row < 0 {
			return fmt.Errorf("curate: gather: there is no row %d of dataset %d", first.Row, first.Source)
		}
		if err := g.readSource(first.Source); err != nil {
			return err
		}
	}
	return nil
}

// readSource takes the picks of the first source off order.
func (g *gatherer[T]) readSource(source int) error {
	row := 0
	for value, err := range g.sources[source] {
		if err != nil {
			return err
		}
		for len(g.order) > 0 && g.picks[g.order[0]] == (Pick{source, row}) {
			g.rows[g.order[0]] = value
			g.order = g.order[1:]
		}
		if len(g.order) == 0 || g.picks[g.order[0]].Source != source {
			return nil
		}
		row++
	}
	return fmt.Errorf("curate: gather: there is no row %d of dataset %d, which has %d rows", g.picks[g.order[0]].Row, source, row)
}
