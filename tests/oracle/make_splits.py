"""Small trees of files and cards of data sets, with what Python's `datasets` 5.0 takes for their splits.

    python make_splits.py --out ../fixtures/splits/trees.jsonl [--trees 800] [--seed 1]

A line: {"paths": [...], "card"?: text of README.md, "configs": {NAME: {SPLIT: [path, ...]} or null where it cannot be
resolved}, "default": NAME or null} or {"paths", "card"?, "error": the kind of the error}. Paths are relative to the data
set, in the order in which they are read, a path that `datasets` lists twice in a split once. Only names are
looked at. `reader` is the module with which `datasets` reads the files.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from datasets.load import dataset_module_factory  # noqa: E402

FOLDERS = ["data", "data", "train", "test", "valid", "dev", "eval", "my_train", "train-v2", "a.test", "training", "sub",
           "en", "de", "Train", "__pycache__", "__x", ".cache", "test_set", "2 train", "retest", "évaluation"]
STEMS = ["train", "train", "test", "val", "validation", "dev", "rows", "part-0", "part-1", "train_sft", "test-prefs",
         "x.train", "train 1", "trainer", "mytrain", "train2", "0train", "my-dev_set", "README", "dataset_infos", "config",
         "state", "LICENSE", "metadata", "testing", "evaluation", "Test", "eval.2024", ".hidden", "train-test", "latest"]
SHARDS = ["train", "test", "validation", "train_sft", "train_prefs", "test_prefs", "a.b", "default"]
ENDS = [".jsonl"] * 6 + [".json", ".json", ".parquet", ".parquet", ".csv", ".tsv", ".jsonl.gz", ".ndjson", ".txt", ".md",
        ".py", ".arrow", ".png", "", ".JSONL", ".jsonl.zst", ".bak", ".jsonl.bak"]
CONFIGS = ["default", "en", "de", "a-b", "x.y", "2024", "all of it"]
SPLITS = ["train", "test", "validation", "dev", "train_sft", "a.b"]
PATTERNS = ["train*", "**", "*", "data/*", "data/**", "**/train*", "data/train-*", "*.jsonl", "**/*.jsonl", "./test*", "sub/*",
            "en/**", "*/test*", "[tv]*", "**/[!t]*", "train?*", ".cache/*", "__x/*", "data/train/*", "rows.jsonl", "train.jsonl",
            "data/test.jsonl", "no/such.jsonl", "none*", "**/part-[0-9].*", "t*/**/*.json*", "*train*/*", "../x.jsonl"]


def files(rng: random.Random, end: str | None) -> list[str]:
    paths = set()
    sharded = rng.random() < 0.25
    for _ in range(rng.randint(1, 7)):
        last = end if end is not None and rng.random() < 0.8 else rng.choice(ENDS)
        if sharded and rng.random() < 0.8:
            name, total = rng.choice(SHARDS), rng.randint(1, 3)
            tail = rng.choice(["", "", "", "-0a1b2c"])
            paths.add(f"data/{name}-{rng.randrange(total):05d}-of-{total:05d}{tail}{last or '.jsonl'}")
            continue
        folder = [rng.choice(FOLDERS) for _ in range(rng.choice([0, 0, 0, 1, 1, 2]))]
        paths.add("/".join([*folder, rng.choice(STEMS) + last]))
    return sorted(p for p in paths if not any(q.startswith(p + "/") for q in paths) and p != "README.md")


def card(rng: random.Random, paths: list[str]) -> str:
    def pattern() -> str:
        roll = rng.random()
        path = rng.choice(paths)
        folder, _, last = path.rpartition("/")
        if roll < 0.25:
            return path
        if roll < 0.4:
            return f"{folder}/*" if folder else "*"
        if roll < 0.75:
            cut = rng.randint(1, max(1, len(last) // 2))
            wild = rng.choice([last[:cut] + "*", "*" + last[cut:], last[:cut] + "[!/]*", "?" * cut + last[cut:], last[0] + "*" + last[-cut:]])
            return rng.choice(["", "", "./"]) + (f"{folder}/" if folder else rng.choice(["", "**/"])) + wild
        return rng.choice(PATTERNS)

    lines = ["---", "license: mit"]
    if rng.random() < 0.9:
        lines.append("configs:")
        names = rng.sample(CONFIGS, rng.choice([1, 1, 1, 2, 3]))
        chosen = rng.choice(names) if rng.random() < 0.4 else None
        for name in names:
            lines.append(f"- config_name: {json.dumps(name) if rng.random() < 0.5 and not name.isdigit() else name}")
            if name == chosen:
                lines.append("  default: true")
            folders = sorted({p.rsplit("/", 1)[0] for p in paths if "/" in p})
            if folders and rng.random() < 0.15:
                lines.append(f"  data_dir: {rng.choice(['', './'])}{rng.choice(folders)}{rng.choice(['', '/'])}")
            roll = rng.random()
            if roll < 0.15:
                continue
            if roll < 0.3:
                lines.append(f"  data_files: {json.dumps(pattern())}")
            elif roll < 0.4:
                lines.append(f"  data_files: {json.dumps([pattern(), pattern()])}")
            else:
                lines.append("  data_files:")
                for split in rng.sample(SPLITS, rng.randint(1, 3)):
                    many = rng.random() < 0.3
                    lines.append(f"  - split: {split}")
                    if many:
                        lines += ["    path:", f"    - {json.dumps(pattern())}", f"    - {json.dumps(pattern())}"]
                    else:
                        lines.append(f"    path: {json.dumps(pattern())}")
    lines += ["---", "# A data set", "", "configs:", "- config_name: in the text", ""]
    return rng.choice(["\n", "\n", "\r\n"]).join(lines)


def resolved(root: Path) -> dict:
    try:
        module = dataset_module_factory(str(root))
    except Exception as error:  # noqa: BLE001
        return {"error": type(error).__name__}
    parameters = module.builder_configs_parameters
    configs: dict[str, dict | None] = {}
    for config in parameters.builder_configs:
        try:
            config._resolve_data_files(base_path=str(root), download_config=None)
            configs[str(config.name)] = {
                str(split): list(dict.fromkeys(os.path.relpath(path, root) for path in paths))
                for split, paths in config.data_files.items()
            }
        except Exception:  # noqa: BLE001
            configs[str(config.name)] = None
    default = parameters.default_config_name
    if default is None and len(configs) == 1:
        default = next(iter(configs))
    return {"configs": configs, "default": None if default is None else str(default), "reader": module.module_path.split(".")[-1]}


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--out", type=Path, required=True)
    ap.add_argument("--trees", type=int, default=800)
    ap.add_argument("--seed", type=int, default=1)
    args = ap.parse_args()
    rng = random.Random(args.seed)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with args.out.open("w", encoding="utf-8") as out:
        for _ in range(args.trees):
            paths = files(rng, rng.choice([".jsonl", ".jsonl", ".parquet", ".json", None]))
            text = card(rng, paths) if rng.random() < 0.45 else None
            root = Path(tempfile.mkdtemp(prefix="splits")).resolve()
            for path in paths:
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text("{}" if path.endswith(".json") else "")
            if text is not None:
                (root / "README.md").write_text(text, encoding="utf-8", newline="")
            line = {"paths": paths, **({} if text is None else {"card": text}), **resolved(root)}
            shutil.rmtree(root)
            out.write(json.dumps(line, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
