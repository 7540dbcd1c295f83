package model

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/model/internal/file"
	"github.com/tame-rlhf/tame/pkg/model/internal/folder"
	"github.com/tame-rlhf/tame/pkg/model/internal/safetensors"
)

// furtherFile holds the further weights in a folder of Hugging Face's layout, as F32. Its metadata
// name those that weight decay applies to.
const (
	furtherFile  = "further.safetensors"
	furtherDecay = "decay"
)

// Add adds a weight that no Llama has, such as a custom head or an adapter, after all others.
// decay says whether weight decay applies to it. It is trained, copied and saved as the others are:
// a trunk made after this has a node for it, see Trunk.ParamNodes. The trunk and the decoder do not
// compute with it; that is up to the loss.
//
// value is used in place: a vector or matrix of the other weights' dtype.
func (p *Params) Add(name string, value *tensor.Dense, decay bool) error {
	if err := p.validate(); err != nil {
		return err
	}
	known := p.Get(name) != nil
	for _, w := range p.table.Weights(p.cfg) {
		known = known || w.Name == name
	}
	switch {
	case name == "":
		return errors.New("model: add: a weight without a name")
	case name == safetensors.MetadataKey:
		return fmt.Errorf("model: add: the name %q is reserved by the safetensors format: choose another one", name)
	case value == nil:
		return fmt.Errorf("model: add: %q has no value", name)
	case known:
		return fmt.Errorf("model: add: the name %q is that of another weight", name)
	case value.Dtype() != p.dtype:
		return fmt.Errorf("model: add: %q is %v, the other weights are %v", name, value.Dtype(), p.dtype)
	case value.Dims() < 1 || value.Dims() > 2:
		return fmt.Errorf("model: add: %q has shape %v, want a vector or a matrix", name, value.Shape())
	case value.Shape().TotalSize() == 0 || value.RequiresIterator() || value.DataOrder().IsColMajor():
		return fmt.Errorf("model: add: %q is empty or a view, want numbers of its own, row by row", name)
	}
	p.byName[name] = &Param{Name: name, Value: value, Decay: decay}
	p.list = append(p.list, p.byName[name])
	p.added++
	return nil
}

// Drop removes a weight that Add added, if there is one of that name.
func (p *Params) Drop(name string) {
	if p.isFurther(name) {
		p.drop(name)
	}
}

func (p *Params) isFurther(name string) bool {
	further := p.list[len(p.list)-p.added:]
	return slices.ContainsFunc(further, func(q *Param) bool { return q.Name == name })
}

// further gives the weights that Add added, and the names of those that decay.
func (p *Params) further() (sources []safetensors.Source, decay map[string]string) {
	decay = make(map[string]string)
	for _, q := range p.list[len(p.list)-p.added:] {
		sources = append(sources, safetensors.Source{Name: q.Name, Shape: q.Value.Shape(), Data: p.numbers(q.Name)})
		if q.Decay {
			decay[q.Name] = furtherDecay
		}
	}
	return sources, decay
}

// writeFurther writes the further weights into a folder, if there are any.
func (p *Params) writeFurther(dir string, create folder.Create) error {
	sources, decay := p.further()
	if len(sources) == 0 {
		return nil
	}
	return create.File(filepath.Join(dir, furtherFile), func(w io.Writer) error {
		return safetensors.Write(w, sources, file.F32, decay)
	})
}

// readFurther adds what writeFurther wrote.
func (p *Params) readFurther(dir string) (err error) {
	f, err := safetensors.Open(filepath.Join(dir, furtherFile))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	tensors, err := readAll(f)
	if err != nil {
		return err
	}
	for _, t := range tensors {
		value := tensor.New(tensor.WithShape(t.Shape...), tensor.WithBacking(t.Data))
		if err := p.Add(t.Name, value, f.Metadata[t.Name] == furtherDecay); err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	return nil
}
