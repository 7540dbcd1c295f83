package losstest

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

var (
	nodeType  = reflect.TypeFor[*gorgonia.Node]()
	extraType = reflect.TypeFor[map[string]*gorgonia.Node]()
)

// inputNodes makes the input nodes of a case in a new graph, by the names of its columns and scalars.
func inputNodes(c Case) map[string]*gorgonia.Node {
	g := gorgonia.NewGraph()
	nodes := map[string]*gorgonia.Node{}
	values := c.values()
	for _, name := range slices.Sorted(maps.Keys(values)) {
		v := values[name]
		if v.Shape().IsScalar() {
			nodes[name] = gorgonia.NewScalar(g, v.Dtype(), gorgonia.WithName(name))
		} else {
			nodes[name] = gorgonia.NewTensor(g, v.Dtype(), v.Shape().Dims(), gorgonia.WithName(name), gorgonia.WithShape(v.Shape()...))
		}
	}
	return nodes
}

// fill sets the fields of In, a struct, to the nodes of their names.
func fill[In any](nodes map[string]*gorgonia.Node) (In, error) {
	var in In
	v := reflect.ValueOf(&in).Elem()
	if v.Kind() != reflect.Struct {
		return in, fmt.Errorf("losstest: loss inputs are a %v, want a struct of *gorgonia.Node", v.Type())
	}
	rest := maps.Clone(nodes)
	var extra *reflect.Value
	var fields []string
	for i := range v.NumField() {
		f := v.Type().Field(i)
		switch {
		case !f.IsExported():
		case f.Type == nodeType:
			fields = append(fields, f.Name)
			if n, ok := rest[f.Name]; ok {
				v.Field(i).Set(reflect.ValueOf(n))
				delete(rest, f.Name)
			}
		case f.Type == extraType:
			field := v.Field(i)
			extra = &field
		}
	}
	for _, name := range []string{"Tokens", "Weight", "Weights", "Seqs", "Pairs", "Step", "Segments", "Layout", TokenMask, SegmentMask, GroupMask} {
		delete(rest, name) // offered, not asked for
	}
	if extra != nil {
		extra.Set(reflect.ValueOf(rest))
		return in, nil
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(rest)) {
		errs = append(errs, fmt.Errorf("losstest: case has %s, which is no field of %v (%s)", name, v.Type(), strings.Join(fields, " ")))
	}
	return in, errors.Join(errs...)
}

// values gives the case's numbers as gorgonia values, by name.
func (c Case) values() map[string]gorgonia.Value {
	values := map[string]gorgonia.Value{}
	n, s, _ := c.sizes()
	for _, col := range c.columns() {
		shape := tensor.Shape{len(col.data)}
		if col.axis == perRow {
			shape = tensor.Shape{n, c.width(col)}
		}
		values[col.name] = c.dense(col.data, shape)
	}
	for name, x := range c.scalars() {
		if c.Float32 {
			values[name] = gorgonia.NewF32(float32(x))
		} else {
			values[name] = gorgonia.NewF64(x)
		}
	}
	if n > 0 {
		layout := make([]int32, s+2)
		for i, seg := range c.Segments {
			if seg < 0 {
				continue
			}
			layout[0] = seg + 1
			for j := int(seg) + 1; j <= s; j++ {
				layout[1+j] = int32(i + 1)
			}
		}
		values["Segments"] = tensor.New(tensor.WithShape(n), tensor.WithBacking(slices.Clone(c.Segments)))
		values["Layout"] = tensor.New(tensor.WithShape(s+2), tensor.WithBacking(layout))
	}
	return values
}

func (c Case) dense(x []float64, shape tensor.Shape) *tensor.Dense {
	if !c.Float32 {
		return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(slices.Clone(x)))
	}
	x32 := make([]float32, len(x))
	for i, e := range x {
		x32[i] = float32(e)
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(x32))
}
