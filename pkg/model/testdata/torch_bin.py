"""Writes torch-bin: the weights of transformers-4.46-tied-f32 as torch.save writes them, in two files with an index.

    python torch_bin.py          # needs: pip install torch==2.15.0 safetensors

lm_head.weight is the same storage as the embedding, as in a tied model; the first file has a buffer that older Llamas stored; the state
dictionary has the _metadata of a module, and one tensor is a view into the middle of its storage.
"""

import collections
import json
import os
import shutil

import torch
from safetensors.torch import load_file

here = os.path.dirname(os.path.abspath(__file__))
source, target = os.path.join(here, "transformers-4.46-tied-f32"), os.path.join(here, "torch-bin")
os.makedirs(target, exist_ok=True)
shutil.copy(os.path.join(source, "config.json"), target)
tensors = load_file(os.path.join(source, "model.safetensors"))
embed = tensors.pop("model.embed_tokens.weight")
first, second = collections.OrderedDict(), collections.OrderedDict()
first._metadata = {"": {"version": 1}}
first["model.embed_tokens.weight"] = embed
first["lm_head.weight"] = embed
first["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
norm = torch.cat([torch.zeros(3), tensors.pop("model.norm.weight"), torch.zeros(2)])
second["model.norm.weight"] = norm[3:-2]
for name in sorted(tensors):
    (first if ".layers.0." in name else second)[name] = torch.nn.Parameter(tensors[name])
weight_map = {}
for i, part in enumerate((first, second)):
    file = f"pytorch_model-{i + 1:05d}-of-00002.bin"
    torch.save(part, os.path.join(target, file))
    weight_map.update({name: file for name in part})
with open(os.path.join(target, "pytorch_model.bin.index.json"), "w") as out:
    json.dump({"metadata": {}, "weight_map": weight_map}, out, indent=2, sort_keys=True)
