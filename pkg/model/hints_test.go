package model

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A compiled model, and tensors that are views, are refused; the calls that the errors name write ones that are read.
func TestPythonHintsWork(t *testing.T) {
	python := pythonWith(t, "torch, transformers, safetensors")
	dir := t.TempDir()
	run := func(program string, args ...string) {
		t.Helper()
		out, err := exec.Command(python, append([]string{"-c", `import sys, torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM
DIR, NEW = sys.argv[1:]
torch.manual_seed(1)
model = LlamaForCausalLM(LlamaConfig(hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, vocab_size=40))
` + program}, args...)...).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	broken, mended := filepath.Join(dir, "broken"), filepath.Join(dir, "mended")
	run("model.save_pretrained(DIR); save_file({'_orig_mod.' + k: v for k, v in model.state_dict().items()}, DIR + '/model.safetensors')", broken, "")
	_, err := Load(broken)
	require.Error(t, err)
	call := regexp.MustCompile(`save the model itself again \((model\.save_pretrained)\)`).FindStringSubmatch(err.Error())
	require.Len(t, call, 2, err)
	run(call[1]+"(NEW)", broken, mended)
	_, err = Load(mended)
	assert.NoError(t, err)

	views := filepath.Join(dir, "views")
	save := "; import os; os.remove(DIR + '/model.safetensors'); torch.save(weights, DIR + '/pytorch_model.bin')"
	run("model.save_pretrained(DIR); weights = {k: v.t().contiguous().t() if v.dim() == 2 else v for k, v in model.state_dict().items()}"+save, views, "")
	_, err = Load(views)
	require.Error(t, err)
	call = regexp.MustCompile(`save it with (\.contiguous\(\))`).FindStringSubmatch(err.Error())
	require.Len(t, call, 2, err)
	run("model.save_pretrained(DIR); weights = {k: v"+call[1]+" for k, v in model.state_dict().items()}"+save, views, "")
	_, err = Load(views)
	assert.NoError(t, err)
}
