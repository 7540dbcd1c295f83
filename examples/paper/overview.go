package main

import (
	"errors"
	"fmt"
	"image/color"
	"math"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// seedColors can be told apart by colour-blind readers (Okabe and Ito 2008).
func seedColors() []color.Color {
	return []color.Color{
		color.RGBA{0, 114, 178, 255}, color.RGBA{213, 94, 0, 255}, color.RGBA{0, 158, 115, 255}, color.RGBA{204, 121, 167, 255},
		color.RGBA{86, 180, 233, 255}, color.RGBA{230, 159, 0, 255},
	}
}

// overview draws helpfulness and the share of unsafe answers over the versions, a line for each
// seed, as DIR/versions.svg. Without results of the command versions there is nothing to draw.
func overview(dir string, seeds []uint64, bySeed map[uint64]map[string]report) error {
	var panels []*plot.Plot
	for _, panel := range []struct {
		axis, title string
		step        float64 // between ticks, percent
	}{{axes[0], "Helpfulness (100: perfect answers)", 20}, {axes[1], "Unsafe answers, % of all prompts", 5}} {
		p := plot.New()
		p.Title.Text, p.Title.Padding = panel.title, vg.Points(8)
		p.Add(plotter.NewGrid())
		drawn := 0
		for i, seed := range seeds {
			names, points, bars := overviewPoints(bySeed[seed]["versions"], panel.axis)
			if len(points) == 0 {
				continue
			}
			legend := ""
			if panel.axis == axes[1] {
				legend = fmt.Sprintf("seed %d  ", seed)
			}
			if err := addSeed(p, legend, points, bars, float64(i)-float64(len(seeds)-1)/2, seedColors()[i%len(seedColors())]); err != nil {
				return err
			}
			p.NominalX(names...)
			p.X.Min, p.X.Max = -0.4, float64(len(names))-0.6
			drawn++
		}
		if drawn == 0 {
			return nil
		}
		p.Y.Min = 0
		p.Y.Tick.Marker = everyTick(panel.step, p.Y.Max)
		p.Legend.Top = true
		panels = append(panels, p)
	}
	return savePanels(filepath.Join(dir, "versions.svg"), panels)
}

// overviewPoints are the versions of a seed with a measure at temperature 1, in percent.
func overviewPoints(r report, axis string) (names []string, points plotter.XYs, bars plotter.YErrors) {
	for _, row := range r.Rows {
		name, ok := strings.CutSuffix(row.Label, qualityLabel("", axis, 1))
		if !ok || strings.Contains(name, " - ") {
			continue
		}
		m := row.Ours
		names = append(names, strings.Replace(name, withPPO, " +PPO", 1))
		points = append(points, plotter.XY{X: float64(len(points)), Y: 100 * m.Mean})
		bars = append(bars, struct{ Low, High float64 }{100 * (m.Mean - m.Lo), 100 * (m.Hi - m.Mean)})
	}
	return names, points, bars
}

// everyTick marks the multiples of step up to a maximum.
func everyTick(step, most float64) (ticks plot.ConstantTicks) {
	for x := 0.0; x <= most; x += step {
		ticks = append(ticks, plot.Tick{Value: x, Label: fmt.Sprintf("%g", x)})
	}
	return ticks
}

// addSeed adds the line of one seed, moved a little to the side so that the intervals of several do
// not hide each other. Without a name it is not in the legend.
func addSeed(p *plot.Plot, name string, points plotter.XYs, bars plotter.YErrors, side float64, c color.Color) error {
	for k := range points {
		points[k].X += 0.08 * side
		if math.IsNaN(points[k].Y + bars[k].Low + bars[k].High) {
			return fmt.Errorf("overview: version %d has no number: run the command versions for all seeds", k)
		}
	}
	line, dots, whiskers, err := intervals(points, bars, c)
	if err != nil {
		return err
	}
	line.Width, dots.Shape = vg.Points(1.3), draw.CircleGlyph{}
	p.Add(line, dots, whiskers)
	if name != "" {
		p.Legend.Add(name, line, dots)
	}
	return nil
}

// savePanels draws plots side by side.
func savePanels(path string, panels []*plot.Plot) (err error) {
	const width, height, gap = 14 * vg.Centimeter, 9 * vg.Centimeter, vg.Centimeter
	canvas := vgsvg.New(vg.Length(len(panels))*(width+gap), height)
	whole := draw.New(canvas)
	for i, p := range panels {
		left := vg.Length(i) * (width + gap)
		p.Draw(draw.Crop(whole, left, left+width-whole.Max.X, 0, 0))
	}
	f, err := renameio.NewPendingFile(path, renameio.WithPermissions(0o644))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Cleanup()) }() // nothing to do once it has its name
	if _, err := canvas.WriteTo(f); err != nil {
		return err
	}
	return f.CloseAtomicallyReplace()
}
