package model

import (
	"fmt"

	"github.com/tame-rlhf/tame/pkg/backend"
	"github.com/tame-rlhf/tame/pkg/backend/cpu"
)

// Backend is what computes with these weights: programs that train.NewStep and train.NewForward
// compile, decoders with their samplers, and the optimiser's steps. cpu.Backend unless SetBackend
// was called.
func (p *Params) Backend() backend.Backend {
	if p.backend == nil {
		return cpu.Backend{}
	}
	return p.backend
}

// SetBackend changes the backend. Call it before trunks and decoders are made from the weights.
// Copies of the weights have it too, and two networks in one graph need the same one. Nil means
// cpu.Backend.
func (p *Params) SetBackend(b backend.Backend) { p.backend = b }

// Backend is the backend of the trunks of the graph.
func (in *Inputs) Backend() backend.Backend {
	if len(in.trunks) == 0 {
		return cpu.Backend{}
	}
	return in.trunks[0].params.Backend()
}

// checkBackend refuses a trunk whose backend is not that of the others.
func (in *Inputs) checkBackend(name string, b backend.Backend) error {
	if len(in.trunks) > 0 && in.Backend() != b {
		return fmt.Errorf("model: trunk %q is for backend %T, the inputs' trunk %q for %T: want one for all networks of a graph",
			name, b, in.trunks[0].name, in.Backend())
	}
	return nil
}
