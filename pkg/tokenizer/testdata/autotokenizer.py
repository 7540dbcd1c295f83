"""Opens folders with AutoTokenizer and prints what it makes of texts: python autotokenizer.py FOLDER... <texts.json. Needs: pip install transformers."""
import json, os, sys, warnings
os.environ["HF_HUB_OFFLINE"] = "1"
warnings.filterwarnings("ignore")
from transformers import AutoTokenizer

texts, out = json.load(sys.stdin), []
for folder in sys.argv[1:]:
    tok = AutoTokenizer.from_pretrained(folder)
    ids = lambda t, special: tok(t, add_special_tokens=special)["input_ids"]
    out.append({"class": type(tok).__name__, "size": len(tok), "bos": tok.bos_token_id, "eos": tok.eos_token_id,
                "ids": [ids(t, False) for t in texts], "whole": [ids(t, True) for t in texts], "decoded": [tok.decode(ids(t, False)) for t in texts]})
json.dump(out, sys.stdout)
