"""Opens a model's folder by the Auto classes of transformers and prints, as JSON, what they make of the request on standard input.

Run by TestOpensInTransformers. Needs torch and transformers 5, and must not need sentencepiece or tiktoken.
"""

import json
import sys

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer, GenerationConfig

folder, request = sys.argv[1], json.load(sys.stdin)
out = {"loaded": [name for name in ("sentencepiece", "tiktoken") if name in sys.modules]}
tokenizer = AutoTokenizer.from_pretrained(folder)
out["class"] = type(tokenizer).__name__
out["bos"], out["eos"] = tokenizer.bos_token_id, tokenizer.eos_token_id
out["texts"] = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in request["texts"]]
out["with_bos"] = tokenizer("a", add_special_tokens=True)["input_ids"]
out["decoded"] = [tokenizer.decode(ids, skip_special_tokens=True) for ids in out["texts"]]
out["dialogs"], out["masks"] = [], []
for messages in request["dialogs"]:
    prompt = messages[-1]["role"] == "user"
    encoded = tokenizer.apply_chat_template(
        messages, tokenize=True, return_dict=True, add_generation_prompt=prompt, return_assistant_tokens_mask=True
    )
    out["dialogs"].append(list(encoded["input_ids"]))
    out["masks"].append(list(encoded["assistant_masks"]))
kind = AutoModelForSequenceClassification if AutoConfig.from_pretrained(folder).architectures[0].endswith("Classification") else AutoModelForCausalLM
model = kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
out["model"] = type(model).__name__
ids = torch.tensor([request["ids"]])
with torch.no_grad():
    logits = model(ids).logits.double()
if kind is AutoModelForCausalLM:
    out["logprobs"] = torch.log_softmax(logits[0], -1)[:-1].gather(1, ids[0, 1:, None])[:, 0].tolist()
    config = GenerationConfig.from_pretrained(folder)
    eos = config.eos_token_id
    out["ends"], out["generation"] = eos if isinstance(eos, list) else [eos], {k: getattr(config, k) for k in ("bos_token_id", "temperature", "top_p")}
json.dump(out, sys.stdout)
