package model

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/bounded"
	"github.com/tame-rlhf/tame/pkg/model/arch"
	"github.com/tame-rlhf/tame/pkg/model/internal/file"
	"github.com/tame-rlhf/tame/pkg/model/internal/folder"
	"github.com/tame-rlhf/tame/pkg/model/internal/hf"
	"github.com/tame-rlhf/tame/pkg/model/internal/llama2c"
	"github.com/tame-rlhf/tame/pkg/model/internal/llamacpp"
	"github.com/tame-rlhf/tame/pkg/model/internal/meta"
	"github.com/tame-rlhf/tame/pkg/setting"
)

// Types of the numbers in files, by the names that safetensors and GGUF have for them.
const (
	F32  = file.F32      // IEEE 754 binary32, a float32
	F16  = file.F16      // IEEE 754 binary16: 11 significant bits, up to 65504
	BF16 = file.BF16     // the upper half of a float32: 8 significant bits
	Q8_0 = llamacpp.Q8_0 // of GGUF: 32 numbers of a row as a float16 and 32 int8
)

// SaveConfig says how SaveAs writes the weights.
type SaveConfig struct {
	// DType is the type of the numbers: F32, F16 or BF16. The latter two take half the space; numbers are rounded to nearest even, and one
	// that F16 does not reach is an error. Default: F32, which keeps every bit.
	DType string
	// MaxShardBytes is the most bytes of numbers of one file; a tensor that is larger has a file of its own. What does not fit one file is
	// written as model-00001-of-00003.safetensors and so on, with model.safetensors.index.json. Default: 5e9; Hugging Face's hub has the same.
	MaxShardBytes int64
	// Further says that the weights of Params.Add are written too, as F32 into further.safetensors, which Load finds and other programs do
	// not know. Without it such weights are an error that names them. Default: true.
	Further bool
}

// DefaultSaveConfig is what Save writes.
func DefaultSaveConfig() SaveConfig { return SaveConfig{DType: F32, MaxShardBytes: 5e9, Further: true} }

// Validate reports everything that is wrong with the config at once.
func (c SaveConfig) Validate() error {
	check := setting.NewChecks("model: SaveConfig")
	_, known := file.DTypeSize(c.DType)
	check.That(known, "DType", fmt.Sprintf("%q", c.DType), "F32, F16 or BF16")
	check.That(c.MaxShardBytes >= 1, "MaxShardBytes", c.MaxShardBytes, "a positive number (default: 5e9)")
	return check.Err()
}

// Save writes the weights as a folder that any Llama tool reads: config.json and model.safetensors under Hugging Face names, and
// further.safetensors with what Params.Add has added. float64 weights are rounded to float32. extras, if not nil, writes further files such as a tokenizer into the folder whose path it gets.
// SHA256SUMS has the SHA-256 of all of them, see Verify.
//
// The folder is complete or not there: everything is written into a folder beside it and synced to the disk, then takes the place of dir
// by renaming, so that nothing of a model that was there before is left. On any error, a full disk too, the old folder stays. A folder with
// files but without config.json is not replaced. At most one Save of a folder may run at a time.
func Save(dir string, p *Params, extras func(tmpdir string) error) error {
	return SaveAs(dir, p, DefaultSaveConfig(), extras)
}

// SaveAs is Save with numbers of another type, or in several files.
func SaveAs(dir string, p *Params, cfg SaveConfig, extras func(tmpdir string) error) error {
	return saveHF(dir, p, cfg, folder.OnDisk, extras)
}

func saveHF(dir string, p *Params, cfg SaveConfig, create folder.Create, extras func(tmpdir string) error) error {
	if err := errors.Join(p.validate(), cfg.Validate()); err != nil {
		return err
	}
	write := func() error {
		p, err := p.float32s()
		if err != nil {
			return err
		}
		tensors, err := p.tensors(arch.HF, cfg.Further)
		if err != nil {
			return err
		}
		if dir, err = folder.Replaceable(dir, hf.ConfigFile); err != nil {
			return err
		}
		sums := folder.Sums{}
		create := create.Hashing(sums)
		w := hf.Writer{Create: create, DType: cfg.DType, MaxBytes: cfg.MaxShardBytes, Ends: p.ends, Generation: p.generation}
		further := func(tmp string) error { return p.writeFurther(tmp, create) }
		return folder.Write(dir, sums, func(tmp string) error { return w.Write(tmp, p.cfg, tensors, p.numbers) }, further, extras)
	}
	return saving("save", write())
}

// SaveMeta writes the weights as Meta shipped Llama 2: a folder with params.json and consolidated.00.pth, which must not be there yet or
// be empty. dtype is F32, F16 or BF16. extras, if not nil, writes further files such as a tokenizer into the folder whose path it gets. The
// folder is complete or not there.
//
// What the format cannot express is an error: a scalar head, a missing output projection, heads that do not divide the width, and other
// ids than BOS 1 and EOS 2. MaxSeqLen is not kept, since params.json of Llama 2 has no place for it: such a model is read back with 4096.
// An output projection that is the embedding is stored once, under both names.
func SaveMeta(dir string, p *Params, dtype string, extras func(tmpdir string) error) error {
	write := func() error {
		p, tensors, err := p.whole(arch.Meta, 0)
		if err != nil {
			return err
		}
		if dir, err = filepath.Abs(dir); err != nil {
			return err
		}
		entries, err := os.ReadDir(dir)
		if len(entries) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(fmt.Errorf("%s already exists: give another name", dir), err)
		}
		return folder.Write(dir, nil, func(tmp string) error { return meta.Write(tmp, p.cfg, tensors, p.numbers, dtype) }, extras)
	}
	return saving("consolidated.pth", write())
}

// SaveGGUF writes the weights as a file that llama.cpp runs, in GGUF, version 3. It appears at once and whole, or not at all. dtype is
// that of the matrices: F32, F16 or Q8_0. Norms are F32. A matrix whose rows are no multiple of 32 numbers long is F16 where Q8_0 was
// asked for, as in llama.cpp's converter.
//
// F32 keeps float32 weights bit by bit. F16 rounds to the nearest number of 11 bits, which is off by at most 1/2048 of the weight (and
// 2^-25 below 2^-14). Q8_0 is off by at most 1/226 of the largest number of its 32. NormEps and RopeTheta are stored as float32.
//
// vocab are the metadata of the tokenizer, from tokenizer.GGUF with the model's VocabSize; without them llama.cpp knows ids only. A scalar
// head and a missing output projection cannot be written.
func SaveGGUF(path string, p *Params, dtype string, vocab map[string]any) error {
	p, tensors, err := p.whole(arch.GGUF, 1)
	if err == nil {
		err = folder.WriteFile(path, func(w io.Writer) error { return llamacpp.Write(w, p.cfg, p.ends, tensors, p.numbers, dtype, vocab) })
	}
	return saving("gguf", err)
}

// SaveLlama2C writes the weights as a llama2.c file of version 0. It appears at once and whole, or not at all. What the format cannot
// express is an error: a scalar head, no output projection, heads that do not divide the width, another RoPE base or norm eps than 1e4
// and 1e-5, other ids than BOS 1 and EOS 2.
func SaveLlama2C(path string, p *Params) error {
	p, tensors, err := p.whole(arch.Meta, 0) // whose order of rows llama2.c has
	if err == nil {
		err = folder.WriteFile(path, func(w io.Writer) error { return llama2c.Write(w, p.cfg, tensors, p.numbers) })
	}
	return saving("llama2.c", err)
}

// Remove deletes a folder that Save wrote, with all that an interrupted Save has left beside it. If it is interrupted itself, either the folder
// is still whole or there is nothing that Load would take for a model.
func Remove(dir string) error { return saving("remove", folder.Remove(dir)) }

func saving(what string, err error) error {
	if err != nil {
		return fmt.Errorf("model: %s: %w", what, err)
	}
	return nil
}

// tensors lists the tensors of the weights in a format. A weight that the format has no name for is an error; further ones are, unless
// they have a place of their own.
func (p *Params) tensors(f arch.Format, further bool) ([]file.Tensor, error) {
	var list []file.Tensor
	covered := make(map[string]bool)
	for _, t := range file.Tensors(p.table, p.cfg, f) {
		if p.Get(t.Weight) != nil { // else there is no head, or a dropped output
			list = append(list, t)
			covered[t.Weight] = true
		}
	}
	var errs []error
	for _, q := range p.list {
		if covered[q.Name] || further && p.isFurther(q.Name) {
			continue
		}
		hint := fmt.Sprintf("models of family %v have it: write the model in the layout of Hugging Face", p.cfg.Family)
		if p.isFurther(q.Name) {
			hint = "remove it with Params.Drop, or further.safetensors from a copy of the model's folder, if the model works without it"
		}
		if q.Name == arch.ScoreWeight || q.Name == arch.ScoreBias {
			hint = "drop the scalar head (Params.DropHead), or write the model in the layout of Hugging Face"
		}
		errs = append(errs, fmt.Errorf("the format has no place for weight %q: %s", q.Name, hint))
	}
	return list, bounded.Few(errs)
}

// whole gives the weights in float32 and their tensors, for a format of whole language models that has
// room for so many ids that end an answer besides EOS.
func (p *Params) whole(f arch.Format, ends int) (*Params, []file.Tensor, error) {
	q, err := p.float32s()
	if err != nil {
		return nil, nil, err
	}
	if q.Output() == nil {
		return nil, nil, errors.New("the format holds whole language models: keep the output projection")
	}
	tensors, err := q.tensors(f, false)
	if err == nil && len(q.ends) > ends {
		err = fmt.Errorf("the format can hold %d of the ids that end an answer, and the model has %v: write it in the layout of Hugging Face, or leave one eos_token_id in its config.json and generation_config.json", ends+1, q.Ends())
	}
	return q, tensors, err
}

// numbers are those of a float32 weight.
func (p *Params) numbers(name string) []float32 { return floats[float32](p.Get(name).Value) }

// float32s are the weights as files hold them. A number of float64 weights that would become infinite
// is an error.
func (p *Params) float32s() (*Params, error) {
	if err := p.validate(); err != nil || p.dtype == tensor.Float32 {
		return p, err
	}
	for _, q := range p.list {
		for _, v := range floats[float64](q.Value) {
			if math.IsInf(float64(float32(v)), 0) && !math.IsInf(v, 0) {
				return nil, fmt.Errorf("%s: %v would become infinite: the file's types end at 3.4e38", q.Name, v)
			}
		}
	}
	return p.As(tensor.Float32), nil
}
