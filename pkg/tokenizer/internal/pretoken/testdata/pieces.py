"""Writes pieces.json.gz: how the pre-tokenizers of Hugging Face's tokenizers cut random texts. Needs: pip install tokenizers==0.23.3."""
import gzip, json, random
from tokenizers import Regex, pre_tokenizers as P

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
CL = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
GPT4O = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK = r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""

splits = [("Regex", p, "Isolated", False) for p in (GPT2, CL % "{1,3}", CL % "", GPT4O, DEEPSEEK)]
splits += [("Regex", CL % "", "Removed", True)]
names = ["Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
splits += [("Regex", r"[\p{N}ſ]|(?i:k[abc]?)", b, i) for b in names for i in (False, True)]
splits += [("String", "a.", b, False) for b in names]
splits += [("Regex", p, "Isolated", False) for p in (r"\s?\S{2}", r"(?<=a)\.|\.(?=\s)", r"[\x41-\x{5A}一-龥\u0660-\u0669]+", r"\P{L}+|\p{^N}", r"[^\S ]+|\d+|[\D\n]", r"a++a|x?+|[sS]*+\s")]


def make(s):
    kind, pattern, behavior, invert = s
    name = "".join("_" * (i > 0 and c.isupper()) + c.lower() for i, c in enumerate(behavior))
    return P.Split(Regex(pattern) if kind == "Regex" else pattern, name, invert)


rng = random.Random(1)
ALPHABET = list("aabcdeEklLmrsStTvVXz''' ..,!?-_<|>0123456789\n\n\r\t    \u00a0\u2003\u3000\u0085\x00\x1f\x7f") + list("éßſKİǅñÅ漢字かなカ한글эжπאمिัु೬٣½²Ⅷ①ー々\u0301\u200d\u00ad\ufeff😀🏽\U0001f1e9\U00011de0\U0010ffff\ufffd")
WORDS = ["don't", "I'LL", "we've ", "it'ſ", " 'Re", "'d've", "  \n", "\r\n\r\n", "\t\tif x", "12345", " 3.14", "x2y", "https://a.b/c?d=1", " ...", "a.", ".a", "¿Qué?", "日本語です。", "ﬁﬂ", "café", "cafe\u0301"]


def text():
    out = []
    for _ in range(rng.randrange(1, 25)):
        out.append(rng.choice(WORDS) if rng.random() < 0.2 else rng.choice(ALPHABET))
    return "".join(out)


texts = [text() for _ in range(500)]
one = {"individual": P.Digits(individual_digits=True), "runs": P.Digits(individual_digits=False)}
out = {
    "texts": texts,
    "splits": [{"kind": k, "pattern": p, "behavior": b, "invert": i,
                "spans": [[x for _, span in make((k, p, b, i)).pre_tokenize_str(t) for x in span] for t in texts]} for k, p, b, i in splits],
    "digits": {n: [[x for _, span in d.pre_tokenize_str(t) for x in span] for t in texts] for n, d in one.items()},
}
with gzip.GzipFile("testdata/pieces.json.gz", "wb", mtime=0) as f:
    f.write(json.dumps(out, separators=(",", ":")).encode())
