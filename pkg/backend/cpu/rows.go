package cpu

import (
	"fmt"

	"github.com/tame-rlhf/tame/internal/kern"
	"github.com/tame-rlhf/tame/pkg/backend"
)

// lastRows writes the table of the segments' last slots.
func lastRows(dst, in []backend.Buffer) {
	layout, rows := in[0].I32, dst[0].I32
	segs := int(layout[0])
	for i := range segs {
		rows[1+i] = layout[2+i] - 1
	}
	finish(rows, segs)
}

func countedRows[T kern.Float](dst, in []backend.Buffer) {
	rows, r := dst[0].I32, 0
	for i, m := range data[T](in[0])[:used(in[1].I32)] {
		if m != 0 {
			rows[1+r] = int32(i)
			r++
		}
	}
	finish(rows, r)
}

// finish writes what a table holds beside the slots of its r rows.
func finish(rows []int32, r int) {
	rows[0] = int32(r)
	for i := 1 + r; i < len(rows); i++ {
		rows[i] = int32(r)
	}
}

func gather[T kern.Float](c int) backend.Kernel {
	return func(dst, in []backend.Buffer) {
		slots := chosen(in[1].I32)
		kern.Embed(data[T](dst[0]), data[T](in[0]), slots, len(slots), c)
		clearFrom[T](dst[0], len(slots)*c)
	}
}

func scatter[T kern.Float](n, c int) backend.Kernel {
	return func(dst, in []backend.Buffer) {
		slots := chosen(in[1].I32)
		kern.EmbedBackward(data[T](dst[0]), data[T](in[0]), slots, len(slots), c, n, false) // no slot is there twice
	}
}

// chosen is the slots that a table chooses. A layout is no such table, though it may have its size.
func chosen(rows []int32) []int32 {
	if rows[0] != rows[len(rows)-1] {
		panic(fmt.Sprintf("rows: want a table of LastRows or CountedRows, which begins and ends with the number of its rows; this one begins with %d and ends with %d",
			rows[0], rows[len(rows)-1]))
	}
	return rows[1 : 1+rows[0]]
}

func scalarHead[T kern.Float](c int) backend.Kernel {
	return rowWise[T](1, func(dst, in []backend.Buffer, rows int) {
		h, w, b, out := data[T](in[0]), data[T](in[1]), data[T](in[2]), data[T](dst[0])
		for i := range rows {
			out[i] = kern.Dot(h[i*c:(i+1)*c], w) + b[0]
		}
	})
}

// A row whose incoming gradient is exactly 0 contributes nothing, whatever its hidden state holds.
func scalarHeadBackward[T kern.Float](c int) backend.Kernel {
	return func(dst, in []backend.Buffer) {
		h, w, dout := data[T](in[0]), data[T](in[1]), data[T](in[2])
		dh, dw, db := data[T](dst[0]), data[T](dst[1]), data[T](dst[2])
		rows := used(in[3].I32)
		if dh != nil {
			clear(dh[:rows*c])
			clearFrom[T](dst[0], rows*c)
		}
		if !dst[1].Add {
			clear(dw)
		}
		if !dst[2].Add {
			clear(db)
		}
		for i := range rows {
			g := dout[i]
			if g == 0 {
				continue
			}
			if dh != nil {
				kern.Axpy(dh[i*c:(i+1)*c], g, w)
			}
			if dw != nil {
				kern.Axpy(dw, g, h[i*c:(i+1)*c])
			}
			if db != nil {
				db[0] += g
			}
		}
	}
}
