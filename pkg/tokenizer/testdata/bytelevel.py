"""Writes bytelevel_vectors.json.gz: small byte-level tokenizers, and what Hugging Face's tokenizers does with them; and
bytelevel_training.json.gz: texts, and the merges that its trainer finds in them.
Needs: pip install tokenizers==0.23.3. Run in the package's folder."""
import gzip, json, random
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers as P, processors, trainers

CL = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
DEEPSEEK = [r"\p{N}{1,3}", r"[一-龥\u3040-\u309f\u30a0-\u30ff]+", r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"]
rng = random.Random(5)
SENTENCES = """The quick brown fox jumps over the lazy dog, and they don't like it at all; we'll see what he's done, I'm sure you've noticed.
Once upon a time there was a little girl who lived in a village near the forest. Whenever she went out, the little girl wore a red cloak.
for i in range(100):\n    if x[i] != 0:\n        print("value: %d" % x[i])\n    else:\n        return None
func main() {\n\tfmt.Println("hello, world")\n\tfor i := 0; i < 10; i++ {\n\t\tsum += i * 2\n\t}\n}
Das Mädchen ging über die Straße und fragte: «Wo ist denn hier der nächste Bäcker?» Die Größe ändert sich täglich.
Быстрая коричневая лиса прыгает через ленивую собаку, а собака не обращает на неё внимания.
敏捷的棕色狐狸跳过了懒狗。今天天气很好，我们去公园散步吧。人工智能正在改变世界。
素早い茶色の狐がのろまな犬を飛び越える。カタカナとひらがなと漢字が混ざっています。
빠른 갈색 여우가 게으른 개를 뛰어넘는다. 오늘은 날씨가 좋습니다.
الثعلب البني السريع يقفز فوق الكلب الكسول. कुत्ता और लोमड़ी दोस्त हैं। สุนัขจิ้งจอก
3.14159 2.71828 1,000,000 12/31/1999 0x1F 42% $19.99 +49-30-1234567 2024-05-06T07:08:09Z
😀😃😄🎉🚀👍🏽👨‍👩‍👧‍👦 naïve café résumé coöperate ﬁne ½ ² Ⅷ""".split("\n")
SENTENCES = [s.replace("\\n", "\n").replace("\\t", "\t") for s in SENTENCES]
corpus = []
for _ in range(400):
    words = rng.choice(SENTENCES).split(" ")
    corpus.append(" ".join(rng.choice(words) if rng.random() < 0.1 else w for w in words))

ALPHABET = list("aabcdeEklLmrsStTvVXz''' ..,!?-_<|>0123456789\n\n\r\t    \u00a0\u2003\u3000\u0085\x00\x04\x1f\x7f") + list("éßſKİǅñÅ漢字かなカ한글эжπאمिัु೬٣½²Ⅷ①ー々\u0301\u0308\u200d\u00ad\ufeff😀🏽\U0001f1e9\U0010ffff\ufffd")
WORDS = ["don't", "I'LL", "we've ", " 'Re", "  \n", "\r\n\r\n", "\t\tif x", "12345", " 3.14", "x2y", " the", " little", "girl", "return None", "日本語です。", "ﬁ", "cafe\u0301", "A\u030a",
         "<|end|>", "<|im_start|>user\n", "<|im_end|>", "<tool>", " <tool> ", "<unk>", "<|begin|>", "x<lr>x", "<w>", "a<w>b", " <w> ", "Ġ", "é"]


def text():
    if rng.random() < 0.3:
        s = rng.choice(SENTENCES)
        a = rng.randrange(len(s))
        return s[a:a + rng.randrange(1, 80)]
    return "".join(rng.choice(WORDS) if rng.random() < 0.3 else rng.choice(ALPHABET) for _ in range(rng.randrange(1, 22)))


texts = ["", " ", "a", "'", "\n", "  a", "a  ", "<|end|>", "\x04", "a\x04b", "<|end|><|end|>", "\U000f1234", "a" + "\u0301" * 40 + "\u0323" * 3 + "b", "e" + "\u0323\u0302" * 20, "가" + "\u11a8" * 40, "\u1100\u1161" * 20] + [text() for _ in range(160)]
template = processors.TemplateProcessing(single="<|begin|> $A <|end|>", special_tokens=[("<|begin|>", 0), ("<|end|>", 1)])
split = lambda p, b="isolated", i=False: P.Split(Regex(p), b, i)
level = lambda prefix=False, regex=True: P.ByteLevel(add_prefix_space=prefix, use_regex=regex)


def make(name, pre, normalizer=None, alphabet=True, size=600, added=(), change=None, post=None, **model):
    unk = model.get("unk_token")
    tok = Tokenizer(models.BPE(**model))
    tok.pre_tokenizer = P.Sequence(pre) if len(pre) > 1 else pre[0]
    if normalizer:
        tok.normalizer = normalizer
    tok.decoder = decoders.ByteLevel()
    special = ["<|begin|>", "<|end|>", "<|im_start|>", "<|im_end|>"] + ([unk] if unk else [])
    tok.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=size, show_progress=False, special_tokens=special,
                                                        initial_alphabet=sorted(P.ByteLevel.alphabet()) if alphabet else []))
    tok.add_tokens(list(added))
    if post:
        tok.post_processor = post
    file = json.loads(tok.to_str())
    if change:
        change(file)
        tok = Tokenizer.from_str(json.dumps(file))
    v = {"name": name, "file": file, "encodings": [], "decodings": []}
    for t in texts:
        tok.encode_special_tokens = True
        plain = tok.encode(t, add_special_tokens=False).ids
        tok.encode_special_tokens = False
        v["encodings"].append([plain, tok.encode(t, add_special_tokens=False).ids])
    size = tok.get_vocab_size()
    for k in range(60):
        ids = [rng.randrange(size) if k % 2 else rng.randrange(min(size, 270)) for _ in range(rng.randrange(1, 12))]
        v["decodings"].append([ids, tok.decode(ids, skip_special_tokens=True)])
    return v


def shuffled(file):
    merges = file["model"]["merges"]
    for _ in range(40):
        i, j = rng.randrange(len(merges)), rng.randrange(len(merges))
        merges[i], merges[j] = merges[j], merges[i]
    file["model"]["merges"] = [" ".join(m) for m in merges]


token = lambda text, **k: AddedToken(text, **{"special": False, "normalized": False, **k})
tools = [token("<tool>"), token("<w>", single_word=True), token("<lr>", lstrip=True, rstrip=True), token("É", normalized=True), token("a b")]
variants = [
    make("gpt2", [level()]),
    make("smollm", [P.Digits(individual_digits=True), level()], alphabet=False),
    make("llama3", [split(CL % "{1,3}"), level(regex=False)], added=tools, ignore_merges=True, post=processors.Sequence([processors.ByteLevel(), template])),
    make("qwen2", [split(CL % ""), level(regex=False)], normalizer=normalizers.NFC(), added=tools),
    make("removed, inverted", [split(CL % "", "removed", True), level(regex=False)], size=300),
    make("prefix", [level(prefix=True)], added=tools),
    make("digits and prefix", [P.Digits(individual_digits=False), level(prefix=True)], size=400),
    make("no pattern", [level(regex=False)], size=400),
    make("shuffled, ignore_merges", [level()], change=shuffled, ignore_merges=True),
    make("shuffled", [split(CL % "{1,3}"), level(regex=False)], change=shuffled),
    make("unknown, fused", [level()], alphabet=False, size=300, unk_token="<unk>", fuse_unk=True),
    make("unknown", [level()], alphabet=False, size=300, unk_token="<unk>", fuse_unk=False),
    make("byte fallback without effect", [level()], size=300, byte_fallback=True),
    make("deepseek", [split(p) for p in DEEPSEEK] + [level(regex=False)], size=450),
    make("NFD", [level()], normalizer=normalizers.Sequence([normalizers.NFD(), normalizers.Replace("a", "bb")]), size=400, added=tools),
    make("normalizer ByteLevel", [split(GPT2)], normalizer=normalizers.Sequence([normalizers.NFD(), normalizers.ByteLevel()]), size=500, added=tools[:2]),
    make("normalizer ByteLevel, ignore_merges", [split(GPT2)], normalizer=normalizers.ByteLevel(), size=500, change=shuffled, ignore_merges=True),
]
with gzip.GzipFile("testdata/bytelevel_vectors.json.gz", "wb", mtime=0) as f:
    f.write(json.dumps({"texts": texts, "variants": variants}, separators=(",", ":"), ensure_ascii=False).encode())

pattern = {"gpt-2": [level()], "smollm": [P.Digits(individual_digits=True), level()], "llama3": [split(CL % "{1,3}"), level(regex=False)], "qwen2": [split(CL % ""), level(regex=False)]}
training = {"texts": corpus + texts, "merges": {}}
for name, pre in pattern.items():
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = P.Sequence(pre)
    if name == "qwen2":
        tok.normalizer = normalizers.NFC()
    special = ["<|begin_of_text|>", "<|end_of_text|>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"]
    tok.train_from_iterator(training["texts"], trainers.BpeTrainer(vocab_size=1100, show_progress=False, special_tokens=special,
                                                                   initial_alphabet=sorted(P.ByteLevel.alphabet())))
    training["merges"][name] = [" ".join(m) for m in json.loads(tok.to_str())["model"]["merges"]]
with gzip.GzipFile("testdata/bytelevel_training.json.gz", "wb", mtime=0) as f:
    f.write(json.dumps(training, separators=(",", ":"), ensure_ascii=False).encode())
