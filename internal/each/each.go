// Package each makes one slice of another, item by item.
package each

// Of gives f of each item, in their order.
func Of[A, B any](items []A, f func(A) B) []B {
	out := make([]B, len(items))
	for i, item := range items {
		out[i] = f(item)
	}
	return out
}
