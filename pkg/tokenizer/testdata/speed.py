"""Times Hugging Face's tokenizers on one thread: python testdata/speed.py tokenizer.json TEXT.txt RUNS. One line for each run: MB/s and ids."""
import os, sys, time
os.environ["RAYON_NUM_THREADS"], os.environ["TOKENIZERS_PARALLELISM"] = "1", "false"
from tokenizers import Tokenizer

tok = Tokenizer.from_file(sys.argv[1])
tok.encode_special_tokens = True
docs = open(sys.argv[2], encoding="utf-8", newline="").read().split("\n<|endoftext|>\n")
size = sum(len(d.encode()) for d in docs)
for _ in range(int(sys.argv[3])):
    t, ids = time.process_time(), 0
    for d in docs:
        ids += len(tok.encode(d, add_special_tokens=False).ids)
    print(f"{size / (time.process_time() - t) / 1e6:.2f} {ids}", flush=True)
