package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tame-rlhf/tame/internal/printable"
	"github.com/tame-rlhf/tame/pkg/generate"
	"github.com/tame-rlhf/tame/pkg/model"
)

// useGeneration takes the settings of the model's generation_config.json for those whose flags are not set, and tells which were taken and
// which ones of the file are not used. do_sample false is a temperature of 0.
func useGeneration(cmd *cobra.Command, path string, p *model.Params, cfg *generate.Sampling) error {
	g, err := p.Generation()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if g.Greedy != nil && *g.Greedy {
		g.Temperature = new(float64)
	}
	var taken []string
	free := func(flag string) bool { return !cmd.Flags().Changed(flag) }
	if g.Temperature != nil && free("temperature") {
		cfg.Temperature = *g.Temperature
		taken = append(taken, fmt.Sprintf("temperature %v", cfg.Temperature))
	}
	if g.TopP != nil && free("top-p") {
		cfg.TopP = *g.TopP
		taken = append(taken, fmt.Sprintf("top-p %v", cfg.TopP))
	}
	if g.TopK != nil && free("top-k") {
		cfg.TopK = *g.TopK
		taken = append(taken, fmt.Sprintf("top-k %d", cfg.TopK))
	}
	if len(taken) > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: generation_config.json sets %s (a flag sets another value)\n", path, strings.Join(taken, ", "))
	}
	if len(g.Unused) > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: generation_config.json has settings that are not used: %s\n", path, printable.Text(strings.Join(g.Unused, ", ")))
	}
	check := *cfg
	check.MaxNewTokens = max(check.MaxNewTokens, 1) // 0 is the context in chat
	if err := check.Validate(); err != nil {
		return fmt.Errorf("%s: with generation_config.json: %w", path, err)
	}
	return nil
}
