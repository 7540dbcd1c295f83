"""Writes families.json: what transformers computes for tiny models of each family.

    python families.py > families.json      # torch, transformers

The weights are those of formulaNumbers in hf_golden_test.go, by the names of the tensors, so that no weights need to be stored.
With arguments it opens folders instead, and prints the log-probabilities of the tokens, or the scores of the sequences, of each as JSON:

    python families.py open tokens.json DIR ... FILE.gguf ...
"""
import json
import os
import sys

import numpy as np
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

torch.set_num_threads(1)
transformers.logging.set_verbosity_error()


def numbers(name, shape):
    h = 2166136261
    for b in name.encode():
        h = ((h ^ b) * 16777619) & 0xFFFFFFFF
    n = int(np.prod(shape))
    x = (np.uint64(h) + np.arange(n, dtype=np.uint64) * np.uint64(2654435761)) & np.uint64(0xFFFFFFFF)
    x = ((x ^ (x >> np.uint64(15))) * np.uint64(2246822519)) & np.uint64(0xFFFFFFFF)
    x ^= x >> np.uint64(13)
    k = ((x >> np.uint64(8)) % np.uint64(127)).astype(np.float32) - 63
    if "norm" in name:
        out = 1 + k / 128
    elif "embed" in name:
        out = k / 64
    else:
        out = k / 128
    return torch.from_numpy(out.astype(np.float32).reshape(shape))


base = dict(
    hidden_size=16, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, intermediate_size=12, vocab_size=32,
    max_position_embeddings=512, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2, pad_token_id=0, head_dim=8, tie_word_embeddings=False,
)


def rope(kind, theta=1e4, **fields):
    return dict(rope_parameters=dict(rope_type=kind, rope_theta=theta, **fields))


# The number of tokens is past original_max_position_embeddings and past the windows.
cases = {
    "llama": dict(model_type="llama", **rope("default", 5e5)),
    "llama3": dict(model_type="llama", tie_word_embeddings=True, **rope(
        "llama3", 5e5, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32)),
    "llama-linear": dict(model_type="llama", **rope("linear", factor=2.5)),
    "llama-dynamic": dict(model_type="llama", **rope("dynamic", factor=2.0)),
    "llama-yarn": dict(model_type="llama", **rope("yarn", factor=4.0, original_max_position_embeddings=64)),
    "llama-yarn-factors": dict(model_type="llama", **rope(
        "yarn", 1e3, factor=8.0, original_max_position_embeddings=40, beta_fast=4.0, beta_slow=0.5, mscale=0.707, mscale_all_dim=2.0, truncate=False)),
    "llama-yarn-attention": dict(model_type="llama", **rope(
        "yarn", factor=4.0, original_max_position_embeddings=64, attention_factor=1.25, beta_fast=8.0)),
    "llama-bias": dict(model_type="llama", attention_bias=True, **rope("default")),
    "mistral": dict(model_type="mistral", sliding_window=7, **rope("default")),
    "mistral-long": dict(model_type="mistral", sliding_window=270, length=320, **rope("default", 1e6)),
    "mistral-full": dict(model_type="mistral", sliding_window=None, tie_word_embeddings=True, **rope("default", 1e6)),
    "qwen2": dict(model_type="qwen2", tie_word_embeddings=True, use_sliding_window=False, **rope("default", 1e6)),
    "qwen2-window": dict(model_type="qwen2", use_sliding_window=True, sliding_window=9, max_window_layers=1, head_dim=4, **rope(
        "yarn", 1e6, factor=4.0, original_max_position_embeddings=32)),
    "qwen3": dict(model_type="qwen3", tie_word_embeddings=True, use_sliding_window=False, **rope("default", 1e6)),
    "qwen3-window": dict(model_type="qwen3", attention_bias=True, use_sliding_window=True, sliding_window=6, max_window_layers=0, **rope("default", 1e6)),
}


def tokens_of(n):
    state, out = 12345, [1]
    for _ in range(n - 1):
        state = (state * 1103515245 + 12345) % 2**31
        out.append(3 + (state >> 16) % 29)
    return out


sequences = [tokens_of(40)[:20] + [2], tokens_of(33)[3:14] + [2], [1, 9, 30, 2]]


def config_of(case):
    fields = {**base, **case}
    fields.pop("length", None)
    kind = fields.pop("model_type")
    return transformers.AutoConfig.for_model(kind, attn_implementation="eager", **fields)


def fill(model):
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(numbers(name, tuple(p.shape)))
    return model.eval()


def log_probs(model, tokens):
    ids = torch.tensor([tokens])
    logits = model(input_ids=ids).logits[0]
    return torch.log_softmax(logits, -1)[:-1].gather(1, ids[0, 1:, None])[:, 0]


def scores(model, sequences):
    width = max(map(len, sequences))
    ids = torch.tensor([s + [0] * (width - len(s)) for s in sequences])
    mask = torch.tensor([[1] * len(s) + [0] * (width - len(s)) for s in sequences])
    return model(input_ids=ids, attention_mask=mask).logits[:, 0]


def rounded(x):
    return [float(f"{v:.7g}") for v in x]


def oracle(case):
    config, tokens = config_of(case), tokens_of(case.get("length", 48))
    model = fill(AutoModelForCausalLM.from_config(config).float())
    logp = log_probs(model, tokens)
    (-logp.mean()).backward()
    grads = {}
    for name, p in model.named_parameters():
        g = p.grad.double()
        probe = numbers("probe." + name, tuple(p.shape)).double()
        # the norm, and a product with fixed numbers, which every wrong element changes
        grads[name] = rounded([g.norm().item(), (g * probe).sum().item()])
        if name.endswith(".bias") or name.endswith("q_norm.weight") or name.endswith("k_norm.weight"):
            grads[name] += rounded(g.tolist())
    config.num_labels = 1
    reward = fill(AutoModelForSequenceClassification.from_config(config).float())
    config.architectures = [type(model).__name__]
    written = json.loads(config.to_json_string(use_diff=False))
    keep = set(base) | set(case) | {"rope_parameters", "layer_types", "model_type", "architectures", "sliding_window", "max_window_layers"}
    return dict(
        config={k: v for k, v in written.items() if k in keep},
        tokens=tokens,
        log_probs=rounded(logp.tolist()),
        grads=grads,
        sequences=sequences,
        scores=rounded(scores(reward, sequences).tolist()),
    )


def reopened(dirs, tokens):
    out = {}
    for d in dirs:
        if d.endswith(".gguf"):
            folder, name = os.path.split(d)
            with torch.no_grad():
                model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
                out[d] = log_probs(model.eval(), tokens).tolist()
            continue
        with open(f"{d}/config.json") as f:
            head = "ForSequenceClassification" in json.load(f)["architectures"][0]
        with torch.no_grad():
            if head:
                model, info = AutoModelForSequenceClassification.from_pretrained(d, dtype=torch.float32, output_loading_info=True)
                out[d] = scores(model.eval(), sequences).tolist()
            else:
                model, info = AutoModelForCausalLM.from_pretrained(d, dtype=torch.float32, output_loading_info=True)
                out[d] = log_probs(model.eval(), tokens).tolist()
        wrong = {k: sorted(v) for k, v in info.items() if v}
        assert not wrong, (d, wrong)
    return out


if __name__ == "__main__":
    if sys.argv[1:2] == ["open"]:
        with open(sys.argv[2]) as f:
            print(json.dumps(reopened(sys.argv[3:], json.load(f))))
    else:
        print("{")
        print(",\n".join(f'"{name}": {json.dumps(oracle(case))}' for name, case in cases.items()))
        print("}")
