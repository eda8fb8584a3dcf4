"""What transformers makes of tokenizers whose files do not say the same: special tokens, prefix spaces, tokens added later.

    python make_tokenizer_configs.py --tokenizer ../fixtures/tokenizer --out ../fixtures/tokenizer-configs

base-*.json  values of tokenizer.json: `gpt2`, `gpt-neox`, `qwen2` byte-level with these classes' own words, `llama` with "▁"
cases.json   { "answers": [{text: [ids without what the post-processor adds, their text]}],
               "cases": [{ "name", "base", "files": {name: value},   beside tokenizer.json; config.json has the model_type only
                           "patch"?: {path: value},                  what is replaced in tokenizer.json, by keys joined with "."
                           "class": the class that transformers takes,
                           "tokens": {"eos_token": [text, id], ...}, null where there is none
                           "answer": its index }] }                  or "error" in place of the last three

Where transformers rebuilds a tokenizer from its vocabulary, normalizer, words and decoder are the class's own: the bases are
made so that these are the same, and only what is tried differs.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import os
import shutil
import tempfile
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers  # noqa: E402
from transformers import AutoTokenizer  # noqa: E402
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX  # noqa: E402

TEXTS = ["Hello", " Hello", "Hello world", "", "\n\nHello", "a</s>b", "</s>Hello", "<s>Hello", "x<|im_end|> y", "[PAD]z", "<new>w",
         "don't 42", "</s> </s>a", "<new> <new>w", "  two", "é"]
NAMES = ["eos_token", "bos_token", "pad_token", "unk_token"]
SPECIAL = ["<pad>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]


def added(content: str, **flags) -> dict:
    return {"content": content, "lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": True, **flags}


def bases(folder: Path) -> dict[str, dict]:
    definition = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocab, merges = definition["model"]["vocab"], definition["model"]["merges"]
    names = sorted(vocab, key=vocab.get)
    # Room for two more special tokens at the front; the last words give way.
    names = [*SPECIAL, *[n for n in names if n not in SPECIAL]][: len(names)]
    vocab = {name: i for i, name in enumerate(names)}
    pairs = [m if isinstance(m, list) else m.split(" ") for m in merges]
    definition["model"] |= {"vocab": vocab, "merges": [m for m in pairs if "".join(m) in vocab]}
    definition["added_tokens"] = [{"id": i, **added(name)} for i, name in enumerate(SPECIAL)]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    definition |= {"pre_tokenizer": level, "post_processor": None, "normalizer": None}
    qwen = [{"type": "Split", "pattern": {"Regex": PRETOKENIZE_REGEX}, "behavior": "Isolated", "invert": False},
            {**level, "use_regex": False}]
    return {
        "gpt2": definition,
        "gpt-neox": {**definition, "normalizer": {"type": "NFC"}},
        "qwen2": {**definition, "normalizer": {"type": "NFC"}, "pre_tokenizer": {"type": "Sequence", "pretokenizers": qwen}},
        "llama": sentence_piece(),
    }


def sentence_piece() -> dict:
    """A BPE over "▁" with bytes to fall back on, as of Llama 2."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    special = ["<unk>", "<s>", "</s>", *[f"<0x{byte:02X}>" for byte in range(256)], "<|im_start|>", "<|im_end|>", "<pad>"]
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(["Hello world, hello two worlds", "Hello, a b x y z don't do 42", "two words, new words"] * 4, trainer)
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    definition = json.loads(tokenizer.to_str())
    keep = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", "<pad>"]
    definition["added_tokens"] = [t for t in definition["added_tokens"] if t["content"] in keep]
    return definition


def set_at(value: dict, path: str, new) -> None:
    *parents, last = path.split(".")
    for key in parents:
        value = value[int(key)] if isinstance(value, list) else value[key]
    value[int(last) if isinstance(value, list) else last] = new


def cases() -> list[dict]:
    found = []
    plain = {"eos_token": "</s>", "bos_token": "<s>"}
    decoder = {"added_tokens_decoder": {str(i): added(name) for i, name in enumerate(SPECIAL)}}

    def add(name: str, base: str, config: dict | None, patch: dict | None = None, model_type: str | None = "llama", **files):
        values = {k.replace("__", "."): v for k, v in files.items()}
        if config is not None:
            values["tokenizer_config.json"] = config
        if model_type is not None:
            values["config.json"] = {"model_type": model_type}
        found.append({"name": name, "base": base, "files": values, **({"patch": patch} if patch else {})})

    # Which file names a special token.
    im_end = {"eos_token": "<|im_end|>"}
    for cls, (title, config) in itertools.product(
        ["PreTrainedTokenizerFast", "GPT2TokenizerFast"],
        {"old": plain, "new": {**plain, **decoder}, "no eos": {"bos_token": "<s>"},
         "no eos, new": {"bos_token": "<s>", **decoder}, "null eos": {**plain, "eos_token": None}}.items(),
    ):
        config = {**config, "tokenizer_class": cls}
        for map_title, special in {"no map": None, "map": im_end, "map object": {"eos_token": added("<|im_end|>")},
                                   "map null": {"eos_token": None}, "map of another": {"pad_token": "<pad>"}}.items():
            files = {} if special is None else {"special_tokens_map__json": special}
            add(f"{cls}, {title}, {map_title}", "gpt2", config, **files)
    for cls in ["PreTrainedTokenizerFast", "GPT2TokenizerFast"]:
        add(f"{cls}, a decoder that leaves tokens out", "gpt2",
            {**plain, "tokenizer_class": cls, "added_tokens_decoder": {"2": added("</s>")}})
    add("more special tokens in the map", "gpt2", plain, special_tokens_map__json={"additional_special_tokens": ["<new>"]})
    add("more special tokens in the map, v5", "gpt2", plain, special_tokens_map__json={"extra_special_tokens": ["<new>"]})
    add("split_special_tokens", "gpt2", {**plain, "split_special_tokens": True})
    add("no tokenizer_config.json", "gpt2", None, special_tokens_map__json=im_end)
    add("no file but tokenizer.json", "gpt2", None)
    add("no file but tokenizer.json, gpt_neox", "gpt-neox", None, model_type="gpt_neox")

    # Tokens that tokenizer.json does not have, or not as added ones.
    add("[PAD] is unknown", "gpt2", {**plain, "pad_token": "[PAD]"})
    add("[PAD] is unknown, new", "gpt2", {**plain, **decoder, "pad_token": "[PAD]"})
    add("[PAD] in the map", "gpt2", plain, special_tokens_map__json={"pad_token": "[PAD]"})
    add("unk is unknown", "gpt2", {**plain, "unk_token": "<new>"})
    add("more special tokens", "gpt2", {**plain, "additional_special_tokens": ["<new>", "<|im_end|>"]})
    add("more special tokens, v5", "gpt2", {**plain, "extra_special_tokens": ["<new>"]})
    add("more special tokens as objects", "gpt2", {**plain, "extra_special_tokens": {"image_token": "<new>"}})
    add("a token of one model", "gpt2", {**plain, "image_token": "<new>"})
    for flags in [{}, {"rstrip": True}, {"lstrip": True}, {"special": False}, {"normalized": True, "special": False}]:
        add(f"added in tokenizer_config.json {flags}", "gpt2", {**plain, "added_tokens_decoder": {**decoder["added_tokens_decoder"], "512": added("<new>", **flags)}})
    add("added with another id", "gpt2", {**plain, "added_tokens_decoder": {**decoder["added_tokens_decoder"], "700": added("<new>"), "600": added("[PAD]")}})
    add("added_tokens.json", "gpt2", plain, added_tokens__json={"<new>": 512, "[PAD]": 513})
    add("added_tokens.json, new", "gpt2", {**plain, **decoder}, added_tokens__json={"<new>": 512})
    add("eos in added_tokens.json", "gpt2", {**plain, "eos_token": "<new>"}, added_tokens__json={"<new>": 512})
    add("eos in the vocabulary only", "gpt2", plain, {"added_tokens": [{"id": 1, **added("<s>")}]})
    add("eos in the vocabulary only, new", "gpt2", {**plain, **decoder}, {"added_tokens": [{"id": 1, **added("<s>")}]})
    add("eos added without being special", "gpt2", plain, {"added_tokens.2.special": False})
    for flag in ["rstrip", "lstrip", "normalized"]:
        add(f"eos with {flag} in tokenizer_config.json", "gpt2", {**plain, "added_tokens_decoder": {**decoder["added_tokens_decoder"], "2": added("</s>", **{flag: True})}})
        add(f"eos with {flag} in the map", "gpt2", plain, special_tokens_map__json={"eos_token": added("</s>", **{flag: True})})

    # A space in front of texts: what the class says, or tokenizer.json.
    classes = ["GPT2TokenizerFast", "GPT2Tokenizer", "GPTNeoXTokenizerFast", "Qwen2TokenizerFast", "PreTrainedTokenizerFast", "TokenizersBackend",
               "LlamaTokenizerFast", "NoSuchTokenizer", None]
    for cls, given, stored in itertools.product(classes, ["left out", None, False, True], [False, True]):
        for model_type in ["llama", "mistral", "qwen2", "qwen3", "gpt_neox", None]:
            # The words of a base are those of the class that is taken.
            taken = "Qwen2TokenizerFast" if model_type == "qwen2" or (cls is None and model_type == "qwen3") else cls
            taken = "GPTNeoXTokenizerFast" if cls is None and model_type == "gpt_neox" else taken
            base = {"GPTNeoXTokenizerFast": "gpt-neox", "Qwen2TokenizerFast": "qwen2", "LlamaTokenizerFast": "llama"}.get(taken, "gpt2")
            config = {**plain, **({} if cls is None else {"tokenizer_class": cls}), **({} if given == "left out" else {"add_prefix_space": given})}
            if base == "llama":
                patch = {} if stored else {"normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}}
            else:
                patch = {("pre_tokenizer.pretokenizers.1" if base == "qwen2" else "pre_tokenizer") + ".add_prefix_space": stored}
            add(f"{cls} of {model_type}, add_prefix_space {given}, tokenizer.json {stored}", base, config, patch, model_type)
    for legacy, given, scheme in itertools.product([None, False, True], ["left out", False, True], ["first", "always", "never"]):
        config = {**plain, "tokenizer_class": "LlamaTokenizer", **({} if legacy is None else {"legacy": legacy}),
                  **({} if given == "left out" else {"add_prefix_space": given})}
        metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": False}
        add(f"LlamaTokenizer, legacy {legacy}, add_prefix_space {given}, Metaspace {scheme}", "llama", config,
            {"normalizer": None, "pre_tokenizer": metaspace})
        if scheme == "first":
            add(f"LlamaTokenizer, legacy {legacy}, add_prefix_space {given}, Prepend", "llama", config)
    return found


def answer(case: dict, definition: dict) -> dict:
    definition = copy.deepcopy(definition)
    for path, value in case.get("patch", {}).items():
        set_at(definition, path, value)
    folder = Path(tempfile.mkdtemp())
    try:
        for name, value in {"tokenizer.json": definition, **case["files"]}.items():
            (folder / name).write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
        tokenizer = AutoTokenizer.from_pretrained(folder)
        return {
            "class": type(tokenizer).__name__,
            "tokens": {n: None if getattr(tokenizer, n) is None else [getattr(tokenizer, n), getattr(tokenizer, f"{n}_id")] for n in NAMES},
            "answer": {text: [(ids := tokenizer(text, add_special_tokens=False)["input_ids"]), tokenizer.decode(ids)] for text in TEXTS},
        }
    except Exception as error:  # noqa: BLE001
        return {"error": f"{type(error).__name__}: {error}"[:200]}
    finally:
        shutil.rmtree(folder)


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--tokenizer", type=Path, required=True)
    ap.add_argument("--out", type=Path, required=True)
    args = ap.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    definitions = bases(args.tokenizer)
    for name, value in definitions.items():
        (args.out / f"base-{name}.json").write_text(json.dumps(value, ensure_ascii=False) + "\n", encoding="utf-8")
    answers: list[dict] = []
    lines = []
    for case in cases():
        found = {**case, **answer(case, definitions[case["base"]])}
        if "answer" in found:
            if found["answer"] not in answers:
                answers.append(found["answer"])
            found["answer"] = answers.index(found["answer"])
        lines.append(json.dumps(found, ensure_ascii=False))
    parts = [json.dumps(one, ensure_ascii=False) for one in answers]
    text = '{"answers": [\n' + ",\n".join(parts) + '\n], "cases": [\n' + ",\n".join(lines) + "\n]}\n"
    (args.out / "cases.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
