package ops

// A layout is the (S+2) int32 table that says where the segments of a ragged batch lie: [0] is the number s of used
// segments, [1+i] the first slot of segment i, and [1+i] for i >= s the number n of used slots.

// used gives the used slots and segments of a layout.
func used(layout []int32) (n, s int) { return int(layout[len(layout)-1]), int(layout[0]) }

// lastSlot is the last slot of segment i.
func lastSlot(layout []int32, i int) int { return int(layout[2+i]) - 1 }
