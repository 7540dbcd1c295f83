"""Makes golden.json: what Jinja, set up as transformers' apply_chat_template sets it up, makes of templates.

    pip install jinja2
    python make.py > golden.json
"""
import json
import random

from jinja2.exceptions import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment


def environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    env.filters["tojson"] = lambda x, indent=None: json.dumps(x, ensure_ascii=False, indent=indent)

    def raise_exception(message):
        raise TemplateError(message)

    env.globals["raise_exception"] = raise_exception
    return env


VARIABLES = {"bos_token": "<s>", "eos_token": "</s>"}

DIALOGUES = [
    [("user", "Hello")],
    [("user", "  Hello \n"), ("assistant", " Hi there. ")],
    [("system", "Be brief."), ("user", "What is 2 + 2?"), ("assistant", "4"), ("user", "And {{ 3 }} + 3?")],
    [("user", "{% raw %}"), ("assistant", "<b>&amp;\"quoted\" 'text' \\n</b>"), ("user", "Grüße, 世界 🙂"), ("assistant", "")],
]

FORMS = {
    "chatml": "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    "default system": "{% if messages[0].role != 'system' %}{{ '<|sys|>You help.<|end|>' }}{% endif %}\n"
    "{% for m in messages %}\n  <|{{ m.role }}|>\n  {{ m.content | trim }}{{ eos_token }}\n{% endfor %}\n"
    "{%- if add_generation_prompt -%}\n<|assistant|>\n{% endif %}",
    "headers": "{{- bos_token }}\n{%- for m in messages %}\n    {{- '[' + m['role'] + ']\\n\\n' + m['content'] | trim + '[end]' }}\n{%- endfor %}\n"
    "{%- if add_generation_prompt %}\n    {{- '[assistant]\\n\\n' }}\n{%- endif %}",
    "alternating": "{{ bos_token }}{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}{% if m.role == 'user' %}[Q] {{ m.content }} [/Q]"
    "{% elif m.role == 'assistant' %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}",
    "macro": "{% macro show(m, sep='\\n') %}\n<{{ m.role }}>{{ sep }}{{ m.content }}</{{ m.role }}>\n{% endmacro %}\n"
    "{% for m in messages %}{{ show(m) }}{{ show(m, sep=' ') }}{% endfor %}",
    "namespace": "{%- set ns = namespace(last=-1, n=0) -%}\n{%- for m in messages -%}\n  {%- if m.role == 'user' -%}{%- set ns.last = loop.index0 -%}{%- endif -%}\n"
    "  {%- set ns.n = ns.n + 1 -%}\n{%- endfor -%}\n{{ ns.last }}/{{ ns.n }}:{% for m in messages[::-1] %}{{ m.content.strip() }};{% endfor %}",
    "thinking": "{%- for m in messages %}{%- if m.role == 'assistant' and loop.last %}{{- '<|a|><think>\\n\\n</think>' + m.content.split('</think>')[-1].lstrip('\\n') }}"
    "{%- else %}{{- '<|' + m.role[0] + '|>' + m.content }}{%- endif %}{{- '<|e|>\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|a|>' }}{%- if enable_thinking is defined and enable_thinking is false %}{{- 'off' }}{%- endif %}{%- endif %}",
    "tools": "{% if tools is defined and tools %}T{% endif %}{% if tools is not none %}U{% endif %}{% if documents %}D{% endif %}"
    "{{ messages | length }}{{ messages[0] | tojson }}{{ messages[0].content | length }}{{ messages[-1]['content'] | upper }}",
    "date": "{% if strftime_now is defined %}{{ strftime_now('%Y') }}{% else %}2 Jan 2024{% endif %}",
    "raw": "a\n  {% raw %}\n{{ x }} {% if %}\n  {%- endraw %}\nb {% raw -%}\n c {%+ endraw -%}\n d",
    "line breaks": "a\r\n{% if true %}\r\nb\r\n{% endif %}\r\nc\r\n\r\n",
    "break": "{% for m in messages %}{% if loop.index > 1 %}{% break %}{% endif %}{{ m.role }}{% continue %}no{% endfor %}",
}


def spaces(rng):
    return "".join(rng.choice([" ", "\n", "\t", "\u00a0"]) for _ in range(rng.choice([0, 0, 1, 2, 3])))


def random_template(rng):
    """A template of white space, text, and tags with all signs."""
    parts, depth = [], 0
    for _ in range(rng.randrange(3, 12)):
        parts.append(spaces(rng) + rng.choice(["", "", "x", "y{ z", "}z"]) + spaces(rng))
        left, right = rng.choice(["", "", "-", "+"]), rng.choice(["", "", "-", "+"])
        kind = rng.randrange(5)
        if kind == 0:
            parts.append("{{" + left.replace("+", "") + " '%} ' " + right.replace("+", "") + "}}")
        elif kind == 1:
            parts.append("{#" + left + " note ' " + right + "#}")
        elif kind == 2:
            parts.append("{%" + left + " set v = 'w' " + right + "%}")
        elif kind == 3 and depth > 0:
            parts.append("{%" + left + " endif " + right + "%}")
            depth -= 1
        else:
            parts.append("{%" + left + " if true " + right + "%}")
            depth += 1
    parts.append(spaces(rng))
    for _ in range(depth):
        parts.append("{% endif %}" + spaces(rng))
    return "".join(parts)


def case(env, name, template, dialogue, generate):
    messages = [{"role": r, "content": c} for r, c in dialogue]
    result = {"name": name, "template": template, "messages": messages, "generate": generate}
    try:
        result["text"] = env.from_string(template).render(
            messages=messages, tools=None, documents=None, add_generation_prompt=generate, **VARIABLES)
    except TemplateError as e:
        result["error"] = str(e)
    return result


def main():
    env = environment()
    cases = []
    for name, template in FORMS.items():
        for dialogue in DIALOGUES:
            generate = dialogue[-1][0] == "user"
            cases.append(case(env, name, template, dialogue, generate))
    rng = random.Random(1)
    for i in range(400):
        cases.append(case(env, f"white space {i}", random_template(rng), DIALOGUES[0], True))
    print(json.dumps(cases, ensure_ascii=False, indent=0))


main()
