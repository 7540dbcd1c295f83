"""Writes 10 MB of mixed text for the speed of encoding: 4 MB English, 3 MB code, 2 MB Chinese, 1 MB numbers, in documents of a few KB.

    python testdata/mixed_text.py OUT.txt SHARED_DATA GOROOT

English are the folders tinystories, tinyshakespeare and web_text of SHARED_DATA, code is that of Go, Chinese are random words by their
frequencies (pip install jieba, for its list). Documents end with a line "<|endoftext|>"."""
import glob, gzip, json, os, random, sys
import jieba

out, data, goroot = sys.argv[1:]
rng = random.Random(3)
read = lambda path: open(path, encoding="utf-8", errors="replace").read()
english = [read(p) for p in (f"{data}/tinystories/train.txt", f"{data}/tinyshakespeare/train.txt")]
for line in list(open(f"{data}/web_text/c4.jsonl")) + list(gzip.open(f"{data}/web_text/wiki.jsonl.gz", "rt")):
    english.append(json.loads(line)["text"])
english = "\n".join(english)
code = "".join(read(p) for p in sorted(glob.glob(f"{goroot}/src/net/**/*.go", recursive=True)))
words, counts = zip(*[(w, int(n)) for w, n, *_ in (l.split() for l in open(os.path.join(os.path.dirname(jieba.__file__), "dict.txt"), encoding="utf-8"))])
marks = ["，"] * 6 + ["。"] * 4 + ["、", "；", "？", "！", "\n"]
chinese = "".join(w + (rng.choice(marks) if rng.random() < 0.12 else "") for w in rng.choices(words, counts, k=900_000))
number = lambda: rng.choice([f"{rng.random() * 10 ** rng.randrange(8):.{rng.randrange(5)}f}", str(rng.randrange(10 ** rng.randrange(1, 12))), f"{rng.randrange(2024)}-{rng.randrange(12):02}-{rng.randrange(31):02}"])
numbers = "".join(number() + rng.choice([", ", "\t", "\n", " "]) for _ in range(130_000))


def take(text, size):
    docs, at, got = [], 0, 0
    while got < size:
        n = rng.randrange(500, 6000)
        if at + n > len(text):
            at = 0
        docs.append(text[at:at + n])
        at += n
        got += len(docs[-1].encode())
    return docs


docs = [d for text, size in ((english, 4e6), (code, 3e6), (chinese, 2e6), (numbers, 1e6)) for d in take(text, size)]
rng.shuffle(docs)
with open(out, "w", encoding="utf-8", newline="") as f:
    f.write("\n<|endoftext|>\n".join(docs))
