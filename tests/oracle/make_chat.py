"""Chats as transformers renders and tokenises them: test vectors for chat templates and for what of a chat is scored.

    python make_chat.py --tokenizer ../fixtures/tokenizer --out ../fixtures/chat

vectors.json
    tokenizer   "added": the special tokens put behind the 512 of the fixtures' tokenizer, which here adds no BOS itself
    templates   name -> Jinja source: those of reanchor (read with tsx from built-in-templates.ts) and some written for this file
    chats       lists of messages
    cases       {"template", "chat", "text", "prompt_text", "ids", "prompt_ids", "assistant_mask"?} or {"template", "chat", "refused"}:
                apply_chat_template of the whole chat and of all but its last message with add_generation_prompt. The mask is that
                of `return_assistant_tokens_mask`, for templates with {% generation %}. `refused` is what raise_exception said.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"

from jinja2.exceptions import TemplateError  # noqa: E402
from tokenizers import Tokenizer, processors  # noqa: E402
from transformers import PreTrainedTokenizerFast  # noqa: E402

HERE = Path(__file__).resolve().parent
ADDED = ["<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]

OWN = {
    "generation": """{{ bos_token }}
{%- for message in messages %}
    {%- if message['role'] == 'assistant' %}
        {{- '<|im_start|>assistant\\n' }}
        {%- generation %}
        {{- message['content'] | trim + '<|im_end|>' + '\\n' }}
        {%- endgeneration %}
    {%- else %}
        {{- '<|im_start|>' + message['role'] + '\\n' + message['content'] | trim + '<|im_end|>' + '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
""",
    "default system": """{% if messages[0]['role'] != 'system' %}
<|im_start|>system
You answer in one sentence.<|im_end|>
{% endif %}
{% for message in messages %}
    {{ '<|im_start|>' ~ message.role ~ '\\n' ~ message.content ~ '<|im_end|>' }}
{% endfor %}
{% if add_generation_prompt is defined and add_generation_prompt %}
<|im_start|>assistant
{% endif %}
""",
    "brackets": """{% set ns = namespace(system='') %}
{%- for message in messages if message.role == 'system' %}{% set ns.system = '<<' ~ message.content ~ '>> ' %}{% endfor -%}
{% for message in messages | rejectattr('role', 'equalto', 'system') | list %}
  {%- if (message.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('user and assistant have to alternate') }}{% endif %}
  {%- if message.role == 'user' %}{{ bos_token + '[Q] ' + (ns.system if loop.first else '') + message.content.strip() + ' [/Q]' }}
  {%- else %}{{ ' ' + message.content.strip() + ' ' + eos_token }}{% endif %}
{%- endfor %}""",
    "json and slices": """{{ bos_token }}{% if tools is not none %}{{ raise_exception('no tools were given') }}{% endif %}
{% for m in messages[:1] + messages[1:] -%}
{{ {'n': loop.index, 'role': m.role | upper} | tojson }}|{{ m.content.split(' ') | length }}|{{ m['content'] | replace('\\n', ' ') }}{{ eos_token if m.role == 'assistant' }}
{% endfor -%}
{% if add_generation_prompt %}{{ {'n': messages | length + 1, 'role': 'ASSISTANT'} | tojson }}|{% endif %}""",
}

CHATS = [
    [("user", "What is red?"), ("assistant", "A colour.")],
    [("system", "Be kind."), ("user", " Hello \n"), ("assistant", "Hello, how are you?")],
    [("user", "One"), ("assistant", "Two"), ("user", "Three"), ("assistant", "Four\n\nand five ")],
    [("system", "S"), ("user", "été 東京 🙂"), ("assistant", "{% raw %} {{ x }}"), ("user", "a  b\tc"), ("assistant", "d")],
    [("user", "One"), ("user", "Two"), ("assistant", "Three")],
]


def built_in() -> dict[str, str]:
    code = (
        "import { builtInTemplates as all } from './packages/reanchor/src/text/built-in-templates.ts';"
        "console.log(JSON.stringify(Object.fromEntries(Object.entries(all).map(([name, { source }]) => [name, source]))))"
    )
    command = ["npx", "tsx", "--eval", code]
    return json.loads(subprocess.run(command, cwd=HERE.parents[1], check=True, capture_output=True, text=True).stdout)


def make_case(tokenizer: PreTrainedTokenizerFast, source: str, messages: list[dict]) -> dict:
    def text(some: list[dict], **options) -> str:
        return tokenizer.apply_chat_template(some, chat_template=source, tokenize=False, **options)

    def ids(some: list[dict], **options) -> dict:
        return tokenizer.apply_chat_template(some, chat_template=source, tokenize=True, return_dict=True, **options)

    try:
        has_mask = "{%- generation" in source
        whole = ids(messages, return_assistant_tokens_mask=has_mask)
        prompt = ids(messages[:-1], add_generation_prompt=True)
    except TemplateError as error:
        return {"refused": str(error)}
    case = {
        "text": text(messages),
        "prompt_text": text(messages[:-1], add_generation_prompt=True),
        "ids": whole["input_ids"],
        "prompt_ids": prompt["input_ids"],
    }
    return {**case, "assistant_mask": whole["assistant_masks"]} if has_mask else case


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    backend = Tokenizer.from_file(str(args.tokenizer / "tokenizer.json"))
    backend.add_special_tokens(ADDED)
    backend.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="<pad>")
    templates = {**built_in(), **OWN}
    chats = [[{"role": role, "content": content} for role, content in chat] for chat in CHATS]
    cases = [
        {"template": name, "chat": i, **make_case(tokenizer, source, chat)}
        for name, source in templates.items()
        for i, chat in enumerate(chats)
    ]
    args.out.mkdir(parents=True, exist_ok=True)
    value = {"tokenizer": {"added": ADDED}, "templates": templates, "chats": chats, "cases": cases}
    (args.out / "vectors.json").write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(f"{len(cases)} cases, {sum('refused' in case for case in cases)} refused")


if __name__ == "__main__":
    main()
