package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/train"
)

// cache is a folder of results that say by their lineage how they were made. What is there is read, what is not is made.
type cache struct {
	dir string
	tok interface{ SaveFolder(dir string) error }
}

func (c *cache) path(name string) string { return filepath.Join(c.dir, filepath.FromSlash(name)) }

// step is how a result is made: by which stage, with which settings, from which results in the folder.
type step struct {
	stage  string
	config any
	seed   uint64
	inputs []string
}

func (c *cache) lineage(s step) (data.Lineage, error) {
	raw, err := json.Marshal(s.config)
	l := data.Lineage{Stage: s.stage, Config: raw, Seed: s.seed}
	for _, name := range s.inputs {
		err = errors.Join(err, l.Add(context.Background(), c.path(name)))
	}
	return l, err
}

// there says whether a result exists. One that was made in another way is an error.
func (c *cache) there(name string, want data.Lineage) (bool, error) {
	got, err := data.ReadLineage(c.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil && (got.Stage != want.Stage || got.Seed != want.Seed || !bytes.Equal(got.Config, want.Config) || !slices.Equal(got.Inputs, want.Inputs)) {
		err = fmt.Errorf("%s was made with other settings or from other results: delete it, or give another folder", c.path(name))
	}
	return err == nil, err
}

// result reads a result or makes it.
func result[T any](c *cache, name string, s step, read func(path string) (T, error), compute func(data.Lineage) (T, error)) (none T, err error) {
	l, err := c.lineage(s)
	if err != nil {
		return none, err
	}
	switch done, err := c.there(name, l); {
	case err != nil:
		return none, err
	case done:
		return read(c.path(name))
	}
	return compute(l)
}

// params reads a model or makes it. Training that was stopped resumes from its checkpoint.
func (c *cache) params(name string, s step, compute func(train.Checkpointing) (*model.Params, error)) (*model.Params, error) {
	return result(c, name, s, model.Load, func(l data.Lineage) (*model.Params, error) {
		work := c.path(".work/" + name)
		p, err := compute(train.Checkpointing{Dir: work, Every: 100})
		if err != nil {
			return nil, err
		}
		return p, errors.Join(c.save(name, p, l), os.RemoveAll(work))
	})
}

// save writes a model with its tokenizer and lineage.
func (c *cache) save(name string, p *model.Params, l data.Lineage) error {
	return model.Save(c.path(name), p, func(tmp string) error {
		return errors.Join(c.tok.SaveFolder(tmp), data.WriteLineage(tmp, l))
	})
}

// rows reads a dataset or makes it.
func rows[T data.Row](c *cache, name string, s step, compute func() ([]T, error)) ([]T, error) {
	return result(c, name, s, readRows[T], func(l data.Lineage) ([]T, error) {
		list, err := compute()
		if err != nil {
			return nil, err
		}
		if err := os.MkdirAll(filepath.Dir(c.path(name)), 0o755); err != nil {
			return nil, err
		}
		return list, data.Write(c.path(name), list, l)
	})
}

// readRows reads a dataset without its lineage.
func readRows[T data.Row](path string) ([]T, error) {
	list, _, err := data.Read[T](path)
	return list, err
}

// digest names pairs by their content.
func digest(pairs []data.Pair) string {
	h := sha256.New()
	for _, p := range pairs {
		fmt.Fprintf(h, "%v\n", p)
	}
	return hex.EncodeToString(h.Sum(nil))
}
