"""Trains the small byte-level BPE of the fixtures and writes its files, test vectors included.

    python make_tokenizer.py --pairs ../fixtures/text/pairs.jsonl --out ../fixtures/tokenizer
    python make_tokenizer.py --copy ../fixtures/tokenizer --out ../fixtures/models/llama-tiny     (the three files only)

tokenizer.json           512 entries: <pad> 0, <s> 1, </s> 2, 256 bytes, merges; <s> is put in front by the post-processor
tokenizer_config.json, special_tokens_map.json
vectors.jsonl            {"text", "ids" (with <s>), "plain" (without), "decoded" (of "plain"; special tokens skipped)} by the Rust tokenizer
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers  # noqa: E402

VOCABULARY = 512
SPECIAL = ["<pad>", "<s>", "</s>"]
FILES = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]
HARD_TEXTS = [
    "",
    " ",
    "  ",
    "\n",
    "\r\n\r\n",
    "a",
    " a",
    "a ",
    "Hello, world!",
    "hello   world \t\n  again",
    "I'll say it's what they've got, we're 'done'. I'M NOT.",
    "3.14159 and 10,000,000 or 0x1F",
    "x=y+1;// code\n\tif (a && b) { return !c; }",
    "\n\nHuman: Hi\n\nAssistant: Hello",
    "</s>",
    "<s>Hello</s>",
    "a</s>b",
    " </s> and <pad> inside",
    "< /s> <S> </S>",
    "Grüße aus Zürich, déjà vu, naïve, Cafe\u0301",
    "日本語のテキスト。 ひらがな カタカナ",
    "中文，标点。",
    "한국어",
    "مرحبا بالعالم",
    "नमस्ते",
    "Ελληνικά и русский",
    "🙂👩🏽‍🍳🏳️‍🌈",
    "½ ² ³ Ⅳ ① ٣ ४",
    "a\u00a0b\u2003c\u3000d\u200bd",
    "one\u2028two\u2029three\u0085four",
    "\ufeffstart and in\ufeffside \ufeff end",
    "x \ufeffy \ufeff\ufeff z\ufeff w",
    "x \u0085y \u0085\u0085 z\u0085 w",
    "\u180e\u2060\u202f|",
    "\x00\x01\x1f\x7f",
    "tab\tand\x0bvertical\x0cfeed",
    "ﬁ ﬀ Å Å K",
    "a" * 40,
    " " * 17 + "x",
    "!?!?...---___***",
    "don’t ‘quote’ “me”",
    "\ufffd replacement",
    "ſ'S 'ſ it'ſ",
]


# merges over U+FEFF and U+0085: the regular expressions of JavaScript and Rust disagree on whether these are white
# space, and only with such merges does a wrong split show in the ids
SEPARATORS = ["a \ufeff \ufeff\ufeffb", "a \u0085 \u0085\u0085 \n b"] * 60


def train(texts: list[str]) -> Tokenizer:
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tok.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        min_frequency=2,
        special_tokens=[AddedToken(t, special=True, normalized=False) for t in SPECIAL],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tok.train_from_iterator(texts + SEPARATORS, trainer)
    bos = tok.token_to_id("<s>")
    tok.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(
                single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", bos)]
            ),
        ]
    )
    assert tok.get_vocab_size() == VOCABULARY, tok.get_vocab_size()
    return tok


def write(path: Path, value: object, indent: int | None = 1) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=indent) + "\n", encoding="utf-8")


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--pairs", type=Path)
    ap.add_argument("--copy", type=Path)
    ap.add_argument("--out", type=Path, required=True)
    args = ap.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.copy:
        for name in FILES:
            shutil.copyfile(args.copy / name, args.out / name)
        return

    rows = [json.loads(line) for line in args.pairs.read_bytes().decode("utf-8").split("\n") if line]
    tok = train([text.replace("</s>", "") for row in rows for text in (row["chosen"], row["rejected"])])
    write(args.out / "tokenizer.json", json.loads(tok.to_str()))
    tok = Tokenizer.from_file(str(args.out / "tokenizer.json"))
    names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    write(args.out / "special_tokens_map.json", names)
    write(
        args.out / "tokenizer_config.json",
        {
            "add_bos_token": True,
            "add_eos_token": False,
            "added_tokens_decoder": {str(tok.token_to_id(t)): {"content": t, **flags} for t in SPECIAL},
            **names,
            "clean_up_tokenization_spaces": False,
            "model_max_length": 256,
            "tokenizer_class": "PreTrainedTokenizerFast",
        },
    )
    vectors = []
    for text in HARD_TEXTS:
        plain = tok.encode(text, add_special_tokens=False).ids
        vectors.append(
            {"text": text, "ids": tok.encode(text).ids, "plain": plain, "decoded": tok.decode(plain, skip_special_tokens=True)}
        )
    (args.out / "vectors.jsonl").write_bytes(
        "".join(json.dumps(v, ensure_ascii=False) + "\n" for v in vectors).encode("utf-8")
    )


if __name__ == "__main__":
    main()
