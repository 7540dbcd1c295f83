package model

import (
	"runtime"

	"github.com/tame-rlhf/tame/internal/parallel"
	"github.com/tame-rlhf/tame/pkg/backend"
)

// sharedWeights is how many numbers of weights every core may read for itself: what fits into its share of the caches. Cores that
// take all layers each for some of the sequences need not wait for each other, but read all weights each.
const sharedWeights = 2 << 20

// piece takes the collected rows through all layers, as Trunk.build does, and empties the collection.
func (d *Decoder) piece() {
	if len(d.tokens) == 0 {
		return
	}
	d.partition()
	if len(d.parts) == 1 { // cores share the work in each product
		d.runParts(0, 1)
	} else {
		parallel.For(len(d.parts), 1, d.runAll)
	}
	for _, s := range d.spans {
		d.length[s.slot] += s.count
	}
	d.tokens, d.spans = d.tokens[:0], d.spans[:0]
}

// partition cuts the spans into parts of about the same work, one for each core, or leaves them together: a single span, because its
// rows attend to each other, and those of a large model.
func (d *Decoder) partition() {
	d.parts = append(d.parts[:0], part{0, len(d.spans)})
	procs := min(runtime.GOMAXPROCS(0), len(d.spans))
	if procs == 1 || d.weights > sharedWeights {
		return
	}
	total := 0
	for _, s := range d.spans {
		total += d.work(s)
	}
	d.parts = d.parts[:0]
	first, done := 0, 0
	for i, s := range d.spans {
		done += d.work(s)
		if n := len(d.parts) + 1; done*procs >= total*n || i == len(d.spans)-1 {
			d.parts = append(d.parts, part{first, i + 1})
			first = i + 1
		}
	}
}

// work is about how many multiplications the rows of a span take.
func (d *Decoder) work(s span) int {
	return s.count * (d.weights + 2*d.cfg.NumLayers*d.cfg.NumHeads*d.cfg.HeadDim*(d.length[s.slot]+s.count/2))
}

func (d *Decoder) runParts(lo, hi int) {
	for _, p := range d.parts[lo:hi] {
		d.layersOf(d.spans[p.first:p.end], len(d.parts) == 1)
	}
}

// layersOf takes the rows of some spans, which lie together, through all layers. shared says that the cores share the work on them, so that
// attention is spread over the spans; otherwise it stays on the caller.
func (d *Decoder) layersOf(spans []span, shared bool) {
	c := d.cfg
	first, last := spans[0], spans[len(spans)-1]
	lo, rows := first.row, last.row+last.count-first.row
	x := d.x[lo*c.Dim:][:rows*c.Dim]
	d.embed.Lookup(x, d.tokens[lo:lo+rows])
	for i := range d.layers {
		d.layer(i, lo, rows, func() { d.attend(d.caches[i], spans, shared) })
	}
	for _, s := range spans {
		if s.chunk >= 0 {
			end := (s.row + s.count) * c.Dim
			d.norm.Apply(d.last[s.chunk*c.Dim:][:c.Dim], d.x[end-c.Dim:end], 1)
		}
	}
}

// attend puts the rows' rotated keys and their values into the cache and computes attention.
func (d *Decoder) attend(cache backend.Cache, spans []span, shared bool) {
	width, hd := d.cfg.QKVDim(), d.cfg.NumHeads*d.cfg.HeadDim
	for _, s := range spans {
		cache.Append(s.slot, d.length[s.slot], d.qkv[s.row*width:][:s.count*width], d.q[s.row*hd:][:s.count*hd], s.count)
	}
	if !shared || len(spans) == 1 { // one prompt is in parallel over its heads and queries
		d.attendSpans(cache, spans)
		return
	}
	d.cache = cache
	parallel.For(len(spans), 1, d.attendAll)
}

// attendSpans computes the attention of the spans' rows.
func (d *Decoder) attendSpans(cache backend.Cache, spans []span) {
	hd := d.cfg.NumHeads * d.cfg.HeadDim
	for _, s := range spans {
		cache.Attend(s.slot, d.length[s.slot]+s.count, d.attn[s.row*hd:][:s.count*hd], d.q[s.row*hd:][:s.count*hd], s.count)
	}
}
