"""Opens a GGUF file by llama.cpp's server, on an address of this machine, and prints, as JSON, what it makes of the request on standard input.

Run by TestOpensInLlamaCpp. Needs xllamacpp, Python bindings of llama.cpp.
"""

import json
import sys
import urllib.request

import xllamacpp

request = json.load(sys.stdin)
params = xllamacpp.CommonParams()
params.model.path, params.n_ctx, params.port, params.use_jinja, params.warmup = sys.argv[1], 128, 0, True, False
server = xllamacpp.Server(params)


def post(path, body):
    r = urllib.request.Request(server.listening_address + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(r))


def tokens(text, bos):
    return post("/tokenize", {"content": text, "add_special": bos, "parse_special": bos})["tokens"]


out = {"texts": [tokens(text, False) for text in request["texts"]]}
out["dialogs"] = [tokens(post("/apply-template", {"messages": messages})["prompt"], True) for messages in request["dialogs"]]
with urllib.request.urlopen(server.listening_address + "/props") as props:
    out["template"] = json.load(props)["chat_template"]
answer = post("/completion", {"prompt": request["ids"], "n_predict": 1, "n_probs": 10, "temperature": 0})
out["top"] = [[t["id"], t["logprob"]] for t in answer["completion_probabilities"][0]["top_logprobs"]]
json.dump(out, sys.stdout)
