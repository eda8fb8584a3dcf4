"""Writes a random Llama of the given sizes as a Hugging Face folder, for measurements of memory and speed.

    python make_random_llama.py --out DIR --tokenizer FOLDER [--hidden 512] [--layers 6] [--heads 8] [--kv-heads 4]
                                [--intermediate 1376] [--vocab 50304] [--tie] [--seed 0]
    python make_random_llama.py --out DIR --tokenizer FOLDER --shape pythia-70m-like

The defaults are the sizes of pythia-70m with a gated MLP of like size: 6 layers of 512, a vocabulary of 50,304, head apart. The
tokenizer's files are copied from FOLDER; its vocabulary may be smaller than the model's.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

SHAPES = {
    "pythia-70m-like": dict(hidden=512, layers=6, heads=8, kv_heads=4, intermediate=1376, vocab=50304),
    "pythia-160m-like": dict(hidden=768, layers=12, heads=12, kv_heads=12, intermediate=2048, vocab=50304),
    "small-vocabulary": dict(hidden=512, layers=6, heads=8, kv_heads=4, intermediate=1376, vocab=512),
}
TOKENIZER_FILES = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--out", type=Path, required=True)
    ap.add_argument("--tokenizer", type=Path, required=True)
    ap.add_argument("--shape", choices=list(SHAPES), default="pythia-70m-like")
    for name in SHAPES["pythia-70m-like"]:
        ap.add_argument("--" + name.replace("_", "-"), type=int)
    ap.add_argument("--tie", action="store_true")
    ap.add_argument("--seed", type=int, default=0)
    args = ap.parse_args()

    size = {k: getattr(args, k) or v for k, v in SHAPES[args.shape].items()}
    torch.manual_seed(args.seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            hidden_size=size["hidden"],
            num_hidden_layers=size["layers"],
            num_attention_heads=size["heads"],
            num_key_value_heads=size["kv_heads"],
            intermediate_size=size["intermediate"],
            vocab_size=size["vocab"],
            max_position_embeddings=2048,
            rms_norm_eps=1e-5,
            tie_word_embeddings=args.tie,
            bos_token_id=1,
            eos_token_id=2,
        )
    )
    model.save_pretrained(args.out)
    (args.out / "generation_config.json").unlink(missing_ok=True)
    for name in TOKENIZER_FILES:
        if (args.tokenizer / name).exists():
            shutil.copyfile(args.tokenizer / name, args.out / name)
    print(f"{args.out}: {sum(p.numel() for p in model.parameters()) / 1e6:.1f} M parameters, {size}")


if __name__ == "__main__":
    main()
