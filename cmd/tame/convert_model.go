package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tame-rlhf/tame/internal/console"
	"github.com/tame-rlhf/tame/internal/output"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// modelForm is a form in which convert model writes.
type modelForm struct {
	name   string
	dtypes []string // the first one is the default
	// suffix of OUT that chooses the form; empty for folders
	suffix string
	// beside says that the tokenizer has a file of its own, because the form has no place for it
	beside bool
	write  func(out string, p *model.Params, tok *tokenizer.Tokenizer, dtype string, l data.Lineage) error
}

var modelForms = []modelForm{
	{name: "hf", dtypes: []string{"f32", "f16", "bf16"}, write: writeHF},
	{name: "gguf", dtypes: []string{"f32", "f16", "q8_0"}, suffix: ".gguf", write: writeGGUF},
	{name: "llama2c", dtypes: []string{"f32"}, suffix: ".bin", beside: true, write: writeLlama2C},
	{name: "meta", dtypes: []string{"f32", "f16", "bf16"}, write: writeMeta},
}

// chooseForm takes the form by its name, or by that of the output.
func chooseForm(name, out string) (modelForm, error) {
	var names []string
	for _, f := range modelForms {
		if f.name == name || name == "" && f.suffix != "" && strings.EqualFold(filepath.Ext(out), f.suffix) {
			return f, nil
		}
		names = append(names, f.name)
	}
	if name == "" {
		return modelForms[0], nil
	}
	return modelForm{}, fmt.Errorf("--to is %q, want one of %s", name, strings.Join(names, ", "))
}

// chooseType checks the type of the numbers; empty for the form's own.
func (f modelForm) chooseType(dtype string) (string, error) {
	if dtype == "" {
		return strings.ToUpper(f.dtypes[0]), nil
	}
	for _, d := range f.dtypes {
		if strings.EqualFold(d, dtype) {
			return strings.ToUpper(d), nil
		}
	}
	return "", fmt.Errorf("--dtype is %q, the form %s has %s", dtype, f.name, strings.Join(f.dtypes, ", "))
}

func convertModelCommand() *cobra.Command {
	var tokenizerPath, to, dtype string
	var report reporter
	cmd := &cobra.Command{
		Use:   "model IN OUT",
		Short: "Write a model in another form",
		Long: `Reads a model in any of these forms and writes it in another one. Which form IN has is seen; that of OUT follows from its name or --to.

  form     what it is                                        OUT           --dtype
  hf       folder of Hugging Face: config.json, safetensors  a folder      f32, f16, bf16
  gguf     file of llama.cpp                                 NAME.gguf     f32, f16, q8_0
  llama2c  file of llama2.c, version 0                       NAME.bin      f32
  meta     folder of Meta's Llama: consolidated.00.pth       --to meta     f32, f16, bf16

The tokenizer goes along: into a folder as tokenizer.json and tokenizer.model with its chat template, into a GGUF file as its vocabulary, and beside NAME.bin as NAME.tokenizer.model.
q8_0 stores 8 bits a weight, off by at most 1/226 of the largest of 32 weights; matrices whose rows are no multiple of 32 long are f16 then.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			form, err := chooseForm(to, args[1])
			if err != nil {
				return err
			}
			if dtype, err = form.chooseType(dtype); err != nil {
				return err
			}
			return convertModel(cmd, args[0], args[1], tokenizerPath, form, dtype, &report)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&tokenizerPath, "tokenizer", "", tokenizerFiles+" (default: the one in the model)")
	flags.StringVar(&to, "to", "", "form of OUT: hf, gguf, llama2c or meta (default: by OUT's name)")
	flags.StringVar(&dtype, "dtype", "", "type of the numbers: f32, f16, bf16 or q8_0 (default f32)")
	reportFlag(cmd, &report)
	return cmd
}

func convertModel(cmd *cobra.Command, in, out, tokenizerPath string, form modelForm, dtype string, report *reporter) error {
	inputs, outputs := []string{in, tokenizerPath}, form.places(out)
	places := report.places(outputs...)
	if err := checkOutputs(inputs, places...); err != nil {
		return err
	}
	set, err := output.New(inputs, places...)
	if err != nil {
		return err
	}
	defer set.Close()
	c := console.New(cmd.ErrOrStderr())
	defer c.Close()
	c.Phase("loading %s", in)
	p, tok, err := model.LoadWithTokenizer(in, tokenizerPath)
	if err != nil {
		return err
	}
	lineage := data.Lineage{Stage: "convert model"}
	c.Phase("hashing %s", in)
	if err := addInputs(cmd.Context(), new(data.Hasher), &lineage, in, tokenizerPath); err != nil {
		return err
	}
	err = report.addModel(cmd.Context(), in)
	if err == nil && tok != nil {
		from := tokenizerPath
		if from == "" {
			from = in
		}
		err = report.addTokenizer(cmd.Context(), from, tok)
	}
	if err != nil {
		return err
	}
	report.report.Model.Weights, report.report.Model.WrittenForm, report.report.Model.DType, report.report.Model.Ends = p.NumParams(), form.name, dtype, p.Ends()
	if form.beside && tok != nil && tok.ChatTemplate() != "" {
		report.leaves("the chat template, for which a .model file has no place")
	}
	c.Phase("writing %s", out)
	write := func(path string, write func(string) error) error {
		return set.Write(path, func(staged string) error {
			if err := write(staged); err != nil {
				return err
			}
			return report.wrote(cmd.Context(), path, staged)
		})
	}
	err = write(out, func(path string) error { return form.write(path, p, tok, dtype, lineage) })
	if err == nil && len(outputs) > 1 {
		if beside := outputs[1].Path; tok == nil {
			set.Drop(beside)
		} else {
			err = write(beside, tok.Save)
		}
	}
	if err == nil {
		err = report.write(set, "convert model", in)
	}
	if err == nil {
		err = set.Commit()
	}
	if err != nil {
		return err
	}
	c.Close()
	if err := report.print(cmd.OutOrStdout()); err != nil {
		return err
	}
	tellAside(cmd, in, p)
	with := "without a tokenizer"
	if tok != nil {
		with = fmt.Sprintf("with a tokenizer of %d pieces", tok.VocabSize())
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d weights as %s, %s\n%s is written\n", p.NumParams(), dtype, with, out)
	return err
}

// folderExtras writes what goes into a model's folder besides the model.
func folderExtras(tok *tokenizer.Tokenizer, l data.Lineage) func(dir string) error {
	return func(dir string) error {
		if tok != nil {
			if err := tok.SaveFolder(dir); err != nil {
				return err
			}
		}
		return data.WriteLineage(dir, l)
	}
}

func writeHF(out string, p *model.Params, tok *tokenizer.Tokenizer, dtype string, l data.Lineage) error {
	cfg := model.DefaultSaveConfig()
	cfg.DType = dtype
	cfg.Further = false // the folder is for other programs
	return model.SaveAs(out, p, cfg, folderExtras(tok, l))
}

func writeMeta(out string, p *model.Params, tok *tokenizer.Tokenizer, dtype string, l data.Lineage) error {
	return model.SaveMeta(out, p, dtype, folderExtras(tok, l))
}

func writeGGUF(out string, p *model.Params, tok *tokenizer.Tokenizer, dtype string, _ data.Lineage) error {
	var vocab map[string]any
	if tok != nil {
		var err error
		if vocab, err = tok.GGUF(p.Config().VocabSize); err != nil {
			return err
		}
	}
	return model.SaveGGUF(out, p, dtype, vocab)
}

func writeLlama2C(out string, p *model.Params, _ *tokenizer.Tokenizer, _ string, _ data.Lineage) error {
	return model.SaveLlama2C(out, p)
}

// places are what the form makes: the model, and the tokenizer's file if it has one.
func (f modelForm) places(out string) []output.Place {
	places := []output.Place{{Path: out, Folder: f.suffix == ""}}
	if f.beside {
		places = append(places, output.File(strings.TrimSuffix(out, filepath.Ext(out))+"."+tokenizerFile))
	}
	return places
}
