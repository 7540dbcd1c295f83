package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tame-rlhf/tame/internal/checksum"
	"github.com/tame-rlhf/tame/internal/output"
	"github.com/tame-rlhf/tame/internal/printable"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// filesReport is what `tame convert model --report` and `tame tokenizer convert --report` write.
type filesReport struct {
	Command   string           `json:"command"`
	Input     string           `json:"input"`
	Read      []fileSum        `json:"read"`     // files that the result was made from
	NotRead   []string         `json:"not_read"` // other files in the input's folder
	Model     *modelReport     `json:"model,omitempty"`
	Tokenizer *tokenizerReport `json:"tokenizer,omitempty"`
	LeftOut   []string         `json:"left_out"` // what the form of the output has no place for
	Written   []fileSum        `json:"written"`
}

type fileSum struct {
	File   string `json:"file"`
	SHA256 string `json:"sha256"`
}

type modelReport struct {
	Form          string   `json:"form"` // of the input
	Tensors       int      `json:"tensors"`
	UnusedTensors []string `json:"unused_tensors"`
	UnusedKeys    []string `json:"unused_keys"` // of config.json
	Weights       int64    `json:"weights"`
	WrittenForm   string   `json:"written_form"`
	DType         string   `json:"dtype"` // of the output
	Ends          []int32  `json:"ends"`  // ids that end an answer
}

type tokenizerReport struct {
	Input        string `json:"input"`
	Pieces       int    `json:"pieces"`
	BOS          int32  `json:"bos"`
	EOS          int32  `json:"eos"`
	ChatTemplate bool   `json:"chat_template"` // the input has one
}

// reporter collects a filesReport. Files are hashed only if a report is written.
type reporter struct {
	path   string // of the report; empty for none
	sums   checksum.Hasher
	report filesReport
}

// reportFlag adds --report.
func reportFlag(cmd *cobra.Command, r *reporter) {
	cmd.Flags().StringVar(&r.path, "report", "", "write there, as JSON, what was read, not used, left out and written, with the SHA-256 of files")
}

// places are the outputs with the report.
func (r *reporter) places(outputs ...output.Place) []output.Place {
	if r.path != "" {
		outputs = append(outputs, output.File(r.path))
	}
	return outputs
}

// addModel notes the files of a model.
func (r *reporter) addModel(ctx context.Context, path string) error {
	d, err := model.Describe(path)
	if err != nil {
		return err
	}
	r.report.Model = &modelReport{Form: d.Form, Tensors: d.Tensors, UnusedTensors: listed(d.UnusedTensors), UnusedKeys: listed(d.UnusedKeys)}
	return r.read(ctx, path, d.Files)
}

// addTokenizer notes the files of a tokenizer.
func (r *reporter) addTokenizer(ctx context.Context, path string, tok *tokenizer.Tokenizer) error {
	r.report.Tokenizer = &tokenizerReport{Input: path, Pieces: tok.VocabSize(), BOS: tok.BOS(), EOS: tok.EOS(), ChatTemplate: tok.ChatTemplate() != ""}
	files, err := tokenizer.Reads(path)
	if err != nil {
		return err
	}
	return r.read(ctx, path, files)
}

// read notes files that are read in the folder of an input, or in its folder.
func (r *reporter) read(ctx context.Context, path string, names []string) error {
	if r.path == "" {
		return nil
	}
	dir := path
	if info, err := os.Stat(path); err != nil {
		return err
	} else if !info.IsDir() {
		dir = filepath.Dir(path)
	}
	for _, name := range names {
		file := filepath.Join(dir, name)
		if slices.ContainsFunc(r.report.Read, func(s fileSum) bool { return s.File == file }) {
			continue
		}
		sum, err := r.sums.File(ctx, file)
		if err != nil {
			return err
		}
		r.report.Read = append(r.report.Read, fileSum{file, sum})
	}
	return nil
}

// notRead are the files of a folder that were not read, without hidden ones and SHA256SUMS.
func (r *reporter) notRead(dir string) (names []string, err error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, err
	}
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		hidden := path != dir && strings.HasPrefix(entry.Name(), ".")
		switch {
		case err != nil:
			return err
		case hidden && entry.IsDir():
			return fs.SkipDir
		case hidden || entry.IsDir() || entry.Name() == checksum.Name:
			return nil
		case !slices.ContainsFunc(r.report.Read, func(s fileSum) bool { return s.File == path }):
			names = append(names, path)
		}
		return nil
	})
	return names, err
}

// leaves notes what the output has no place for.
func (r *reporter) leaves(format string, args ...any) {
	r.report.LeftOut = append(r.report.LeftOut, fmt.Sprintf(format, args...))
}

// wrote notes an output by its name, and by the path where it is now.
func (r *reporter) wrote(ctx context.Context, path, staged string) error {
	if r.path == "" {
		return nil
	}
	return filepath.WalkDir(staged, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		sum, err := r.sums.File(ctx, file)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(staged, file)
		r.report.Written = append(r.report.Written, fileSum{filepath.Join(path, rel), sum})
		return err
	})
}

// write writes the report into the set.
func (r *reporter) write(set *output.Set, command, input string) (err error) {
	if r.path == "" {
		return nil
	}
	r.report.Command, r.report.Input = command, input
	if r.report.NotRead, err = r.notRead(input); err != nil {
		return err
	}
	r.report.NotRead, r.report.LeftOut = listed(r.report.NotRead), listed(r.report.LeftOut)
	return set.WriteFile(r.path, func(w *bufio.Writer) error { return printJSON(w, r.report) })
}

// print tells people what is not in the output.
func (r *reporter) print(w io.Writer) error {
	var errs []error
	if m := r.report.Model; m != nil {
		keys := slices.DeleteFunc(slices.Clone(m.UnusedKeys), func(key string) bool { return slices.Contains(labelKeys, key) })
		if len(keys) > 0 {
			_, err := fmt.Fprintf(w, "%d keys of config.json are not used: %s\n", len(keys), printable.Text(strings.Join(keys, ", ")))
			errs = append(errs, err)
		}
	}
	for _, what := range r.report.LeftOut {
		_, err := fmt.Fprintf(w, "left out: %s\n", printable.Text(what))
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// labelKeys are keys of config.json that say how a model was made or stored, not what it computes.
var labelKeys = []string{
	"_name_or_path", "dtype", "initializer_range", "label2id", "pad_token_id", "pretraining_tp", "torch_dtype", "transformers_version", "use_cache",
}

// listed is a list that JSON shows as [] if it is empty.
func listed(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
