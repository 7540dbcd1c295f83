//go:build openblas && cgo

package blas_test

import "github.com/tame-rlhf/tame/pkg/blas"

func init() {
	peers[1] = peer{"OpenBLAS", blas.OpenBLAS{}, blas.OpenBLAS{}.SetThreads}
}
