package model

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Generation are the settings that a model comes with for sampling from it: those of generation_config.json that have a counterpart in
// generate.Sampling. nil is not said.
type Generation struct {
	Greedy      *bool // do_sample, the other way round
	Temperature *float64
	TopP        *float64
	TopK        *int

	// Unused are the names of the other settings, such as repetition_penalty, in order. They are written again by Save.
	Unused []string
}

// Generation reads the settings that the model came with. An error names one that is not of its type.
func (p *Params) Generation() (Generation, error) {
	var g Generation
	fields := map[string]any{"temperature": &g.Temperature, "top_p": &g.TopP, "top_k": &g.TopK, "do_sample": &g.Greedy}
	for _, name := range slices.Sorted(maps.Keys(p.generation)) {
		field, known := fields[name]
		if !known {
			g.Unused = append(g.Unused, name)
			continue
		}
		if err := json.Unmarshal(p.generation[name], field); err != nil {
			return Generation{}, fmt.Errorf("model: generation_config.json: %s: %w", name, err)
		}
	}
	if g.Greedy != nil {
		*g.Greedy = !*g.Greedy
	}
	return g, nil
}
