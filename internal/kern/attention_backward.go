package kern

import "sync"

// AttentionBackward is the derivative of Attention. With P the softmax weights, recomputed block by block from lse, and
// delta[t,h] = dout[t,h]·out[t,h]:
//
//	dV = Pᵀ dout
//	dS = P * (dout Vᵀ - delta) / sqrt(D)
//	dQ = dS K,  dK = dSᵀ Q, both turned back by RoPE
//
// dqkv, qkv (N, (H+2KV)*D); out, dout (N, H*D); lse (N, H), out and lse as Attention wrote them; rope and layout as there.
// dqkv is overwritten in the used slots only. The sums over the queries (and query heads) of a key run in a fixed order.
// Parallel over segments and key/value heads.
func AttentionBackward[T Float](dqkv, qkv, rope, out, lse, dout []T, layout []int32, sh AttnShape) {
	l := borrow[attnBackLoop[T]](&attnBackLoops)
	defer giveBack(&attnBackLoops, l)
	*l = attnBackLoop[T]{dqkv, qkv, rope, out, lse, dout, layout, sh}
	spread(int(layout[0])*sh.KV, 1, l)
}

var attnBackLoops sync.Pool

type attnBackLoop[T Float] struct {
	dqkv, qkv, rope, out, lse, dout []T
	layout                          []int32
	sh                              AttnShape
}

func (l *attnBackLoop[T]) piece(lo, hi int) {
	for task := lo; task < hi; task++ {
		seg, g := task/l.sh.KV, task%l.sh.KV
		segmentBackward(l.dqkv, l.qkv, l.rope, l.out, l.lse, l.dout, int(l.layout[1+seg]), int(l.layout[2+seg]), g, l.sh)
	}
}

// segmentBackward is the derivative of the query heads of key/value head g over the slots [lo, hi) of one segment.
func segmentBackward[T Float](dqkv, qkv, rope, out, lse, dout []T, lo, hi, g int, sh AttnShape) {
	d, width, group, length := sh.D, sh.width(), sh.H/sh.KV, hi-lo
	if length == 0 {
		return
	}
	invSqrt := attnScale[T](d)
	scr := take[T](3*length*d + queryBlock*(2*d+2*AttnBlock) + AttnBlock)
	defer give(scr)
	rest := *scr
	k := carve(&rest, length*d)              // (length, D) rotated keys
	dk := carve(&rest, length*d)             // (length, D) gradient of k
	dv := carve(&rest, length*d)             // (length, D) gradient of v
	q := carve(&rest, queryBlock*d)          // (queryBlock, D) rotated queries
	dq := carve(&rest, queryBlock*d)         // (queryBlock, D) gradient of q
	p := carve(&rest, queryBlock*AttnBlock)  // (queryBlock, AttnBlock) softmax weights
	ds := carve(&rest, queryBlock*AttnBlock) // (queryBlock, AttnBlock) gradient of the scores
	never := carve(&rest, AttnBlock)         // (AttnBlock) -Inf: the scores of keys that a row does not see

	kcol, vcol := (sh.H+g)*d, (sh.H+sh.KV+g)*d
	rotateRows(k, d, qkv[lo*width+kcol:], width, rope, 0, length, d)
	v := qkv[lo*width+vcol:]
	fillInf(never)
	clear(dk)
	clear(dv)
	var delta [queryBlock]T
	for h := g * group; h < (g+1)*group; h++ {
		for t0 := 0; t0 < length; t0 += queryBlock {
			rows, slot := min(queryBlock, length-t0), lo+t0
			rotateRows(q, d, qkv[slot*width+h*d:], width, rope, t0, rows, d)
			do := dout[(slot*sh.H+h)*d:] // rows of H*D
			for r := range rows {
				delta[r] = Dot(do[r*sh.H*d:][:d], out[((slot+r)*sh.H+h)*d:][:d])
			}
			for j0 := 0; j0 < t0+rows; j0 += AttnBlock {
				keys := min(AttnBlock, t0+rows-j0)
				ldp := padded(keys)
				GemmSerial(false, true, rows, keys, d, invSqrt, q, d, k[j0*d:], d, 0, p, ldp)
				GemmSerial(false, true, rows, keys, d, 1, do, sh.H*d, v[j0*width:], width, 0, ds, ldp)
				for r := range rows {
					pr := p[r*ldp:][:ldp]
					copy(pr[min(keys, t0+r+1-j0):], never)
					addConst(pr, pr, -lse[(slot+r)*sh.H+h])
				}
				Exp(p[:rows*ldp], p[:rows*ldp]) // 0 where a key is not seen
				for r := range rows {
					scoreBackward(ds[r*ldp:][:ldp], p[r*ldp:][:ldp], delta[r], invSqrt)
				}
				var beta T
				if j0 > 0 {
					beta = 1
				}
				GemmSerial(true, false, keys, d, rows, 1, p, ldp, do, sh.H*d, 1, dv[j0*d:], d)
				GemmSerial(true, false, keys, d, rows, 1, ds, ldp, q, d, 1, dk[j0*d:], d)
				GemmSerial(false, false, rows, d, keys, 1, ds, ldp, k[j0*d:], d, beta, dq, d)
			}
			for r := range rows {
				rotateBack(dqkv[(slot+r)*width+h*d:][:d], dq[r*d:][:d], rope[(t0+r)*d:][:d])
			}
		}
	}
	for t := range length {
		row := dqkv[(lo+t)*width:][:width]
		rotateBack(row[kcol:][:d], dk[t*d:][:d], rope[t*d:][:d])
		copy(row[vcol:][:d], dv[t*d:][:d])
	}
}

// scoreBackward turns ds, the gradient of the softmax weights p, into that of the scores: ds = p * (ds - delta) * alpha.
func scoreBackward[T Float](ds, p []T, delta, alpha T) {
	p = p[:len(ds)]
	n := vectorPart[T](len(ds))
	if n > 0 {
		scoreBackwardAsm(n, ptr(ds), ptr(p), float32(delta), float32(alpha))
	}
	for i := n; i < len(ds); i++ {
		ds[i] = p[i] * (ds[i] - delta) * alpha
	}
}
