package main

import (
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"

	"github.com/tame-rlhf/tame/pkg/eval"
)

// curve is a line through points with their intervals; without x the points are 0, 1, 2 ...
type curve struct {
	name string
	x    []float64
	y    []eval.Mean
}

// picture is a plot that keeps the first error.
type picture struct {
	*plot.Plot
	err  error
	used int // colours
}

func newPicture(title, x, y string) *picture {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.Padding = vg.Points(6)
	p.Legend.Top = true
	p.Add(plotter.NewGrid())
	return &picture{Plot: p}
}

// ticks names the places 0, 1, 2 ... of the horizontal axis.
func (p *picture) ticks(names ...string) *picture {
	p.NominalX(names...)
	p.X.Min, p.X.Max = -0.4, float64(len(names))-0.6
	return p
}

// logX makes the horizontal axis logarithmic, with these marks.
func (p *picture) logX(marks []float64) *picture {
	ticks := make(plot.ConstantTicks, len(marks))
	for i, m := range marks {
		ticks[i] = plot.Tick{Value: m, Label: fmt.Sprintf("%g", m)}
	}
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, ticks
	p.X.Min, p.X.Max = marks[0], marks[len(marks)-1]
	return p
}

// curves adds lines with 95 % intervals.
func (p *picture) curves(list ...curve) *picture {
	for _, c := range list {
		points := plotter.XYs{}
		bars := plotter.YErrors{}
		for i, m := range c.y {
			x := float64(i)
			if c.x != nil {
				x = c.x[i]
			}
			if math.IsNaN(m.Mean + m.Lo + m.Hi) {
				continue
			}
			points = append(points, plotter.XY{X: x, Y: m.Mean})
			bars = append(bars, struct{ Low, High float64 }{m.Mean - m.Lo, m.Hi - m.Mean})
		}
		if len(points) == 0 {
			continue
		}
		line, dots, whiskers, err := intervals(points, bars, plotutil.Color(p.used))
		if err != nil {
			p.err = err
			return p
		}
		dots.Shape = plotutil.Shape(p.used)
		p.used++
		p.Add(line, dots, whiskers)
		p.Legend.Add(c.name, line, dots)
	}
	return p
}

// intervals are a line, its points, and the bars of their intervals in one colour.
func intervals(points plotter.XYs, bars plotter.YErrors, c color.Color) (*plotter.Line, *plotter.Scatter, *plotter.YErrorBars, error) {
	line, dots, err := plotter.NewLinePoints(points)
	if err != nil {
		return nil, nil, nil, err
	}
	whiskers, err := plotter.NewYErrorBars(struct {
		plotter.XYs
		plotter.YErrors
	}{points, bars})
	if err != nil {
		return nil, nil, nil, err
	}
	line.Color, dots.Color, whiskers.Color = c, c, c
	return line, dots, whiskers, nil
}

// steps adds the outline of a histogram over edges, as shares.
func (p *picture) steps(name string, edges []float64, counts []int) *picture {
	total := 0
	for _, n := range counts {
		total += n
	}
	points := plotter.XYs{}
	for i, n := range counts {
		share := float64(n) / float64(max(total, 1))
		points = append(points, plotter.XY{X: edges[i], Y: share}, plotter.XY{X: edges[i+1], Y: share})
	}
	line, err := plotter.NewLine(points)
	if err != nil {
		p.err = err
		return p
	}
	line.Color = plotutil.Color(p.used)
	p.used++
	p.Add(line)
	p.Legend.Add(name, line)
	return p
}

// dots adds points, and the line on which both coordinates are equal.
func (p *picture) dots(name string, x, y []float64) *picture {
	points := make(plotter.XYs, len(x))
	for i := range x {
		points[i] = plotter.XY{X: x[i], Y: y[i]}
	}
	scatter, err := plotter.NewScatter(points)
	if err != nil {
		p.err = err
		return p
	}
	scatter.Color, scatter.Radius = plotutil.Color(p.used), vg.Points(1.5)
	p.used++
	diagonal := plotter.NewFunction(func(x float64) float64 { return x })
	p.Add(scatter, diagonal)
	p.Legend.Add(name, scatter)
	return p
}

// save writes a PNG.
func (p *picture) save(path string) error {
	if p.err != nil {
		return fmt.Errorf("%s: %w", path, p.err)
	}
	p.Y.Max += 0.04 * float64(1+p.used) * (p.Y.Max - p.Y.Min) // room for the legend
	return p.Save(16*vg.Centimeter, 10*vg.Centimeter, path)
}
